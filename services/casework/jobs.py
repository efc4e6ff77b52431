"""What casework does by itself: fires clocks, opens cases that had nobody to own them, and watches both."""

from __future__ import annotations

from collections import Counter as Counts
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import Counter, Gauge

from libs.webapi.idempotency import prune_keys
from services.casework.domain.alarms import fire
from services.casework.domain.casebook import Casebook
from services.casework.store import answers, cases, intake, people, saving

if TYPE_CHECKING:
    from libs.events.database import Database

log: Final = structlog.get_logger()

IDEMPOTENCY_KEYS_KEPT: Final = timedelta(days=30)

FIRED: Final = Counter("casework_timeline_by_clock_total", "What clocks made happen to cases.", ["kind"])
OVERDUE: Final = Gauge(
    "casework_oldest_overdue_clock_seconds",
    "How long ago the oldest clock that has not been dealt with came to its end. Alarm when it grows.",
)
CHECKED_AT: Final = Gauge(
    "casework_clocks_checked_timestamp_seconds", "When the clock loop last went through. Alarm when it stands still."
)
WAITING: Final = Gauge(
    "casework_answers_waiting_for_owner",
    "Detractors' answers without a case because the company has nobody who could own one. Alarm above zero.",
)


class Clocks:
    """Claims cases whose clocks came to their end and lets happen what follows, each exactly once.

    Claiming locks the case, so a command and a clock never act on one state; a case in other hands is passed over and
    met again at the next step. Several workers share the work.
    """

    def __init__(self, database: Database, *, batch: int) -> None:
        self._database = database
        self._batch = batch

    async def step(self) -> bool:
        """One transaction; whether more is waiting."""
        async with self._database.transaction() as tx:
            claimed = await cases.claim_firing(tx, self._batch)
            if claimed:
                staff = await people.staff(tx)
                book = Casebook(claimed)
                for case in claimed:
                    book.put(fire(case, staff, tx.now))
                await saving.save(tx, book)
        CHECKED_AT.set(tx.now.timestamp())
        if claimed:
            for kind, count in Counts(step.entry.kind for step in book.steps).items():
                FIRED.labels(kind).inc(count)
            log.info("clocks.fired", cases=len(claimed), steps=len(book.steps))
        return len(claimed) == self._batch


class WaitingAnswers:
    """Opens the cases of answers that came while the company had nobody who could own one."""

    def __init__(self, database: Database, *, batch: int) -> None:
        self._database = database
        self._batch = batch

    async def step(self) -> bool:
        """One transaction; whether more is waiting."""
        async with self._database.transaction() as tx:
            return await intake.take_waiting(tx, self._batch)


class Watchdog:
    """Measures from outside of the loops whether they keep up: a loop that hangs cannot report itself."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def step(self) -> bool:
        """Measure."""
        async with self._database.reading() as tx:
            oldest = await cases.oldest_firing(tx)
            waiting = await answers.count_waiting(tx)
        overdue = 0.0 if oldest is None else max(0.0, (tx.now - oldest).total_seconds())
        OVERDUE.set(overdue)
        WAITING.set(waiting)
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
