"""What was before a change and what came after it, counted from cases and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.casework.domain.names import SurveyKind

# Of the cases whose root cause is known, those with the initiative's causes or one below them.
_CAUSES: Final = text("""
    WITH RECURSIVE below AS (
        SELECT id FROM root_causes
         WHERE id = ANY((SELECT root_causes FROM initiatives WHERE initiatives.id = :id)::text[])
         UNION
        SELECT root_causes.id FROM root_causes JOIN below ON root_causes.parent_id = below.id
    )
    SELECT count(*) AS among, count(*) FILTER (WHERE root_cause_id IN (SELECT id FROM below)) AS found
      FROM cases
     WHERE root_cause_id IS NOT NULL AND opened_at >= :since AND opened_at < :until
""")

# Of the answers with a comment, those that mention one of the initiative's themes.
_THEMES: Final = text("""
    SELECT count(*) AS among,
           count(*) FILTER (WHERE answers.themes && CAST(:themes AS text[])) AS found
      FROM answers
     WHERE comment IS NOT NULL AND answered_at >= :since AND answered_at < :until
""")

# Where the cases behind the initiative come from: survey kinds are never added up.
_SCORES: Final = text("""
    WITH places AS (
        SELECT DISTINCT cases.program, cases.touchpoint
          FROM initiative_cases JOIN cases ON cases.id = initiative_cases.case_id
         WHERE initiative_cases.initiative_id = :id
    )
    SELECT answers.kind,
           count(*) FILTER (WHERE nps_class = 'promoter') AS promoters,
           count(*) FILTER (WHERE nps_class = 'passive') AS passives,
           count(*) FILTER (WHERE nps_class = 'detractor') AS detractors
      FROM answers
      JOIN places ON places.program = answers.program AND places.touchpoint IS NOT DISTINCT FROM answers.touchpoint
     WHERE nps_class IS NOT NULL AND answered_at >= :since AND answered_at < :until
     GROUP BY answers.kind
""")


async def causes(tx: Tx, id_: UUID, since: datetime, until: datetime) -> tuple[int, int]:
    """(how many cases have one of its root causes, of how many), opened in this time."""
    row = await tx.fetch_one(_CAUSES, {"id": id_, "since": since, "until": until})
    return (row.found, row.among) if row is not None else (0, 0)


async def themes(tx: Tx, themes_: Sequence[str], since: datetime, until: datetime) -> tuple[int, int]:
    """(how many comments mention one of these themes, of how many), in answers of this time."""
    row = await tx.fetch_one(_THEMES, {"themes": list(themes_), "since": since, "until": until})
    return (row.found, row.among) if row is not None else (0, 0)


async def scores(tx: Tx, id_: UUID, since: datetime, until: datetime) -> dict[SurveyKind, Row[Any]]:
    """NPS classes by survey kind where the cases behind it come from, in answers of this time."""
    return {row.kind: row for row in await tx.fetch(_SCORES, {"id": id_, "since": since, "until": until})}
