"""Group commit: deliveries that arrive at the same time share one transaction, and are answered when it is durable.

    submit ─> waiting (bounded) ─> one batch ─> one transaction ─┬─ committed ──────────────> its outcome to each
                                                                 ├─ database away, unknown ─> NotDurable to each
                                                                 └─ any other error ────────> one by one, each its own

Whoever finds nobody committing starts to; while a batch is being committed, the next one gathers. Nothing runs while
nothing arrives. An outcome is given only for what is known to be committed.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
from msgspec.structs import replace

from libs.events.crashpoint import crashpoint
from libs.events.errors import is_unavailable
from services.ingest.domain.deliveries import NOT_STORED, NotUnderstood, Status, delivery_key
from services.ingest.store.deliveries import Raced, record, record_again
from services.ingest.store.firsts import record_firsts
from services.ingest.telemetry import BATCH, DELIVERIES, ISOLATED, WAITING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from libs.events.database import Database, Tx
    from services.ingest.domain.deliveries import Arrival, Outcome

log: Final = structlog.get_logger()

RACES: Final = 20
"""Each race is lost against a commit of somebody else's, so this many in a row mean that something else is wrong."""


class QueueFull(Exception):
    """More is waiting than may wait. The sender tries again later."""


class NotDurable(Exception):
    """The database is away, or nobody knows whether the commit took place. The sender tries again and converges."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may wait, how much shares one transaction, and how long that may take."""

    waiting: int = 4_000
    waiting_bytes: int = 32 * 1024 * 1024
    batch: int = 500
    commit: timedelta = timedelta(seconds=10)


@dataclass(slots=True)  # a frozen one takes three times as long to make, and there is one for every delivery
class _Waiting:
    arrival: Arrival
    outcome: asyncio.Future[Outcome]


class Intake:
    """Records deliveries of concurrent requests in shared transactions."""

    def __init__(self, database: Database, bounds: Bounds = Bounds()) -> None:
        self._database = database
        self._bounds = bounds
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._committing: asyncio.Task[None] | None = None
        self._all_new = True
        """Whether the last batch was new in all its parts: then the next one is thought to be so, too."""

    async def submit(self, arrival: Arrival) -> Outcome:
        """Record `arrival` together with whatever else arrives now. Raises `QueueFull` or `NotDurable`."""
        return await self.begin(arrival)

    def begin(self, arrival: Arrival) -> asyncio.Future[Outcome]:
        """The same; the future raises `NotDurable`."""
        size = len(arrival.body)
        full = len(self._waiting) >= self._bounds.waiting
        if full or (self._waiting and self._waiting_bytes + size > self._bounds.waiting_bytes):
            raise QueueFull
        loop = asyncio.get_running_loop()
        waiting = _Waiting(arrival, loop.create_future())
        self._waiting.append(waiting)
        self._waiting_bytes += size
        if self._committing is None:
            self._committing = loop.create_task(self._commit_all())
        else:
            crashpoint("ingest.batch_half_assembled")
        return waiting.outcome

    async def _commit_all(self) -> None:
        try:
            while self._waiting:
                await self._commit(self._next_batch())
        finally:
            self._committing = None
            # Only a cancelled task leaves anything behind: the process is going down.
            _fail(self._waiting, NotDurable())
            self._waiting.clear()
            self._waiting_bytes = 0

    def _next_batch(self) -> list[_Waiting]:
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._bounds.batch))]
        self._waiting_bytes -= sum(len(waiting.arrival.body) for waiting in batch)
        WAITING.set(self._waiting_bytes)
        return batch

    async def _commit(self, batch: Sequence[_Waiting]) -> None:
        try:
            outcomes = await self._record([waiting.arrival for waiting in batch])
        except Exception as error:  # noqa: BLE001 - it classifies: the database is away, or one of the rows is at fault
            if is_unavailable(error):
                log.warning("intake.not_durable", deliveries=len(batch), error=type(error).__name__)
                _fail(batch, NotDurable())
            else:
                log.warning("intake.isolating", deliveries=len(batch), error=type(error).__name__)
                ISOLATED.inc()
                await self._commit_each(batch)
        except BaseException:
            _fail(batch, NotDurable())
            raise
        else:
            crashpoint("ingest.after_commit")
            for waiting, outcome in zip(batch, outcomes, strict=True):
                if not waiting.outcome.done():
                    waiting.outcome.set_result(outcome)

    async def _commit_each(self, batch: Sequence[_Waiting]) -> None:
        """Record a failed batch one by one; if the database goes away meanwhile, all that are left have to wait."""
        for number, waiting in enumerate(batch):
            if not await self._commit_alone(waiting):
                _fail(batch[number:], NotDurable())
                return

    async def _commit_alone(self, waiting: _Waiting) -> bool:
        """Record one delivery; if it is the one at fault, keep its bytes and nothing derived. Whether it is settled."""
        for arrival in (waiting.arrival, _bare(waiting.arrival)):
            try:
                [outcome] = await self._record([arrival])
            except Exception as error:  # noqa: BLE001 - for the same reason
                log.warning("intake.delivery_failed", delivery_id=str(waiting.arrival.id), error=type(error).__name__)
                if is_unavailable(error):
                    return False
            else:
                if not waiting.outcome.done():
                    waiting.outcome.set_result(outcome)
                return True
        _fail([waiting], NotDurable())
        return True

    async def _record(self, arrivals: Sequence[Arrival]) -> Sequence[Outcome]:
        BATCH.observe(len(arrivals))
        async with asyncio.timeout(self._bounds.commit.total_seconds()):
            outcomes = await record_firsts(self._database, arrivals) if self._all_new else None
            self._all_new = outcomes is not None
            if outcomes is None:
                outcomes = await record_in(self._database, arrivals)
                self._all_new = all(outcome.status is Status.ACCEPTED for outcome in outcomes)
            else:
                count_outcomes(outcomes)
            return outcomes


async def record_in(
    database: Database,
    arrivals: Sequence[Arrival],
    also: Callable[[Tx, Sequence[Outcome]], Awaitable[None]] | None = None,
) -> Sequence[Outcome]:
    """Record `arrivals` in a transaction of their own, `also` what follows; again where another process was faster."""
    for _ in range(RACES):
        try:
            async with database.transaction() as tx:
                outcomes = await record(tx, arrivals)
                if also is not None:
                    await also(tx, outcomes)
        except Raced:
            continue
        count_outcomes(outcomes)
        return outcomes
    raise NotDurable


async def record_again_in(database: Database, arrivals: Sequence[Arrival]) -> Sequence[Outcome]:
    """Record the new verdicts on stored deliveries, again where another process was faster."""
    for _ in range(RACES):
        try:
            async with database.transaction() as tx:
                return await record_again(tx, arrivals)
        except Raced:
            continue
    raise NotDurable


def count_outcomes(outcomes: Iterable[Outcome]) -> None:
    """Count what became of deliveries, when it is committed."""
    for status, count in Counter(outcome.status for outcome in outcomes).items():
        DELIVERIES.labels(status.value).inc(count)


def _bare(arrival: Arrival) -> Arrival:
    """The delivery with nothing but what can certainly be stored: its bytes."""
    return replace(
        arrival,
        key=delivery_key(None, arrival.body_hash),
        headers="{}",
        content_type="",
        verdict=NotUnderstood(NOT_STORED),
    )


def _fail(batch: Iterable[_Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.outcome.done():
            waiting.outcome.set_exception(error)
