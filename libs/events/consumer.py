"""The consumer: records in, each effect once, offsets behind effects, poison set aside, and never a record lost.

A batch is handled optimistically in one transaction: inbox, the handler's rows, its events, the dead letters of what
cannot be decoded. If that raises, it is rolled back, and

    database or broker away     rewind, wait, take the same records again; nothing is decided about them
    anything else               record by record, each with its own transaction and attempts:
        PermanentError              set aside at once
        any other error             five attempts with backoff, then set aside
        too many set aside in a row stop the process; the record in hand and all after it stay unread

Offsets are committed after the transaction. A kill between the two delivers the records again, and the inbox finds
them done.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import NAMESPACE_URL, UUID, uuid5

import structlog

from libs.events import inbox
from libs.events.codec import Record, decode, type_of
from libs.events.errors import PermanentError, TooManyDeadLetters, Unavailable, Undecodable, is_unavailable
from libs.events.loop import wait_for
from libs.events.retry import OUTAGE, RECORD, Backoff
from libs.events.telemetry import BATCH_SECONDS, ISOLATIONS, OUTAGES, RECORDS, RETRIES

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from libs.events.database import Database, Tx
    from libs.events.event import Contract, Event
    from libs.events.health import Health
    from libs.events.topics import Topic

    Handler = Callable[[Tx, Sequence[Event[Contract]]], Awaitable[None]]

log: Final = structlog.get_logger()

BATCH: Final = 500
DEAD_LETTERS_IN_A_ROW: Final = 20
_POLL: Final = timedelta(seconds=1)
_LOOK_EVERY: Final = timedelta(seconds=5)
"""How often an idle consumer makes sure that the broker is still there; a poll alone does not tell."""


class Subscription(Protocol):
    """One member of a consumer group: real Kafka, or the memory broker of the tests."""

    async def start(self) -> None:
        """Join; raises Unavailable."""

    async def stop(self) -> None:
        """Leave."""

    def batch(self, limit: int, wait: timedelta) -> AbstractAsyncContextManager[Sequence[Record]]:
        """Up to `limit` records in order per partition; a rebalance waits until the block is left."""

    async def commit(self, offsets: dict[tuple[str, int], int]) -> None:
        """Note the next offset to be read of each (topic, partition)."""

    def rewind(self, records: Sequence[Record]) -> None:
        """Deliver `records` again at the next poll, where their partitions are still ours."""

    async def reachable(self) -> None:
        """Raise Unavailable unless a broker answers."""


@dataclass(frozen=True, slots=True)
class _Rejected:
    """A record that is set aside, with why."""

    record: Record
    error: Exception
    attempts: int


class Consumer:
    """Takes the records of one topic for one handler."""

    def __init__(
        self,
        name: str,
        topic: Topic,
        handle: Handler,
        *,
        database: Database,
        subscription: Subscription,
        health: Health,
        backoff: Backoff = RECORD,
        dead_letters_in_a_row: int = DEAD_LETTERS_IN_A_ROW,
    ) -> None:
        self.name: Final = name
        self._topic = topic
        self._handle = handle
        self._database = database
        self._subscription = subscription
        self._health = health
        self._backoff = backoff
        self._limit = dead_letters_in_a_row
        self._rejected_in_a_row = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop`. Raises TooManyDeadLetters."""
        outages = 0
        try:
            while not stop.is_set():
                self._health.beat(self.name)
                try:
                    await self._subscription.start()
                    await self._consume(stop)
                    outages = 0
                except Exception as error:
                    # Broad, because what an absent database looks like has many types; all others go up.
                    if not is_unavailable(error):
                        raise
                    outages += 1
                    OUTAGES.labels(self.name).inc()
                    self._health.trouble(self.name, f"{type(error).__name__}: database or broker away")
                    log.warning("consumer.outage", consumer=self.name, error=str(error), attempt=outages)
                    await wait_for(stop, OUTAGE.next(outages) or OUTAGE.longest)
        finally:
            await self._subscription.stop()

    async def _consume(self, stop: asyncio.Event) -> None:
        looked_at = 0.0
        while not stop.is_set():
            self._health.beat(self.name)
            async with self._subscription.batch(BATCH, _POLL) as records:
                if records:
                    began = time.monotonic()
                    await self.take(records, stop)
                    BATCH_SECONDS.labels(self.name).observe(time.monotonic() - began)
                    self._health.well(self.name)
                    return
            if time.monotonic() - looked_at > _LOOK_EVERY.total_seconds():
                await self._subscription.reachable()
                await self._database.ping()
                self._health.well(self.name)
                looked_at = time.monotonic()

    async def take(self, records: Sequence[Record], stop: asyncio.Event) -> None:
        """Handle one batch to its end, or rewind what is not done; raises Unavailable, TooManyDeadLetters."""
        try:
            async with self._database.transaction() as tx:
                rejected_in_a_row = await self._apply(tx, records)
        except Exception as error:
            # Broad: whatever went wrong, it is either an outage or some record's fault; both are dealt with here.
            if is_unavailable(error):
                self._subscription.rewind(records)
                raise Unavailable(str(error)) from error
            ISOLATIONS.labels(self.name).inc()
            log.info("batch.isolated", consumer=self.name, records=len(records), error=type(error).__name__)
            await self._one_by_one(records, stop)
        else:
            self._rejected_in_a_row = rejected_in_a_row
            await self._commit(records)

    async def _apply(self, tx: Tx, records: Sequence[Record]) -> int:
        """Everything that `records` cause, in `tx`; how many were set aside in a row at the end of them."""
        events, rejected, in_a_row = self._decode(records)
        fresh: list[Event[Any]] = []
        if events:
            new = await inbox.mark(tx, self.name, [event.id for event in events])
            for event in events:
                if event.id in new:
                    new.discard(event.id)
                    fresh.append(event)
        if fresh:
            await self._handle(tx, fresh)
        await self._set_aside(tx, rejected)
        for outcome, count in (
            ("handled", len(fresh)),
            ("duplicate", len(events) - len(fresh)),
            ("skipped", len(records) - len(events) - len(rejected)),
            ("dead_lettered", len(rejected)),
        ):
            if count:
                RECORDS.labels(self.name, outcome).inc(count)
        return in_a_row

    def _decode(self, records: Sequence[Record]) -> tuple[list[Event[Any]], list[_Rejected], int]:
        """The events in `records`, what is no event, and how many of these came in a row at the end.

        Raises Undecodable where more came in a row than may be set aside: one by one, the breaker then stops at the
        right record. A type that is not ours is passed over.
        """
        events: list[Event[Any]] = []
        rejected: list[_Rejected] = []
        in_a_row = self._rejected_in_a_row
        for record in records:
            try:
                event = decode(record)
            except Undecodable as error:
                in_a_row += 1
                if in_a_row > self._limit:
                    raise
                rejected.append(_Rejected(record, error, attempts=1))
                continue
            in_a_row = 0
            if event is None:
                log.info("event.skipped", consumer=self.name, type=type_of(record))
            else:
                events.append(event)
        return events, rejected, in_a_row

    async def _one_by_one(self, records: Sequence[Record], stop: asyncio.Event) -> None:
        for place, record in enumerate(records):
            try:
                await self._one(record, stop)
            except (Unavailable, TooManyDeadLetters, _Stopped) as error:
                self._subscription.rewind(records[place:])
                if place:
                    await self._commit(records[:place])
                if isinstance(error, _Stopped):
                    return
                raise
        await self._commit(records)

    async def _one(self, record: Record, stop: asyncio.Event) -> None:
        attempt = 0
        while True:
            attempt += 1
            self._health.beat(self.name)
            try:
                async with self._database.transaction() as tx:
                    rejected_in_a_row = await self._apply(tx, [record])
            except Exception as error:
                # Broad: a handler's error of any type is classified here, and never passed over.
                if is_unavailable(error):
                    raise Unavailable(str(error)) from error
                wait = None if isinstance(error, PermanentError) else self._backoff.next(attempt)
                if wait is None:
                    await self._reject(_Rejected(record, error, attempt))
                    return
                RETRIES.labels(self.name).inc()
                if await wait_for(stop, wait):
                    raise _Stopped from error
            else:
                self._rejected_in_a_row = rejected_in_a_row
                return

    async def _reject(self, rejected: _Rejected) -> None:
        if self._rejected_in_a_row >= self._limit:
            raise TooManyDeadLetters(self.name, self._limit) from rejected.error
        try:
            async with self._database.transaction() as tx:
                await self._set_aside(tx, [rejected])
        except Exception as error:
            # Broad, to tell an outage from a defect; either way the record is not passed over.
            if is_unavailable(error):
                raise Unavailable(str(error)) from error
            raise
        self._rejected_in_a_row += 1
        RECORDS.labels(self.name, "dead_lettered").inc()

    async def _set_aside(self, tx: Tx, rejected: Sequence[_Rejected]) -> None:
        """Dead-letter, once however often the records come: known by their place, as they may have no id."""
        if not rejected:
            return
        ids = {_place_id(each.record): each for each in rejected}
        new = await inbox.mark(tx, f"{self.name}.dlq", list(ids))
        for id_, each in ids.items():
            if id_ not in new:
                continue
            record = each.record
            reason = f"{type(each.error).__name__}: {each.error}"[:2000]
            key = (record.key or b"").decode("utf-8", "replace").replace("\x00", "\ufffd")
            tx.emit_record(
                self._topic.dead_letters(self.name),
                key,
                record.value,
                (
                    *record.headers,
                    ("dlq_reason", reason.encode("utf-8", "replace")),
                    ("dlq_consumer", self.name.encode()),
                    ("dlq_topic", record.topic.encode()),
                    ("dlq_partition", str(record.partition).encode()),
                    ("dlq_offset", str(record.offset).encode()),
                    ("dlq_attempts", str(each.attempts).encode()),
                    ("dlq_time", tx.now.isoformat().encode()),
                ),
            )
            log.error(
                "record.dead_lettered",
                consumer=self.name,
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                type=type_of(record),
                error=type(each.error).__name__,
                attempts=each.attempts,
            )

    async def _commit(self, records: Sequence[Record]) -> None:
        offsets: dict[tuple[str, int], int] = {}
        for record in records:
            place = (record.topic, record.partition)
            offsets[place] = max(offsets.get(place, 0), record.offset + 1)
        await self._subscription.commit(offsets)


class _Stopped(Exception):
    """The consumer was told to stop while it waited for the next attempt."""


def _place_id(record: Record) -> UUID:
    return uuid5(NAMESPACE_URL, f"kafka:{record.topic}/{record.partition}/{record.offset}")
