"""Who was mentioned in which comment, and has not read it yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.casework.domain.cases import Case
    from services.casework.domain.names import AgentId

_ADD: Final = text("""
    INSERT INTO mentions (case_id, version, person_id, at)
    SELECT :case_id, :version, person_id, :now FROM unnest(CAST(:people AS text[])) AS mentioned (person_id)
""")

_LIST: Final = text("""
    SELECT mentions.case_id, mentions.version, mentions.at, mentions.read_at, timeline.text, timeline.actor_kind,
           timeline.actor_id, agents.name AS actor_name, customers.name AS customer_name, cases.status
      FROM mentions
      JOIN cases ON cases.id = mentions.case_id
      JOIN timeline ON timeline.case_id = mentions.case_id AND timeline.version = mentions.version
      LEFT JOIN agents ON agents.id = timeline.actor_id AND timeline.actor_kind = 'person'
      LEFT JOIN customers ON customers.customer_id = cases.customer_id
     WHERE person_id = :person_id AND (NOT :unread OR read_at IS NULL)
       AND (mentions.at, mentions.case_id, mentions.version)
           < (:before, CAST(:before_case AS uuid), CAST(:before_version AS integer))
     ORDER BY mentions.at DESC, mentions.case_id DESC, mentions.version DESC
     LIMIT :limit
""")

_READ: Final = text("""
    UPDATE mentions
       SET read_at = :now
     WHERE person_id = :person_id AND read_at IS NULL
       AND (CAST(:case_id AS uuid) IS NULL OR case_id = :case_id)
""")

_UNREAD: Final = text("SELECT count(*) AS unread FROM mentions WHERE person_id = :person_id AND read_at IS NULL")


async def add(tx: Tx, case: Case, people: Sequence[AgentId]) -> None:
    """These people were mentioned in the comment that brought the case to its version."""
    if people:
        parameters = {"case_id": case.id, "version": case.version, "people": list(people), "now": tx.now}
        await tx.execute(_ADD, parameters)


async def of_person(
    tx: Tx, person_id: str, *, unread: bool, before: tuple[datetime, UUID, int], limit: int
) -> Sequence[Row[Any]]:
    """Where the person was mentioned, the latest first, before this place."""
    return await tx.fetch(
        _LIST,
        {
            "person_id": person_id,
            "unread": unread,
            "before": before[0],
            "before_case": before[1],
            "before_version": before[2],
            "limit": limit,
        },
    )


async def count_unread(tx: Tx, person_id: str) -> int:
    """How many mentions the person has not read."""
    (row,) = await tx.fetch(_UNREAD, {"person_id": person_id})
    return int(row.unread)


async def read(tx: Tx, person_id: str, case_id: UUID | None) -> None:
    """The person has read where they were mentioned: in this case, or everywhere."""
    await tx.execute(_READ, {"person_id": person_id, "case_id": case_id, "now": tx.now})
