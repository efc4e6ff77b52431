"""Answers counted by class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from sqlalchemy import text

if TYPE_CHECKING:
    from datetime import datetime

    from libs.events.contracts.responses import SurveyKind
    from libs.events.contracts.scores import Tier
    from libs.events.database import Tx

Grouping = Literal["touchpoint", "program", "segment", "day"]

# Read from the index `responses_by_class` alone.
_COUNT: Final = text("""
    SELECT kind,
           CASE CAST(:by AS text)
               WHEN 'touchpoint' THEN touchpoint
               WHEN 'program' THEN program
               WHEN 'segment' THEN tier
               WHEN 'day' THEN to_char(answered_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')
           END AS grouped,
           count(*) FILTER (WHERE nps_class = 'promoter') AS promoters,
           count(*) FILTER (WHERE nps_class = 'passive') AS passives,
           count(*) FILTER (WHERE nps_class = 'detractor') AS detractors
      FROM responses
     WHERE nps_class IS NOT NULL
       AND (CAST(:program AS text) IS NULL OR program = :program)
       AND (CAST(:touchpoint AS text) IS NULL OR touchpoint = :touchpoint)
       AND (CAST(:segment AS text) IS NULL OR tier = :segment)
       AND (CAST(:kind AS text) IS NULL OR kind = :kind)
       AND (CAST(:since AS timestamptz) IS NULL OR answered_at >= :since)
       AND (CAST(:until AS timestamptz) IS NULL OR answered_at < :until)
     GROUP BY 1, 2
     ORDER BY 1, 2 NULLS FIRST
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Which answers: None means any. `since` belongs to it, `until` does not."""

    program: str | None = None
    touchpoint: str | None = None
    segment: Tier | None = None
    kind: SurveyKind | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """The answers of one group of one survey kind: kinds are never added up."""

    kind: SurveyKind
    group: str | None
    promoters: int
    passives: int
    detractors: int


async def count_classes(tx: Tx, series: Series, by: Grouping | None) -> list[Count]:
    """The groups that somebody answered in."""
    rows = await tx.fetch(
        _COUNT,
        {
            "by": by,
            "program": series.program,
            "touchpoint": series.touchpoint,
            "segment": series.segment,
            "kind": series.kind,
            "since": series.since,
            "until": series.until,
        },
    )
    return [Count(row.kind, row.grouped, row.promoters, row.passives, row.detractors) for row in rows]
