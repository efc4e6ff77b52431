"""Half hours in which somebody calls somebody, as agreed.

Every agreed callback touches one or two. What people agree by hand takes those that are free and overrules nobody's
judgement; what a customer chooses by a link has to get its own, or is refused: the key of the table decides who came
first, also between two who come at the same moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from libs.events.database import Tx
    from services.casework.domain.names import AgentId, CaseId

_LEAVE: Final = text("DELETE FROM callback_cells WHERE callback_id = ANY(CAST(:ids AS uuid[]))")
# In one order, so that two transactions that take several cannot wait for each other.
_TAKE: Final = text("""
    INSERT INTO callback_cells (agent_id, cell, callback_id)
    SELECT cases.owner_id, cell, callbacks.id
      FROM callbacks
      JOIN cases ON cases.id = callbacks.case_id
     CROSS JOIN generate_series(
           date_bin('30 minutes', callbacks.at, TIMESTAMPTZ '2000-01-01 00:00:00+00'),
           callbacks.at + INTERVAL '30 minutes' - INTERVAL '1 microsecond', INTERVAL '30 minutes') AS cell
     WHERE callbacks.id = ANY(CAST(:ids AS uuid[])) AND callbacks.state = 'agreed'
     ORDER BY 1, 2
        ON CONFLICT DO NOTHING
""")
_OF_CASES: Final = text("""
    SELECT id FROM callbacks WHERE case_id = ANY(CAST(:cases AS uuid[])) AND state = 'agreed'
""")
_HOLDS: Final = text("""
    SELECT EXISTS (SELECT FROM callback_cells WHERE callback_id = :id AND agent_id = :agent AND cell = :cell) AS holds
""")
_TAKEN: Final = text("""
    SELECT cell FROM callback_cells
     WHERE agent_id = :agent AND cell >= :since AND cell < :until AND callback_id <> :but
""")


async def follow(tx: Tx, callback_ids: Sequence[UUID]) -> None:
    """Let these callbacks leave the half hours that they had and take those of their time, where these are free."""
    await tx.execute(_LEAVE, {"ids": list(callback_ids)})
    await tx.execute(_TAKE, {"ids": list(callback_ids)})


async def follow_owners(tx: Tx, cases: Sequence[CaseId]) -> None:
    """The same for the callbacks of cases that have another owner now."""
    rows = await tx.fetch(_OF_CASES, {"cases": list(cases)})
    if rows:
        await follow(tx, [row.id for row in rows])


async def holds(tx: Tx, callback_id: UUID, agent_id: AgentId, cell: datetime) -> bool:
    """Whether the callback got this half hour of this agent's."""
    row = await tx.fetch_one(_HOLDS, {"id": callback_id, "agent": agent_id, "cell": cell})
    return row is not None and bool(row.holds)


async def taken(tx: Tx, agent_id: AgentId, since: datetime, until: datetime, *, but: UUID) -> set[datetime]:
    """The half hours in which this agent calls somebody, without those of one callback."""
    rows = await tx.fetch(_TAKEN, {"agent": agent_id, "since": since, "until": until, "but": but})
    return {row.cell for row in rows}
