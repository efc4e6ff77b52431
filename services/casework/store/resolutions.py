"""What each resolution was: its root cause as it read then, and the effort that it took the customer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.casework.domain.cases import Case
    from services.casework.domain.commands import Effort
    from services.casework.domain.names import Tier

EffortGrouping = Literal["root_cause", "tier", "program", "touchpoint"]

_ADD: Final = text("""
    INSERT INTO resolutions (case_id, round, at, root_cause_id, root_cause_version, customer_contacts, passed_on)
    VALUES (:case_id, :round, :at, :root_cause_id, :root_cause_version, :customer_contacts, :passed_on)
""")

_OF_CASE: Final = text("""
    SELECT resolutions.round, resolutions.at, resolutions.root_cause_id, root_cause_version, name_ru, name_en,
           customer_contacts, passed_on
      FROM resolutions
      LEFT JOIN root_cause_versions
        ON root_cause_versions.root_cause_id = resolutions.root_cause_id
       AND root_cause_versions.version = resolutions.root_cause_version
     WHERE case_id = :case_id
     ORDER BY resolutions.round
""")

# A case is counted by its latest resolution, one that did not last, too: the effort was spent.
_EFFORT: Final = text("""
    WITH latest AS (
        SELECT DISTINCT ON (case_id) case_id, resolutions.root_cause_id, customer_contacts, passed_on,
               cases.tier, cases.program, cases.touchpoint
          FROM resolutions JOIN cases ON cases.id = resolutions.case_id
         WHERE cases.opened_at >= :since AND cases.opened_at < :until
           AND (CAST(:tier AS text) IS NULL OR cases.tier = :tier)
           AND (CAST(:program AS text) IS NULL OR cases.program = :program)
         ORDER BY case_id, resolutions.round DESC
    )
    SELECT CASE CAST(:by AS text)
               WHEN 'root_cause' THEN root_cause_id
               WHEN 'tier' THEN tier
               WHEN 'program' THEN program
               WHEN 'touchpoint' THEN touchpoint
           END AS grouped,
           customer_contacts, count(*) AS resolutions, count(passed_on) AS asked,
           count(*) FILTER (WHERE passed_on) AS passed_on
      FROM latest
     GROUP BY 1, 2
     ORDER BY 1 NULLS LAST, 2
""")


async def add(tx: Tx, case: Case, root_cause_version: int, effort: Effort) -> None:
    """Remember the resolution that `case` just came to."""
    await tx.execute(
        _ADD,
        {
            "case_id": case.id,
            "round": case.round,
            "at": case.resolved_at,
            "root_cause_id": case.root_cause_id,
            "root_cause_version": root_cause_version,
            "customer_contacts": effort.customer_contacts,
            "passed_on": effort.passed_on,
        },
    )


async def of_case(tx: Tx, case_id: UUID) -> Sequence[Row[Any]]:
    """The resolutions of the case, the first first."""
    return await tx.fetch(_OF_CASE, {"case_id": case_id})


async def effort(
    tx: Tx, *, since: datetime, until: datetime, by: EffortGrouping | None, tier: Tier | None, program: str | None
) -> Sequence[Row[Any]]:
    """Resolved cases opened in this time, counted by group and by how many contacts each took the customer."""
    return await tx.fetch(_EFFORT, {"since": since, "until": until, "by": by, "tier": tier, "program": program})
