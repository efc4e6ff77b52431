"""Fires the clocks of tasks: who has one is warned, and where it is not done in time, its case climbs."""

from __future__ import annotations

from collections import Counter as Counts
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import Counter, Gauge

from libs.events.errors import is_unavailable
from libs.events.retry import Backoff
from services.casework.domain.casebook import Casebook
from services.casework.domain.tasks import fire_task
from services.casework.rounds import Rounds
from services.casework.store import people, policies, saving, tasks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from libs.events.database import Database
    from services.casework.domain.names import CaseId

log: Final = structlog.get_logger()

_ASIDE: Final = Backoff(timedelta(seconds=5), timedelta(minutes=10))
_ASIDE_AT_MOST: Final = 20

FIRED: Final = Counter("casework_task_timeline_by_clock_total", "What clocks of tasks made happen.", ["kind"])
SET_ASIDE: Final = Gauge(
    "casework_task_clocks_set_aside",
    "Cases of which a task's clock could not be dealt with, and that are tried again later. Alarm above zero.",
)


@dataclass(frozen=True, slots=True)
class _Aside:
    """A case that raised: how often, and when it is tried again."""

    attempts: int
    until: datetime


class TaskClocks:
    """Claims cases whose tasks have come to the end of a clock, and lets happen what follows, each exactly once.

    A task changes only under its case's lock, so a person and a clock never act on one state; a case in other hands is
    passed over and met again at the next step. A set in which a case raises is done again one by one, and that case is
    set aside for a while, so that the others do not wait for it.
    """

    def __init__(self, database: Database, *, batch: int) -> None:
        self._database = database
        self._batch = batch
        self._aside: dict[CaseId, _Aside] = {}
        self._rounds = Rounds(database, "tasks")

    async def step(self) -> bool:
        """One set; whether more is waiting."""
        more = await self._set()
        await self._rounds.note()
        return more

    async def _set(self) -> bool:
        now = self._database.clock()
        waiting = [id_ for id_, aside in self._aside.items() if aside.until > now]
        async with self._database.reading() as tx:
            due = await tasks.firing(tx, self._batch, waiting)
        if not due:
            return False
        try:
            await self._fire(due)
        except Exception as error:
            # Broad: either an outage, or one of the cases is at fault, whatever it raises.
            if is_unavailable(error):
                raise
            log.warning("task_clocks.isolated", error=type(error).__name__)
            for id_ in due:
                await self._fire_alone(id_)
        else:
            for id_ in due:
                self._aside.pop(id_, None)
        SET_ASIDE.set(len(self._aside))
        return len(due) == self._batch

    async def _fire_alone(self, id_: CaseId) -> None:
        try:
            await self._fire([id_])
        except Exception as error:
            # Broad, as above; here it is known which case is at fault.
            if is_unavailable(error) or (id_ not in self._aside and len(self._aside) == _ASIDE_AT_MOST):
                raise
            attempts = self._aside[id_].attempts + 1 if id_ in self._aside else 1
            wait = _ASIDE.next(attempts) or _ASIDE.longest
            self._aside[id_] = _Aside(attempts, self._database.clock() + wait)
            self._tell_aside(id_, attempts, error)
        else:
            self._aside.pop(id_, None)

    def _tell_aside(self, id_: CaseId, attempts: int, error: Exception) -> None:
        # Its kind alone: what it says may quote what somebody wrote.
        log.error("task_clock.set_aside", case_id=str(id_), attempts=attempts, error=type(error).__name__)

    async def _fire(self, ids: Sequence[CaseId]) -> None:
        async with self._database.transaction() as tx:
            claimed = await tasks.claim(tx, ids)
            if not claimed:
                return
            book = Casebook(claimed)
            staff = await people.staff(tx)
            known = await policies.load(tx)
            managers = await tasks.managers(tx)
            changed = []
            for task in await tasks.firing_of(tx, [case.id for case in claimed]):
                case = book[task.case_id]
                moment = fire_task(case, task, known.of(case.program, case.tier, case.kind), staff, managers, tx.now)
                book.put(moment.decision)
                changed.append(moment.task)
            await tasks.save(tx, changed)
            await saving.save(tx, book)
        for kind, count in Counts(step.entry.kind for step in book.steps).items():
            FIRED.labels(kind).inc(count)
        log.info("task_clocks.fired", tasks=len(changed), steps=len(book.steps))
