"""The consumer: records in, each effect once, offsets behind effects, poison set aside, and never a record lost.

A batch is handled optimistically: inbox, the handler's rows and its events in one transaction. A large one is parted by
its keys, so that one part is worked out while PostgreSQL has the other; if something is wrong with a part, the batch is
handled as a whole, with the dead letters of what cannot be decoded. If that raises, it is rolled back, and

    database or broker away     rewind, wait, take the same records again; nothing is decided about them
    the process itself          whoever comes next takes few at a time, and at last record by record (see `attempts`):
        ended five times            set aside
    anything else               record by record, each with its own transaction and attempts:
        PermanentError              set aside at once
        any other error             five attempts with backoff, then set aside; one attempt for what is replayed
        too many set aside in a row stop the process; the record in hand and all after it stay unread;
                                    what is replayed counts neither way: it was set aside before

Offsets are committed after the transaction. A kill between the two delivers the records again, and the inbox finds
them done.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import structlog

from libs.events import inbox
from libs.events.attempts import DEATHS, Attempts, deaths, handfuls
from libs.events.codec import Record, decode, id_of, type_of
from libs.events.crashpoint import crashpoint
from libs.events.errors import Lethal, PermanentError, TooManyDeadLetters, Unavailable, Undecodable, is_unavailable
from libs.events.loop import Outage, wait_for
from libs.events.rejection import Rejected, dead_letter
from libs.events.retry import RECORD, Backoff
from libs.events.telemetry import BATCH_SECONDS, ISOLATIONS, RECORDS, RETRIES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from uuid import UUID

    from libs.events.database import Database, Tx
    from libs.events.event import Contract, Event, EventId
    from libs.events.health import Health
    from libs.events.subscription import Subscription
    from libs.events.topics import Topic

    Handler = Callable[[Tx, Sequence[Event[Contract]]], Awaitable[None]]
    Wanted = Callable[[Tx], Awaitable[frozenset[str]]]
    """The event types that a handler has anything to do with at this moment."""

log: Final = structlog.get_logger()

BATCH: Final = 1_000
DEAD_LETTERS_IN_A_ROW: Final = 20
APART_FROM: Final = 200
"""Records in a batch from which on half of them are worth a transaction of their own."""
_POLL: Final = timedelta(seconds=1)
_LOOK_EVERY: Final = timedelta(seconds=5)
"""How often an idle consumer makes sure that the broker is still there; a poll alone does not tell."""


@dataclass(frozen=True, slots=True)
class _Applied:
    """What became of records in a transaction; told to operators when it is committed."""

    handled: int = 0
    duplicate: int = 0
    skipped: tuple[Record, ...] = ()
    set_aside: tuple[Rejected, ...] = ()
    in_a_row: int = 0
    """How many were set aside since one was last handled."""


class Consumer:
    """Takes the records of one topic, and what is replayed of them, for one handler."""

    def __init__(
        self,
        name: str,
        topic: Topic,
        handle: Handler,
        *,
        database: Database,
        subscription: Subscription,
        health: Health,
        alone: asyncio.Lock | None = None,
        wanted: Wanted | None = None,
        backoff: Backoff = RECORD,
        dead_letters_in_a_row: int = DEAD_LETTERS_IN_A_ROW,
    ) -> None:
        """`alone` is the process's: of several consumers, one has a record in hand that a process may have died of.

        Of types that are not `wanted`, in the same transaction, records are passed over: not decoded, in no inbox.
        """
        self._consumer = name
        self.name: Final = f"{name}:{topic.name}"
        """Of the loop: a group may read several topics, and each has a loop that can get stuck."""
        self._topic = topic
        self._replays = topic.replays(name)
        self._handle = handle
        self._database = database
        self._subscription = subscription
        self._health = health
        self._outage = Outage(self.name, health)
        self._attempts = Attempts(name, database)
        self._alone = alone or asyncio.Lock()
        self._wanted = wanted
        self._backoff = backoff
        self._limit = dead_letters_in_a_row
        self._in_a_row = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop`. Raises TooManyDeadLetters."""
        try:
            await self._run(stop)
        except Exception:
            # Broad, and raised again: all of these are told, unlike a cancellation, which comes to whoever is too late.
            await self._attempts.end()
            raise
        else:
            await self._attempts.end()
        finally:
            await self._subscription.stop()

    async def _run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._health.beat(self.name)
            try:
                await self._subscription.start()
                await self._consume(stop)
            except Exception as error:  # noqa: BLE001 - an absent database has many types; all others go up
                await self._outage.wait(error, stop)

    async def _consume(self, stop: asyncio.Event) -> None:
        looked_at = -_LOOK_EVERY.total_seconds()
        while not stop.is_set():
            self._health.beat(self.name)
            async with self._subscription.batch(BATCH, _POLL) as records:
                if records:
                    crashpoint(f"{self._consumer}.after_consume")
                    began = time.monotonic()
                    await self.take(records, stop)
                    BATCH_SECONDS.labels(self._consumer).observe(time.monotonic() - began)
                    self._outage.over()
            if not records and time.monotonic() - looked_at > _LOOK_EVERY.total_seconds():
                await self._subscription.reachable()
                await self._database.ping()
                self._outage.over()
                looked_at = time.monotonic()

    async def take(self, records: Sequence[Record], stop: asyncio.Event) -> None:
        """Handle one batch to its end, or rewind what is not done; raises Unavailable, TooManyDeadLetters."""
        try:
            earlier = await self._attempts.earlier(records, self._subscription.assignment)
        except Exception as error:
            # Broad, to tell an outage from a defect; a defect here is no record's fault and ends the process.
            if not is_unavailable(error):
                raise
            self._subscription.rewind(records)
            raise Unavailable(str(error)) from error
        if earlier is not None:
            log.warning("batch.after_a_death", consumer=self._consumer, records=len(records))
            await self._one_by_one(records, stop, earlier)
            return
        if len(records) >= APART_FROM and await self._taken_apart(records):
            return
        try:
            async with self._database.transaction() as tx:
                applied = await self._apply(tx, records)
                crashpoint(f"{self._consumer}.before_commit")
        except Exception as error:
            # Broad: whatever went wrong, it is either an outage or some record's fault; both are dealt with here.
            if is_unavailable(error):
                self._subscription.rewind(records)
                raise Unavailable(str(error)) from error
            ISOLATIONS.labels(self._consumer).inc()
            log.info("batch.isolated", consumer=self._consumer, records=len(records), error=type(error).__name__)
            await self._one_by_one(records, stop)
        else:
            self._committed(applied, records)
            await self._commit(records)

    async def _taken_apart(self, records: Sequence[Record]) -> bool:
        """Handle `records` in two transactions at a time; False where one of them failed, whatever the reason.

        What the other one has committed, whoever then takes the whole finds done.
        """
        parts = _parts(records)
        ends = await asyncio.gather(*(self._apply_part(part) for part in parts), return_exceptions=True)
        for part, end in zip(parts, ends, strict=True):
            if isinstance(end, _Applied):
                self._committed(end, part)
            elif not isinstance(end, Exception):
                raise end
        if any(isinstance(end, Exception) for end in ends):
            return False
        await self._commit(records)
        return True

    async def _apply_part(self, records: Sequence[Record]) -> _Applied:
        """Everything that `records` cause; raises what is wrong with one of them, also where it could be set aside."""
        async with self._database.transaction() as tx:
            applied = await self._apply(tx, records)
            if applied.set_aside:
                raise applied.set_aside[0].error
            crashpoint(f"{self._consumer}.before_commit")
        return applied

    async def _apply(self, tx: Tx, records: Sequence[Record]) -> _Applied:
        """Everything that `records` cause, in `tx`."""
        events: dict[int, Event[Any]] = {}
        rejected: list[Rejected] = []
        skipped: list[Record] = []
        wanted = None if self._wanted is None else await self._wanted(tx)
        for place, record in enumerate(records):
            if wanted is not None and type_of(record) not in wanted:
                continue
            try:
                event = decode(record)
            except Undecodable as error:
                rejected.append(Rejected(record, error, attempts=1))
                continue
            if event is None:
                skipped.append(record)
            else:
                events[place] = event

        new = await self._mark(tx, records, events)
        fresh: dict[int, Event[Any]] = {}
        for place, event in events.items():
            if event.id in new:
                new.discard(event.id)
                fresh[place] = event
        if fresh:
            await self._handle(tx, list(fresh.values()))
        set_aside = await self._set_aside(tx, rejected)
        await self._attempts.done(tx, records)
        return _Applied(
            handled=len(fresh),
            duplicate=len(events) - len(fresh) + len(rejected) - len(set_aside),
            skipped=tuple(skipped),
            set_aside=set_aside,
            in_a_row=self._count_in_a_row(records, fresh, set_aside),
        )

    async def _mark(self, tx: Tx, records: Sequence[Record], events: dict[int, Event[Any]]) -> set[EventId]:
        if not events:
            return set()
        return await inbox.mark(
            tx, self._consumer, [(event.id, inbox.place_id(records[place])) for place, event in events.items()]
        )

    def _count_in_a_row(
        self, records: Sequence[Record], fresh: dict[int, Event[Any]], set_aside: Sequence[Rejected]
    ) -> int:
        """How many were set aside since one was last handled; what was passed over says nothing either way.

        Raises the error of the one that is too many: the batch is then redone one by one, and the breaker stops there.
        """
        errors = {id(each.record): each.error for each in set_aside}
        in_a_row = self._in_a_row
        for place, record in enumerate(records):
            if record.topic == self._replays:
                continue
            if place in fresh:
                in_a_row = 0
            elif (error := errors.get(id(record))) is not None:
                in_a_row += 1
                if in_a_row > self._limit:
                    raise error
        return in_a_row

    async def _one_by_one(
        self, records: Sequence[Record], stop: asyncio.Event, earlier: Mapping[UUID, int] | None = None
    ) -> None:
        done = 0
        for some in [[record] for record in records] if earlier is None else handfuls(records, earlier):
            try:
                if earlier is None:
                    await self._one(some[0], stop)
                else:
                    await self._in_peril(some, stop, deaths(some[0], earlier))
            except (Unavailable, TooManyDeadLetters, _Stopped) as error:
                self._subscription.rewind(records[done:])
                if done:
                    await self._commit(records[:done])
                if isinstance(error, _Stopped):
                    return
                raise
            done += len(some)
        await self._commit(records)

    async def _in_peril(self, some: Sequence[Record], stop: asyncio.Event, count: int) -> None:
        """Handle records that a process may have died of, `count` processes so far; noted before.

        Several of them at once where that goes well.
        """
        async with self._alone:
            if stop.is_set():
                raise _Stopped
            try:
                await self._attempts.note(some)
            except Exception as error:
                # Broad, to tell an outage from a defect.
                if is_unavailable(error):
                    raise Unavailable(str(error)) from error
                raise
            if len(some) > 1 and await self._at_once(some):
                return
            for record in some:
                if count < DEATHS:
                    await self._one(record, stop)
                else:
                    await self._reject(Rejected(record, Lethal(count), count))

    async def _at_once(self, some: Sequence[Record]) -> bool:
        """Handle these in one transaction; False where one of them is at fault. Raises Unavailable."""
        self._health.beat(self.name)
        try:
            applied = await self._apply_part(some)
        except Exception as error:
            if is_unavailable(error):
                raise Unavailable(str(error)) from error
            return False
        self._committed(applied, some)
        return True

    async def _one(self, record: Record, stop: asyncio.Event) -> None:
        attempt = 0
        while True:
            if stop.is_set():
                raise _Stopped
            attempt += 1
            self._health.beat(self.name)
            try:
                async with self._database.transaction() as tx:
                    applied = await self._apply(tx, [record])
                    crashpoint(f"{self._consumer}.before_commit")
            except Exception as error:
                # Broad: a handler's error of any type is classified here, and never passed over.
                if is_unavailable(error):
                    raise Unavailable(str(error)) from error
                # What is replayed has somebody who looks at what becomes of it; its neighbours do not wait for it.
                once = isinstance(error, PermanentError) or record.topic == self._replays
                wait = None if once else self._backoff.next(attempt)
                if wait is None:
                    await self._reject(Rejected(record, error, attempt))
                    return
                RETRIES.labels(self._consumer).inc()
                await wait_for(stop, wait)
            else:
                self._committed(applied, [record])
                return

    async def _reject(self, rejected: Rejected) -> None:
        replayed = rejected.record.topic == self._replays
        if self._in_a_row >= self._limit and not replayed:
            raise TooManyDeadLetters(self._consumer, self._limit) from rejected.error
        try:
            async with self._database.transaction() as tx:
                # Nothing was asked about the event of a record that was not handled. A member that was thought dead
                # may be about to commit it.
                known = isinstance(rejected.error, Lethal) and await self._is_handled(tx, rejected.record)
                set_aside = () if known else await self._set_aside(tx, [rejected])
                await self._attempts.done(tx, [rejected.record])
        except Exception as error:
            # Broad, to tell an outage from a defect; either way the record is not passed over.
            if is_unavailable(error):
                raise Unavailable(str(error)) from error
            raise
        in_a_row = self._in_a_row + (not replayed and not known)
        self._committed(_Applied(duplicate=int(known), set_aside=set_aside, in_a_row=in_a_row), [rejected.record])

    async def _is_handled(self, tx: Tx, record: Record) -> bool:
        event_id = id_of(record)
        return event_id is not None and await inbox.is_handled(tx, self._consumer, event_id)

    async def _set_aside(self, tx: Tx, rejected: Sequence[Rejected]) -> tuple[Rejected, ...]:
        """Dead-letter, once however often the records come: known by their place, as they may have no id."""
        if not rejected:
            return ()
        ids = {inbox.place_id(each.record): each for each in rejected}
        new = await inbox.set_aside(tx, self._consumer, list(ids))
        set_aside = tuple(each for id_, each in ids.items() if id_ in new)
        topic = self._topic.dead_letters(self._consumer)
        for each in set_aside:
            letter = dead_letter(each, topic=topic, consumer=self._consumer, now=tx.now)
            tx.emit_record(letter.topic, letter.key, letter.value, letter.headers)
        return set_aside

    def _committed(self, applied: _Applied, records: Sequence[Record]) -> None:
        """Take note of what a committed transaction did; of a rolled-back one there is nothing to tell."""
        self._attempts.committed(records)
        self._in_a_row = applied.in_a_row
        for outcome, count in (
            ("handled", applied.handled),
            ("duplicate", applied.duplicate),
            ("skipped", len(applied.skipped)),
            ("dead_lettered", len(applied.set_aside)),
        ):
            if count:
                RECORDS.labels(self._consumer, outcome).inc(count)
        for record in applied.skipped:
            log.info("event.skipped", consumer=self._consumer, type=type_of(record))
        for each in applied.set_aside:
            log.error(
                "record.dead_lettered",
                consumer=self._consumer,
                topic=each.record.topic,
                partition=each.record.partition,
                offset=each.record.offset,
                type=type_of(each.record),
                error=type(each.error).__name__,
                attempts=each.attempts,
            )

    async def _commit(self, records: Sequence[Record]) -> None:
        offsets: dict[tuple[str, int], int] = {}
        for record in records:
            place = (record.topic, record.partition)
            offsets[place] = max(offsets.get(place, 0), record.offset + 1)
        crashpoint(f"{self._consumer}.between_commits")
        try:
            await self._subscription.commit(offsets)
        except Unavailable:
            # Taken again, they are found done, and the offsets get another chance also where nothing follows them.
            self._subscription.rewind(records)
            raise
        crashpoint(f"{self._consumer}.after_offsets")


def _parts(records: Sequence[Record]) -> tuple[list[Record], list[Record]]:
    """`records` in two parts of about the same size; all of a key are in one of them, in their order."""
    parts: tuple[list[Record], list[Record]] = ([], [])
    for record in records:
        parts[crc32(record.key or b"") & 1].append(record)
    return parts


class _Stopped(Exception):
    """The consumer was told to stop before the record was done."""
