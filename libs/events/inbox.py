"""Which events each consumer has already taken effect of, and which records it has set aside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import NAMESPACE_URL, UUID

from sqlalchemy import text

from libs.events.event import named
from libs.events.ids import parse
from libs.events.topics import INBOX_RETENTION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from libs.events.codec import Record
    from libs.events.database import Tx
    from libs.events.event import EventId

# In one array: as a row of its own each of them costs the driver more than twice as much.
_MARK: Final = text("""
      WITH aside AS MATERIALIZED (
               SELECT event_id FROM inbox
                WHERE event_id = ANY(CAST(:places AS uuid[])) AND consumer = :set_aside
           ), marked AS (
               INSERT INTO inbox (event_id, consumer, handled_at)
               SELECT event_id, :consumer, :now
                 FROM unnest(CAST(:ids AS uuid[]), CAST(:places AS uuid[])) AS delivered (event_id, place)
                WHERE place NOT IN (SELECT event_id FROM aside)
                ORDER BY event_id
                   ON CONFLICT DO NOTHING
               RETURNING event_id
           )
    SELECT array_agg(event_id) AS event_ids FROM marked
""")
_SET_ASIDE: Final = text("""
    INSERT INTO inbox (event_id, consumer, handled_at)
    SELECT place, :set_aside, :now FROM unnest(CAST(:places AS uuid[])) AS rejected (place)
        ON CONFLICT DO NOTHING
    RETURNING event_id
""")
_TRY: Final = text("""
    INSERT INTO inbox (event_id, consumer, handled_at) VALUES (:event_id, :consumer, :now) ON CONFLICT DO NOTHING
""")
_UNDO: Final = text("DELETE FROM inbox WHERE event_id = :event_id AND consumer = :consumer")
_PRUNE: Final = text("""
    DELETE FROM inbox
     WHERE ctid = ANY(ARRAY(SELECT ctid FROM inbox WHERE handled_at < :before LIMIT :limit))
""")
_PRUNE_ROWS: Final = 10_000
_PLACES: Final = parse(str(NAMESPACE_URL))


def place_id(record: Record) -> UUID:
    """The id of the place where a record stands: it has one, whatever its content."""
    return named(_PLACES, f"kafka:{record.topic}/{record.partition}/{record.offset}")


async def mark(tx: Tx, consumer: str, delivered: Sequence[tuple[EventId, UUID]]) -> set[EventId]:
    """Note events as handled by `consumer`; return those that it had neither handled nor set aside before.

    `delivered` are the events' ids with the ids of their places. In the handler's own transaction, so that an attempt
    that is rolled back leaves no mark. Where another process handles the same event at this moment, the statement
    waits for that one's end. In one order, so that two processes with the same events in other orders cannot wait for
    each other.
    """
    (marked,) = await tx.fetch(
        _MARK,
        {
            "consumer": consumer,
            "set_aside": _set_aside_by(consumer),
            "ids": [event_id for event_id, _ in delivered],
            "places": [place for _, place in delivered],
            "now": tx.now,
        },
    )
    return set(marked.event_ids or ())


async def set_aside(tx: Tx, consumer: str, places: Sequence[UUID]) -> set[UUID]:
    """Note records as set aside by `consumer`, by their places; return those that were not before.

    Delivered again, such a record is neither handled nor set aside: its fate is decided once.
    """
    rows = await tx.fetch(
        _SET_ASIDE, {"set_aside": _set_aside_by(consumer), "places": sorted(set(places)), "now": tx.now}
    )
    return {row.event_id for row in rows}


async def is_handled(tx: Tx, consumer: str, event_id: EventId) -> bool:
    """Whether `consumer` has taken effect of the event; waits for the end of a transaction that has it in hand.

    So this writes the mark and takes it away again: who only looks sees nothing of open transactions.
    """
    if not await tx.execute(_TRY, {"event_id": event_id, "consumer": consumer, "now": tx.now}):
        return True
    await tx.execute(_UNDO, {"event_id": event_id, "consumer": consumer})
    return False


def _set_aside_by(consumer: str) -> str:
    return f"{consumer}.dlq"


async def prune(tx: Tx) -> bool:
    """Forget some of what is older than any topic's retention; whether there may be more."""
    return await tx.execute(_PRUNE, {"before": tx.now - INBOX_RETENTION, "limit": _PRUNE_ROWS}) == _PRUNE_ROWS
