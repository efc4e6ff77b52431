"""Answers counted by score, for the groups that somebody asks about: from the counts, never from the answers alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from sqlalchemy import text

from services.scoring.domain.cells import DETAILS
from services.scoring.domain.periods import label, spans

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Row

    from libs.events.contracts.responses import Channel, Metric, SurveyKind
    from libs.events.contracts.scores import Tier
    from libs.events.database import Tx
    from services.scoring.domain.cells import Detail

Grouping = Literal[
    "touchpoint", "program", "segment", "department", "region", "channel", "day", "week", "month", "quarter"
]

# Whole months and days from the counts, the hours at the edges from the answers, and what is not counted in yet: one
# statement, so that all of it is of one moment. The parts are joined to their cells before they are added up, because
# the cells asked for are few.
_COUNT: Final = text("""
    WITH chosen AS NOT MATERIALIZED (
        SELECT id, kind, scale_min, scale_max, higher_is_worse, CASE WHEN :by_tier THEN tier END AS stratum,
               CASE CAST(:by AS text)
                   WHEN 'touchpoint' THEN touchpoint
                   WHEN 'program' THEN program
                   WHEN 'segment' THEN tier
                   WHEN 'department' THEN department
                   WHEN 'region' THEN region
                   WHEN 'channel' THEN channel
               END AS name
          FROM cells
         WHERE detail = :detail
           AND metric = :metric
           AND (metric <> 'nps' OR (scale_min = 0 AND scale_max = 10 AND NOT higher_is_worse))
           AND (CAST(:program AS text) IS NULL OR program = :program)
           AND (CAST(:touchpoint AS text) IS NULL OR touchpoint = :touchpoint)
           AND (CAST(:segment AS text) IS NULL OR tier = :segment)
           AND (CAST(:department AS text) IS NULL OR department = :department)
           AND (CAST(:region AS text) IS NULL OR region = :region)
           AND (CAST(:channel AS text) IS NULL OR channel = :channel)
           AND (CAST(:kind AS text) IS NULL OR kind = :kind)
    ), counted AS (
        SELECT kind, scale_min, scale_max, higher_is_worse, stratum, name, month AS day,
               s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10
          FROM chosen JOIN month_counts AS counts ON counts.cell = chosen.id
         WHERE counts.detail = :detail
           AND month >= CAST(:first_month AS date) AND month < CAST(:end_month AS date)
         UNION ALL
        SELECT kind, scale_min, scale_max, higher_is_worse, stratum, name, day,
               s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10
          FROM chosen JOIN day_counts AS counts ON counts.cell = chosen.id
         WHERE counts.detail = :detail
           AND day >= CAST(:first_day_before AS date) AND day < CAST(:end_day_before AS date)
         UNION ALL
        SELECT kind, scale_min, scale_max, higher_is_worse, stratum, name, day,
               s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10
          FROM chosen JOIN day_counts AS counts ON counts.cell = chosen.id
         WHERE counts.detail = :detail
           AND day >= CAST(:first_day_after AS date) AND day < CAST(:end_day_after AS date)
         UNION ALL
        SELECT chosen.kind, chosen.scale_min, chosen.scale_max, chosen.higher_is_worse, stratum, name, day,
               CAST(sum(n) FILTER (WHERE score = 0) AS integer), CAST(sum(n) FILTER (WHERE score = 1) AS integer),
               CAST(sum(n) FILTER (WHERE score = 2) AS integer), CAST(sum(n) FILTER (WHERE score = 3) AS integer),
               CAST(sum(n) FILTER (WHERE score = 4) AS integer), CAST(sum(n) FILTER (WHERE score = 5) AS integer),
               CAST(sum(n) FILTER (WHERE score = 6) AS integer), CAST(sum(n) FILTER (WHERE score = 7) AS integer),
               CAST(sum(n) FILTER (WHERE score = 8) AS integer), CAST(sum(n) FILTER (WHERE score = 9) AS integer),
               CAST(sum(n) FILTER (WHERE score = 10) AS integer)
          FROM (
              SELECT change.cell, change.day, change.score, change.n
                FROM tallies
               CROSS JOIN unnest(tallies.cells, tallies.days, tallies.scores, tallies.changes)
                       AS change (cell, day, score, n)
               WHERE change.day >= CAST(:first_day AS date) AND change.day < CAST(:end_day AS date)
               UNION ALL
              SELECT cell, CAST(answered_at AT TIME ZONE 'UTC' AS date), score, CAST(count(*) AS integer)
                FROM responses
               WHERE score BETWEEN 0 AND 10
                 AND answered_at >= CAST(:first_hour_before AS timestamptz)
                 AND answered_at < CAST(:end_hour_before AS timestamptz)
               GROUP BY 1, 2, 3
               UNION ALL
              SELECT cell, CAST(answered_at AT TIME ZONE 'UTC' AS date), score, CAST(count(*) AS integer)
                FROM responses
               WHERE score BETWEEN 0 AND 10
                 AND answered_at >= CAST(:first_hour_after AS timestamptz)
                 AND answered_at < CAST(:end_hour_after AS timestamptz)
               GROUP BY 1, 2, 3
          ) AS fresh
          JOIN cells AS finest ON finest.id = fresh.cell
          JOIN chosen ON chosen.id = finest.counted_in[CAST(:place AS integer)]
         GROUP BY 1, 2, 3, 4, 5, 6, 7
    )
    SELECT kind, scale_min, scale_max, higher_is_worse, stratum, name,
           CASE CAST(:by AS text)
               WHEN 'day' THEN day
               WHEN 'week' THEN day - ((day - DATE '2001-01-01') % 7 + 7) % 7
               WHEN 'month' THEN CAST(date_trunc('month', CAST(day AS timestamp)) AS date)
               WHEN 'quarter' THEN CAST(date_trunc('quarter', CAST(day AS timestamp)) AS date)
           END AS period,
           CAST(ARRAY[coalesce(sum(s0), 0), coalesce(sum(s1), 0), coalesce(sum(s2), 0), coalesce(sum(s3), 0),
                 coalesce(sum(s4), 0), coalesce(sum(s5), 0), coalesce(sum(s6), 0), coalesce(sum(s7), 0),
                 coalesce(sum(s8), 0), coalesce(sum(s9), 0), coalesce(sum(s10), 0)] AS bigint[]) AS scores
      FROM counted
     GROUP BY 1, 2, 3, 4, 5, 6, 7
     ORDER BY 1, 2, 3, 4, 6 NULLS FIRST, 7, 5
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Which answers: None means any. `since` belongs to it, `until` does not."""

    metric: Metric
    program: str | None = None
    touchpoint: str | None = None
    segment: Tier | None = None
    department: str | None = None
    region: str | None = None
    channel: Channel | None = None
    kind: SurveyKind | None = None
    since: datetime | None = None
    until: datetime | None = None


class Scale(NamedTuple):
    """What could be answered, and which end is the good one."""

    lowest: int
    highest: int
    higher_is_worse: bool


NPS_SCALE: Final = Scale(0, 10, higher_is_worse=False)


@dataclass(frozen=True, slots=True)
class Count:
    """The answers of one group on one scale of one survey kind: neither is ever added up with another."""

    kind: SurveyKind
    scale: Scale
    group: str | None
    tier: Tier | None
    """Where it was asked to tell tiers apart."""
    scores: tuple[int, ...]
    """How many answered 0, 1, … 10."""

    @property
    def n(self) -> int:
        """How many answered."""
        return sum(self.scores)


async def count(tx: Tx, series: Series, by: Grouping | None = None, *, by_tier: bool = False) -> list[Count]:
    """The groups that somebody answered in."""
    period = spans(series.since, series.until, in_days=by in {"day", "week"})
    detail = _detail(
        tier=by_tier or by == "segment" or series.segment is not None,
        region=by == "region" or series.region is not None,
    )
    rows = await tx.fetch(
        _COUNT,
        {
            "by": by,
            "by_tier": by_tier,
            "detail": detail,
            "place": 1 + DETAILS.index(detail),
            "metric": series.metric,
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
    counted = [_count(row, by) for row in rows]
    return [each for each in counted if each.n]


def _detail(*, tier: bool, region: bool) -> Detail:
    if tier:
        return "both" if region else "tier"
    return "region" if region else "neither"


def _count(row: Row[Any], by: Grouping | None) -> Count:
    group = label(by, row.period) if by in {"day", "week", "month", "quarter"} else row.name
    return Count(
        row.kind, Scale(row.scale_min, row.scale_max, row.higher_is_worse), group, row.stratum, tuple(row.scores)
    )
