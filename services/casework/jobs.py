"""What casework does by itself: fires clocks, opens cases that had nobody to own them, and watches both."""

from __future__ import annotations

import asyncio
from collections import Counter as Counts
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import Counter, Gauge

from libs.events.errors import is_unavailable
from libs.events.retry import Backoff
from libs.webapi.idempotency import prune_keys
from services.casework.domain.alarms import fire
from services.casework.domain.casebook import Casebook
from services.casework.domain.initiatives import fire as fire_quarter
from services.casework.domain.recomputing import breached_by, recompute
from services.casework.domain.timeline import CLOCK, Cause
from services.casework.rounds import Rounds
from services.casework.store import (
    answers,
    cases,
    checking,
    initiatives,
    intake,
    people,
    policies,
    recomputations,
    saving,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from libs.events.database import Database, Tx
    from services.casework.domain.cases import Case
    from services.casework.domain.names import CaseId
    from services.casework.domain.recomputing import Recomputation

log: Final = structlog.get_logger()

IDEMPOTENCY_KEYS_KEPT: Final = timedelta(days=30)

_ASIDE: Final = Backoff(timedelta(seconds=5), timedelta(minutes=10))
_ASIDE_AT_MOST: Final = 20

FIRED: Final = Counter("casework_timeline_by_clock_total", "What clocks made happen to cases.", ["kind"])
OVERDUE: Final = Gauge(
    "casework_oldest_overdue_clock_seconds",
    "How long ago the oldest clock that has not been dealt with came to its end. Alarm when it grows.",
)
CALLBACKS_OVERDUE: Final = Gauge(
    "casework_oldest_overdue_callback_seconds",
    "How long ago a callback was missed, or should have climbed, that has not been dealt with. Alarm when it grows.",
)
ALARM: Final = Gauge(
    "casework_clocks_alarm",
    "1 where nobody looks at the clocks, or they are more than a minute late. Seen also where no worker runs.",
)
CHECKED_AT: Final = Gauge(
    "casework_clocks_checked_timestamp_seconds", "When the clock loop last went through. Alarm when it stands still."
)
SET_ASIDE: Final = Gauge(
    "casework_clocks_set_aside",
    "Cases of which a clock could not be dealt with, and that are tried again later. Alarm above zero.",
)
WAITING: Final = Gauge(
    "casework_answers_waiting_for_owner",
    "Detractors' answers without a case because the company has nobody who could own one. Alarm above zero.",
)


@dataclass(frozen=True, slots=True)
class _Aside:
    """A case that raised: how often, and when it is tried again."""

    attempts: int
    until: datetime


class Clocks:
    """Claims cases whose clocks came to their end and lets happen what follows, each exactly once.

    Claiming locks the case, so a command and a clock never act on one state; a case in other hands is passed over and
    met again at the next step. Several workers share the work, and while much is due, so do several hands of one: one
    decides while the database writes for another.

    A set in which a case raises is done again one by one. That case is set aside, and tried again alone, each time
    after a longer while; the others do not wait for it.
    """

    def __init__(self, database: Database, *, batch: int, hands: int = 1) -> None:
        self._database = database
        self._batch = batch
        self._hands = hands
        self._busy = False
        self._aside: dict[CaseId, _Aside] = {}
        self._rounds = Rounds(database, "cases")

    async def step(self) -> bool:
        """One set for each hand; whether more is waiting."""
        now = self._database.clock()
        for id_ in [id_ for id_, aside in self._aside.items() if aside.until <= now]:
            await self._fire_alone(id_)
        hands = self._hands if self._busy else 1
        outcomes = await asyncio.gather(*(self._fire_set() for _ in range(hands)), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        SET_ASIDE.set(len(self._aside))
        CHECKED_AT.set(self._database.clock().timestamp())
        await self._rounds.note()
        self._busy = any(outcomes)
        return self._busy

    async def _fire_set(self) -> bool:
        try:
            async with self._database.transaction() as tx:
                claimed = await cases.claim_firing(tx, self._batch, self._aside)
                book = await _fire(tx, claimed)
        except Exception as error:
            # Broad: either an outage, or one of the cases is at fault, whatever it raises.
            if is_unavailable(error):
                raise
            log.warning("clocks.isolated", error=type(error).__name__)
            return await self._fire_one_by_one()
        _tell(book)
        return len(claimed) == self._batch

    async def _fire_one_by_one(self) -> bool:
        async with self._database.reading() as tx:
            firing = await cases.firing(tx, self._batch, self._aside)
        for id_ in firing:
            await self._fire_alone(id_)
        return len(firing) == self._batch

    async def _fire_alone(self, id_: CaseId) -> None:
        try:
            async with self._database.transaction() as tx:
                claimed = await cases.claim_one_firing(tx, id_)
                book = await _fire(tx, [] if claimed is None else [claimed])
        except Exception as error:
            # Broad, as above; here it is known which case is at fault.
            if is_unavailable(error):
                raise
            self._set_aside(id_, error)
        else:
            self._aside.pop(id_, None)
            _tell(book)

    def _set_aside(self, id_: CaseId, error: Exception) -> None:
        if id_ not in self._aside and len(self._aside) == _ASIDE_AT_MOST:
            # Not cases are at fault but this program: it ends, as it would by any other of its mistakes.
            raise error
        attempts = self._aside[id_].attempts + 1 if id_ in self._aside else 1
        wait = _ASIDE.next(attempts) or _ASIDE.longest
        self._aside[id_] = _Aside(attempts, self._database.clock() + wait)
        log.error("clock.set_aside", case_id=str(id_), attempts=attempts, error=type(error).__name__)


async def _fire(tx: Tx, claimed: Sequence[Case]) -> Casebook:
    book = Casebook(claimed)
    if claimed:
        staff = await people.staff(tx)
        known = await policies.load(tx)
        for case in claimed:
            book.put(fire(case, known.of(case.program, case.tier, case.kind), staff, tx.now))
        await saving.save(tx, book)
    return book


def _tell(book: Casebook) -> None:
    """Take note of what a committed transaction did."""
    if book.steps:
        for kind, count in Counts(step.entry.kind for step in book.steps).items():
            FIRED.labels(kind).inc(count)
        log.info("clocks.fired", cases=len(book.cases), steps=len(book.steps))


class WaitingAnswers:
    """Opens the cases of answers that came while the company had nobody who could own one."""

    def __init__(self, database: Database, *, batch: int) -> None:
        self._database = database
        self._batch = batch

    async def step(self) -> bool:
        """One transaction; whether more is waiting."""
        async with self._database.transaction() as tx:
            return await intake.take_waiting(tx, self._batch)


class QuarterClocks:
    """Reminds of initiatives of which customers have to hear before the quarter is over, and says when it is."""

    def __init__(self, database: Database, *, batch: int) -> None:
        self._database = database
        self._batch = batch

    async def step(self) -> bool:
        """One transaction; whether more is waiting."""
        async with self._database.transaction() as tx:
            claimed = await initiatives.claim_firing(tx, self._batch)
            if not claimed:
                return False
            staff = await people.staff(tx)
            for initiative in claimed:
                moment = fire_quarter(
                    initiative,
                    staff.employee(initiative.owner_id),
                    tx.now,
                    lambda id_: Cause(id_, tx.now, CLOCK),
                )
                if moment is not None:
                    await initiatives.save(tx, moment)
        return len(claimed) == self._batch


class Recomputing:
    """Counts the clocks of open cases anew where somebody asked for it: a set in each transaction.

    A case that raises ends the whole of it, named by its error, and what was done stays done: to ask again is safe, as
    nothing moves twice.
    """

    def __init__(self, database: Database, *, batch: int) -> None:
        self._database = database
        self._batch = batch
        self._asked: Recomputation | None = None

    async def step(self) -> bool:
        """One set; whether more is waiting."""
        try:
            async with self._database.transaction() as tx:
                return await self._take_set(tx)
        except Exception as error:
            # Broad: either an outage, or one of the cases is at fault, whatever it raises.
            if is_unavailable(error) or self._asked is None:
                raise
            await self._give_up(self._asked, error)
            return True

    async def _give_up(self, asked: Recomputation, error: Exception) -> None:
        log.error("recomputation.failed", recomputation_id=str(asked.id), error=type(error).__name__)
        async with self._database.transaction() as tx:
            await recomputations.fail(tx, asked.id, type(error).__name__)

    async def _take_set(self, tx: Tx) -> bool:
        self._asked = None
        claimed = await recomputations.claim(tx)
        if claimed is None:
            return False
        self._asked, after = claimed
        found = await recomputations.lock_set(tx, self._asked, after, self._batch)
        book = Casebook(found)
        staff = await people.staff(tx)
        known = await policies.load(tx)
        breached = []
        for case in found:
            policy = known.of(case.program, case.tier, case.kind)
            if self._asked.concerns(policy):
                decision = recompute(case, policy, staff, self._asked, tx.now)
                book.put(decision)
                if clocks := breached_by(decision):
                    breached.append((case.id, clocks))
        await recomputations.advance(
            tx,
            self._asked,
            reached=found[-1].id if found else after,
            seen=len(found),
            changed=len(book.changes),
            breached=breached,
            done=len(found) < self._batch,
        )
        if not self._asked.dry_run:
            await saving.save(tx, book)
        return True


class Watchdog:
    """Measures from outside of the loops whether they keep up: a loop that hangs cannot report itself."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def step(self) -> bool:
        """Measure."""
        async with self._database.reading() as tx:
            found = await checking.read(tx)
            waiting = await answers.count_waiting(tx)
        OVERDUE.set(found.late.total_seconds())
        CALLBACKS_OVERDUE.set(found.callbacks_late.total_seconds())
        ALARM.set(found.alarm is not None)
        WAITING.set(waiting)
        if found.alarm is not None:
            late = round(found.late.total_seconds())
            log.error("clocks.alarm", alarm=found.alarm, silent=found.silent, late_seconds=late)
        if waiting:
            log.warning("answers.waiting_for_owner", answers=waiting)
        return False


class Forgetting:
    """Forgets answers to commands that nobody will send again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def step(self) -> bool:
        """One transaction; whether more may be waiting."""
        async with self._database.transaction() as tx:
            return await prune_keys(tx, older_than=IDEMPOTENCY_KEYS_KEPT)
