"""How often a process ended with a record in hand: so that a record that ends each process is set aside at last.

Counted is before handling, because afterwards there is nobody to count; and committed, because the end of a process
rolls everything else back. That costs a commit, so only the records at the head of a partition are noted, the first
ones after it was assigned: a process that dies of a later one leaves it nearer to the head, and the next process finds
it there.

    first batch of a partition, nothing noted before    noted as a whole; the handling transaction deletes the notes
    something in it was noted by a process before       a sixteenth of it at a time, noted before it is handled
    noted by two processes, or more                     record by record, likewise
    noted by DEATHS processes                           not handled: set aside
    a batch without earlier notes was done              the partition is trusted until it is assigned again

A note is deleted where the record is done, and taken back by a process that ends or loses the partition in peace: what
stays was left by a process that was killed, or froze. An outage leaves nothing: a process notes a record once, however
often it has to try.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
from sqlalchemy import text

from libs.events.errors import is_unavailable
from libs.events.inbox import place_id
from libs.events.topics import INBOX_RETENTION

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from uuid import UUID

    from libs.events.codec import Record
    from libs.events.database import Database, Tx

log: Final = structlog.get_logger()

DEATHS: Final = 5
_PARTS: Final = 16
"""In so many a batch is taken in which a process may have died."""
_TAKE_BACK_WITHIN: Final = timedelta(seconds=2)

_NOTED: Final = text("""
    SELECT place, attempts FROM attempts WHERE consumer = :consumer AND place = ANY(CAST(:places AS uuid[]))
""")
_NOTE: Final = text("""
    INSERT INTO attempts (consumer, place, attempts, noted_at)
    SELECT :consumer, place, 1, :now FROM unnest(CAST(:places AS uuid[])) AS held (place)
        ON CONFLICT (consumer, place) DO UPDATE
       SET attempts = attempts.attempts + 1, noted_at = excluded.noted_at
""")
_DELETE: Final = text("DELETE FROM attempts WHERE consumer = :consumer AND place = ANY(CAST(:places AS uuid[]))")
# The two parts see the same rows as they were before, and each takes its own.
_TAKE_BACK: Final = text("""
      WITH noted_by_others_too AS (
               UPDATE attempts SET attempts = attempts - 1
                WHERE consumer = :consumer AND place = ANY(CAST(:places AS uuid[])) AND attempts > 1
           )
    DELETE FROM attempts
     WHERE consumer = :consumer AND place = ANY(CAST(:places AS uuid[])) AND attempts = 1
""")
_PRUNE: Final = text("DELETE FROM attempts WHERE noted_at < :before")


class Attempts:
    """What one member of a consumer group has noted, and which of its partitions it trusts."""

    def __init__(self, consumer: str, database: Database) -> None:
        self._consumer = consumer
        self._database = database
        self._assignment = 0
        self._trusted: set[tuple[str, int]] = set()
        self._mine: set[UUID] = set()
        """Noted by this process, and not done."""
        self._peril = False
        """Whether something in the batch in hand was noted by a process before."""

    async def earlier(self, records: Sequence[Record], assignment: int) -> dict[UUID, int] | None:
        """With how many earlier processes in peril each of `records` was in hand; None where there is no peril.

        None means that the batch may be handled as a whole: it is trusted, or it is noted now. `assignment` is the
        number of the last assignment of partitions, after which none of them is trusted.
        """
        if assignment != self._assignment:
            await self._take_back()
            self._trusted.clear()
            self._assignment = assignment
        if not self._mine and all((record.topic, record.partition) in self._trusted for record in records):
            return None
        places = [place_id(record) for record in records]
        async with self._database.transaction() as tx:
            rows = await tx.fetch(_NOTED, {"consumer": self._consumer, "places": places})
            counts = {row.place: row.attempts - (row.place in self._mine) for row in rows}
            self._peril = any(counts.values())
            new = [] if self._peril else [place for place in places if place not in self._mine]
            if new:
                await self._insert(tx, new)
        self._mine.update(new)
        return counts if self._peril else None

    async def note(self, records: Sequence[Record]) -> None:
        """Note that this process takes `records` in hand, once however often it does."""
        new = {place_id(record) for record in records} - self._mine
        if new:
            async with self._database.transaction() as tx:
                await self._insert(tx, new)
            self._mine.update(new)

    async def done(self, tx: Tx, records: Sequence[Record]) -> None:
        """Delete, in the transaction that decides about `records`, what was noted of them."""
        places = self._noted(records)
        if places:
            await tx.execute(_DELETE, {"consumer": self._consumer, "places": places})

    def committed(self, records: Sequence[Record]) -> None:
        """Take notice that the transaction of `done` is committed."""
        if self._mine:
            self._mine.difference_update(self._noted(records))
            if not self._peril:
                self._trusted.update((record.topic, record.partition) for record in records)

    async def end(self) -> None:
        """Take back, within a bound, what was noted: this process ends, and no record is to blame."""
        try:
            async with asyncio.timeout(_TAKE_BACK_WITHIN.total_seconds()):
                await self._take_back()
        except Exception as error:
            # Broad: what an absent database looks like has many types. The notes stay, which says one process too many.
            if not is_unavailable(error):
                raise
            log.warning("attempts.not_taken_back", consumer=self._consumer, records=len(self._mine))

    async def _take_back(self) -> None:
        if self._mine:
            async with self._database.transaction() as tx:
                await tx.execute(_TAKE_BACK, {"consumer": self._consumer, "places": sorted(self._mine)})
            self._mine.clear()

    async def _insert(self, tx: Tx, places: Collection[UUID]) -> None:
        await tx.execute(_NOTE, {"consumer": self._consumer, "places": sorted(set(places)), "now": tx.now})

    def _noted(self, records: Sequence[Record]) -> list[UUID]:
        if not self._mine:
            return []
        return sorted(place for record in records if (place := place_id(record)) in self._mine)


def deaths(record: Record, earlier: Mapping[UUID, int]) -> int:
    """With how many processes `record` was in hand when they ended."""
    return earlier.get(place_id(record), 0)


def handfuls(records: Sequence[Record], earlier: Mapping[UUID, int]) -> list[list[Record]]:
    """`records` in their order, as they are taken in hand where there is peril.

    Most processes end for no fault of a record's. So what only one of them ended with is taken a few at a time: a
    record that is to blame costs its few neighbours a second note, and no more.
    """
    few = max(1, len(records) // _PARTS)
    taken: list[list[Record]] = []
    growing = False
    for record in records:
        harmless = deaths(record, earlier) <= 1
        if growing and harmless and len(taken[-1]) < few:
            taken[-1].append(record)
        else:
            taken.append([record])
        growing = harmless
    return taken


async def prune(tx: Tx) -> None:
    """Forget what was noted of records that no topic can bring back."""
    await tx.execute(_PRUNE, {"before": tx.now - INBOX_RETENTION})
