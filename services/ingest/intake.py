"""Group commit: deliveries that arrive at the same time share one transaction, and are answered when it is durable.

    submit ─> waiting (bounded) ─> one batch ─> one transaction ─┬─ committed ──────────────> its outcome to each
                                                                 ├─ database away, unknown ─> NotDurable to each
                                                                 └─ any other error ────────> one by one, each its own

Up to two batches are committed at a time, so that one is written while the other waits for the disk; meanwhile the next
one gathers. Of one response they never tell at the same time: what arrived later is decided later. Nothing runs while
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
from services.ingest.domain.deliveries import (
    NOT_STORED,
    SAME_DELIVERY,
    NotUnderstood,
    Status,
    Understood,
    delivery_key,
)
from services.ingest.store.deliveries import Raced, record, record_again
from services.ingest.store.firsts import record_firsts
from services.ingest.store.repeated import record_repeated
from services.ingest.telemetry import BATCH, DELIVERIES, ISOLATED, WAITING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

    from libs.events.database import Database, Tx
    from services.ingest.domain.deliveries import Arrival, Outcome
    from services.ingest.domain.responses import ResponseId

    Settle = Callable[[Outcome | None], None]
    """Is told the outcome; None where nothing became durable, or nobody knows."""

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
    at_once: int = 2
    """Batches under way."""
    commit: timedelta = timedelta(seconds=10)


@dataclass(slots=True)  # a frozen one takes three times as long to make, and there is one for every delivery
class _Waiting:
    arrival: Arrival
    settle: Settle


class Intake:
    """Records deliveries of concurrent requests in shared transactions."""

    def __init__(self, database: Database, bounds: Bounds = Bounds()) -> None:
        self._database = database
        self._bounds = bounds
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._committing: set[asyncio.Task[bool]] = set()
        self._amount_under_way = 0
        self._beginning = False
        self._in_hand: set[ResponseId] = set()
        """The responses that batches under way tell of: what else tells of one of them waits for its outcome."""
        self._all_new = True
        """Whether the last batch was new in all its parts: then the next one is thought to be so, too."""
        self._repeating = False
        """Whether something of the last batch was known: then the next one is looked through for such first."""

    async def submit(self, arrival: Arrival) -> Outcome:
        """Record `arrival` together with whatever else arrives now. Raises `QueueFull` or `NotDurable`."""
        settled: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def settle(outcome: Outcome | None) -> None:
            if settled.done():
                return
            if outcome is None:
                settled.set_exception(NotDurable())
            else:
                settled.set_result(outcome)

        self.begin(arrival, settle)
        return await settled

    def begin(self, arrival: Arrival, settle: Settle) -> None:
        """The same; `settle` is called once, later, and raises nothing. Raises `QueueFull`."""
        size = len(arrival.body)
        full = len(self._waiting) >= self._bounds.waiting
        if full or (self._waiting and self._waiting_bytes + size > self._bounds.waiting_bytes):
            raise QueueFull
        self._waiting.append(_Waiting(arrival, settle))
        self._waiting_bytes += size
        if self._committing:
            crashpoint("ingest.batch_half_assembled")
        self._begin_batch()

    def _begin_batch(self) -> None:
        """Begin one if nothing is under way; beside others, as soon as it is not much smaller than they are."""
        waiting, under_way = len(self._waiting), len(self._committing)
        if self._beginning or not waiting or under_way >= self._bounds.at_once:
            return
        if waiting * under_way * 2 < self._amount_under_way:
            return
        self._beginning = True  # by the time that the task begins, more may have come
        task = asyncio.get_running_loop().create_task(self._commit_next())
        self._committing.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[bool]) -> None:
        self._committing.discard(task)
        if task.cancelled():
            # The process is going down.
            _fail(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0
            self._beginning = False
        elif task.result():
            self._begin_batch()

    async def _commit_next(self) -> bool:
        """Commit a batch; False where all that waits has to wait for another one, which begins the next at its end."""
        self._beginning = False
        batch = self._next_batch()
        if not batch:
            return False
        told = _responses(batch)
        self._in_hand |= told
        self._amount_under_way += len(batch)
        try:
            await self._commit(batch)
        finally:
            self._in_hand -= told
            self._amount_under_way -= len(batch)
        return True

    def _next_batch(self) -> list[_Waiting]:
        """What waits, in its order, up to the first that tells of a response of which another batch tells."""
        batch: list[_Waiting] = []
        waiting, in_hand = self._waiting, self._in_hand
        while waiting and len(batch) < self._bounds.batch:
            if in_hand and _response_of(waiting[0].arrival) in in_hand:
                break
            batch.append(waiting.popleft())
        self._waiting_bytes -= sum([len(each.arrival.body) for each in batch])
        WAITING.set(self._waiting_bytes)
        return batch

    async def _commit(self, batch: Sequence[_Waiting]) -> None:
        try:
            outcomes = await self._record([waiting.arrival for waiting in batch])
        except Exception as error:  # noqa: BLE001 - it classifies: the database is away, or one of the rows is at fault
            if is_unavailable(error):
                log.warning("intake.not_durable", deliveries=len(batch), error=type(error).__name__)
                _fail(batch)
            else:
                log.warning("intake.isolating", deliveries=len(batch), error=type(error).__name__)
                ISOLATED.inc()
                await self._commit_each(batch)
        except BaseException:
            _fail(batch)
            raise
        else:
            crashpoint("ingest.after_commit")
            _settle(batch, outcomes)

    async def _commit_each(self, batch: Sequence[_Waiting]) -> None:
        """Record a failed batch one by one; if the database goes away meanwhile, all that are left have to wait."""
        for number, waiting in enumerate(batch):
            if not await self._commit_alone(waiting):
                _fail(batch[number:])
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
                _settle([waiting], [outcome])
                return True
        _fail([waiting])
        return True

    async def _record(self, arrivals: Sequence[Arrival]) -> Sequence[Outcome]:
        BATCH.observe(len(arrivals))
        async with asyncio.timeout(self._bounds.commit.total_seconds()):
            if not self._repeating:
                return await self._record_new(arrivals)
            known = await record_repeated(self._database, arrivals)
            count_outcomes([outcome for outcome in known if outcome is not None])
            others = [arrival for arrival, outcome in zip(arrivals, known, strict=True) if outcome is None]
            self._repeating = len(others) < len(arrivals)
            new = iter(await self._record_new(others) if others else ())
            return [next(new) if outcome is None else outcome for outcome in known]

    async def _record_new(self, arrivals: Sequence[Arrival]) -> Sequence[Outcome]:
        """Record what is thought to be new; what is not is found out on the way."""
        outcomes = await record_firsts(self._database, arrivals) if self._all_new else None
        self._all_new = outcomes is not None
        if outcomes is None:
            outcomes = await record_in(self._database, arrivals)
            self._all_new = all(outcome.status is not Status.DUPLICATE for outcome in outcomes)
            self._repeating = any(outcome.reason == SAME_DELIVERY for outcome in outcomes)
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


def _fail(batch: Collection[_Waiting]) -> None:
    _settle(batch, [None] * len(batch))


def _settle(batch: Iterable[_Waiting], outcomes: Iterable[Outcome | None]) -> None:
    for waiting, outcome in zip(batch, outcomes, strict=True):
        try:
            waiting.settle(outcome)
        except Exception:  # whatever it is: the others are to be answered, too
            log.exception("intake.answering_failed", delivery_id=str(waiting.arrival.id))


def _responses(batch: Iterable[_Waiting]) -> set[ResponseId]:
    return {id_ for waiting in batch if (id_ := _response_of(waiting.arrival)) is not None}


def _response_of(arrival: Arrival) -> ResponseId | None:
    verdict = arrival.verdict
    return verdict.response_id if isinstance(verdict, Understood) else None
