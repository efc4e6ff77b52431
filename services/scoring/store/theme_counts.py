"""Mentions of themes counted by cell, day, month and class; what changed is noted with the answers (counts.note)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import text

from services.scoring.domain.periods import label, spans

if TYPE_CHECKING:
    from sqlalchemy import Row

    from libs.events.contracts.responses import SurveyKind
    from libs.events.database import Tx
    from services.scoring.store.metrics import Series

Unit = Literal["day", "week", "month", "quarter"]

_ALONE: Final = text("SELECT pg_try_advisory_xact_lock(hashtextextended('scoring.fold_themes', 0)) AS alone")
_FOLD: Final = text("""
    WITH taken AS (
        DELETE FROM theme_tallies WHERE id IN (SELECT id FROM theme_tallies ORDER BY id LIMIT :limit)
        RETURNING themes, cells, days, classes, changes
    ), changed AS (
        SELECT change.theme, change.cell, change.day,
               coalesce(sum(n) FILTER (WHERE class = 0), 0) AS promoters,
               coalesce(sum(n) FILTER (WHERE class = 1), 0) AS passives,
               coalesce(sum(n) FILTER (WHERE class = 2), 0) AS detractors,
               coalesce(sum(n) FILTER (WHERE class = 3), 0) AS others
          FROM taken
         CROSS JOIN unnest(taken.themes, taken.cells, taken.days, taken.classes, taken.changes)
                 AS change (theme, cell, day, class, n)
         GROUP BY 1, 2, 3
    ), days AS (
        INSERT INTO theme_day_counts AS known (theme, cell, day, promoters, passives, detractors, others)
        SELECT theme, cell, day, promoters, passives, detractors, others FROM changed ORDER BY day, cell, theme
            ON CONFLICT (day, cell, theme) DO UPDATE
           SET promoters = known.promoters + excluded.promoters, passives = known.passives + excluded.passives,
               detractors = known.detractors + excluded.detractors, others = known.others + excluded.others
    ), months AS (
        INSERT INTO theme_month_counts AS known (theme, cell, month, promoters, passives, detractors, others)
        SELECT theme, cell, CAST(date_trunc('month', CAST(day AS timestamp)) AS date),
               sum(promoters), sum(passives), sum(detractors), sum(others)
          FROM changed
         GROUP BY 1, 2, 3
         ORDER BY 3, 2, 1
            ON CONFLICT (month, cell, theme) DO UPDATE
           SET promoters = known.promoters + excluded.promoters, passives = known.passives + excluded.passives,
               detractors = known.detractors + excluded.detractors, others = known.others + excluded.others
    )
    SELECT count(*) AS tallies FROM taken
""")
# Whole months and days from the counts, the hours at the edges from the answers, and what is not counted in yet: one
# statement, so that all of it is of one moment.
_COUNT: Final = text("""
    WITH chosen AS NOT MATERIALIZED (
        SELECT id, kind
          FROM cells
         WHERE detail = 'both'
           AND metric = 'nps' AND scale_min = 0 AND scale_max = 10 AND NOT higher_is_worse
           AND (CAST(:program AS text) IS NULL OR program = :program)
           AND (CAST(:touchpoint AS text) IS NULL OR touchpoint = :touchpoint)
           AND (CAST(:segment AS text) IS NULL OR tier = :segment)
           AND (CAST(:department AS text) IS NULL OR department = :department)
           AND (CAST(:region AS text) IS NULL OR region = :region)
           AND (CAST(:channel AS text) IS NULL OR channel = :channel)
           AND (CAST(:kind AS text) IS NULL OR kind = :kind)
    ), counted AS (
        SELECT kind, theme, month AS day, promoters, passives, detractors, others
          FROM chosen JOIN theme_month_counts ON cell = chosen.id
         WHERE month >= CAST(:first_month AS date) AND month < CAST(:end_month AS date)
         UNION ALL
        SELECT kind, theme, day, promoters, passives, detractors, others
          FROM chosen JOIN theme_day_counts ON cell = chosen.id
         WHERE (day >= CAST(:first_day_before AS date) AND day < CAST(:end_day_before AS date))
            OR (day >= CAST(:first_day_after AS date) AND day < CAST(:end_day_after AS date))
         UNION ALL
        SELECT kind, theme, change.day, CASE class WHEN 0 THEN n ELSE 0 END, CASE class WHEN 1 THEN n ELSE 0 END,
               CASE class WHEN 2 THEN n ELSE 0 END, CASE class WHEN 3 THEN n ELSE 0 END
          FROM theme_tallies
         CROSS JOIN unnest(theme_tallies.themes, theme_tallies.cells, theme_tallies.days, theme_tallies.classes,
                           theme_tallies.changes) AS change (theme, cell, day, class, n)
          JOIN chosen ON chosen.id = change.cell
         WHERE change.day >= CAST(:first_day AS date) AND change.day < CAST(:end_day AS date)
         UNION ALL
        SELECT chosen.kind, mentioned.theme, CAST(answered_at AT TIME ZONE 'UTC' AS date),
               count(*) FILTER (WHERE nps_class = 'promoter'), count(*) FILTER (WHERE nps_class = 'passive'),
               count(*) FILTER (WHERE nps_class = 'detractor'), count(*) FILTER (WHERE nps_class IS NULL)
          FROM responses
          JOIN chosen ON chosen.id = responses.cell
         CROSS JOIN unnest(responses.themes) AS mentioned (theme)
         WHERE (answered_at >= CAST(:first_hour_before AS timestamptz)
                AND answered_at < CAST(:end_hour_before AS timestamptz))
            OR (answered_at >= CAST(:first_hour_after AS timestamptz)
                AND answered_at < CAST(:end_hour_after AS timestamptz))
         GROUP BY 1, 2, 3
    )
    SELECT kind, theme,
           CASE CAST(:by AS text)
               WHEN 'day' THEN day
               WHEN 'week' THEN day - ((day - DATE '2001-01-01') % 7 + 7) % 7
               WHEN 'month' THEN CAST(date_trunc('month', CAST(day AS timestamp)) AS date)
               WHEN 'quarter' THEN CAST(date_trunc('quarter', CAST(day AS timestamp)) AS date)
           END AS period,
           CAST(sum(promoters) AS bigint) AS promoters, CAST(sum(passives) AS bigint) AS passives,
           CAST(sum(detractors) AS bigint) AS detractors, CAST(sum(others) AS bigint) AS others
      FROM counted
     GROUP BY 1, 2, 3
    HAVING sum(promoters) + sum(passives) + sum(detractors) + sum(others) > 0
     ORDER BY 1, 2, 3
""")


@dataclass(frozen=True, slots=True)
class Mentions:
    """The answers of one survey kind to NPS surveys that mention a theme, in a period where periods were asked for."""

    kind: SurveyKind
    theme: str
    period: str | None
    promoters: int
    passives: int
    detractors: int
    others: int
    """Those without a score."""

    @property
    def n(self) -> int:
        """How many mention it."""
        return self.promoters + self.passives + self.detractors + self.others


async def fold(tx: Tx, limit: int) -> int:
    """Count in the oldest `limit` tallies; how many there were. None where another transaction does at the moment."""
    alone = await tx.fetch_one(_ALONE)
    if alone is None or not alone.alone:
        return 0
    row = await tx.fetch_one(_FOLD, {"limit": limit})
    return 0 if row is None else int(row.tallies)


async def count(tx: Tx, series: Series, by: Unit | None = None) -> list[Mentions]:
    """What is mentioned in these answers; a theme that nobody mentions is not there."""
    period = spans(series.since, series.until, in_days=by in {"day", "week"})
    rows = await tx.fetch(
        _COUNT,
        {
            "by": by,
            "program": series.program,
            "touchpoint": series.touchpoint,
            "segment": series.segment,
            "department": series.department,
            "region": series.region,
            "channel": series.channel,
            "kind": series.kind,
            "first_month": period.months[0],
            "end_month": period.months[1],
            "first_day_before": period.days[0][0],
            "end_day_before": period.days[0][1],
            "first_day_after": period.days[1][0],
            "end_day_after": period.days[1][1],
            "first_day": period.all_days[0],
            "end_day": period.all_days[1],
            "first_hour_before": period.hours[0][0],
            "end_hour_before": period.hours[0][1],
            "first_hour_after": period.hours[1][0],
            "end_hour_after": period.hours[1][1],
        },
    )
    return [_mentions(row, by) for row in rows]


def _mentions(row: Row[Any], by: Unit | None) -> Mentions:
    period = None if by is None else label(by, row.period)
    return Mentions(row.kind, row.theme, period, row.promoters, row.passives, row.detractors, row.others)
