"""Which events each consumer has already taken effect of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from libs.events.topics import INBOX_RETENTION

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from libs.events.database import Tx

_MARK: Final = text("""
    INSERT INTO inbox (event_id, consumer, handled_at)
    SELECT event_id, :consumer, :now FROM unnest(CAST(:ids AS uuid[])) AS delivered (event_id)
        ON CONFLICT DO NOTHING
    RETURNING event_id
""")
_PRUNE: Final = text("""
    DELETE FROM inbox
     WHERE ctid = ANY(ARRAY(SELECT ctid FROM inbox WHERE handled_at < :before LIMIT :limit))
""")
_PRUNE_ROWS: Final = 10_000


async def mark(tx: Tx, consumer: str, ids: Sequence[UUID]) -> set[UUID]:
    """Note `ids` as handled by `consumer`; return those that it had not handled before.

    In the handler's own transaction, so that an attempt that is rolled back leaves no mark. Where another process
    handles the same event at this moment, the statement waits for that one's end. Sorted, so that two processes with
    the same events in other orders cannot wait for each other.
    """
    rows = await tx.fetch(_MARK, {"consumer": consumer, "ids": sorted(set(ids)), "now": tx.now})
    return {row.event_id for row in rows}


async def prune(tx: Tx) -> bool:
    """Forget some of what is older than any topic's retention; whether there may be more."""
    return await tx.execute(_PRUNE, {"before": tx.now - INBOX_RETENTION, "limit": _PRUNE_ROWS}) == _PRUNE_ROWS
