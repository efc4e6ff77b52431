"""What becomes by itself of what was agreed with customers: callbacks that nobody made are missed, and climb."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import Gauge

from libs.events.contracts.cases import ThanksRequested
from libs.events.errors import is_unavailable
from libs.events.event import Event
from services.casework.domain import callbacks as promises
from services.casework.domain.casebook import Casebook
from services.casework.domain.names import case_id_of
from services.casework.domain.outreach import ThanksResult, thanks_id, what_became_of
from services.casework.domain.timeline import CLOCK, Cause
from services.casework.rounds import Rounds
from services.casework.store import callbacks, cases, outreach, people, policies, saving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from libs.events.database import Database, Tx
    from services.casework.domain.callbacks import Callback
    from services.casework.domain.names import CaseId

log: Final = structlog.get_logger()

CHECKED_AT: Final = Gauge(
    "casework_callbacks_checked_timestamp_seconds",
    "When the loop of agreed callbacks last went through. Alarm when it stands still.",
)
SET_ASIDE: Final = Gauge(
    "casework_callbacks_set_aside",
    "Cases of which a callback's clock could not be dealt with, and that are tried again. Alarm above zero.",
)


class CallbackClocks:
    """Finds callbacks whose time is over. Cases are locked first, and those in other hands are met again next time.

    A set in which a case raises is done again one by one, and the one at fault is named and left to the next step;
    the others do not wait for it.
    """

    def __init__(self, database: Database, *, batch: int) -> None:
        self._database = database
        self._batch = batch
        self._aside: set[CaseId] = set()
        self._rounds = Rounds(database, "callbacks")

    async def step(self) -> bool:
        """One set; whether more is waiting."""
        more = await self._set()
        SET_ASIDE.set(len(self._aside))
        CHECKED_AT.set(self._database.clock().timestamp())
        await self._rounds.note()
        return more

    async def _set(self) -> bool:
        async with self._database.reading() as tx:
            due = await callbacks.firing(tx, self._batch, self._aside)
        tried_again, self._aside = self._aside, set()
        for id_ in tried_again:
            await self._alone(id_)
        if not due:
            return False
        try:
            await self._fire(due)
        except Exception as error:
            # Broad: either an outage, or one of the cases is at fault, whatever it raises.
            if is_unavailable(error):
                raise
            log.warning("callbacks.isolated", error=type(error).__name__)
            for id_ in due:
                await self._alone(id_)
        return len(due) == self._batch

    async def _alone(self, id_: CaseId) -> None:
        try:
            await self._fire([id_])
        except Exception as error:
            # Broad, as above; here it is known which case is at fault.
            if is_unavailable(error):
                raise
            self._set_aside(id_, error)

    def _set_aside(self, id_: CaseId, error: Exception) -> None:
        self._aside.add(id_)
        log.error("callback.set_aside", case_id=str(id_), error=type(error).__name__)

    async def _fire(self, ids: Sequence[CaseId]) -> None:
        async with self._database.transaction() as tx:
            await fire_due(tx, ids)


class Thanks:
    """Asks for thanks for the answers of those who need nothing else, once it is sure that they do not."""

    def __init__(self, database: Database, *, batch: int) -> None:
        self._database = database
        self._batch = batch

    async def step(self) -> bool:
        """One transaction; whether more is waiting."""
        async with self._database.transaction() as tx:
            claimed = await outreach.claim(tx, self._batch)
            results: list[tuple[str, ThanksResult]] = []
            for answer, erased_at in claimed:
                result = what_became_of(answer, erased_at)
                results.append((answer.response_id, result))
                if result == "asked" and answer.customer_id is not None:
                    request = ThanksRequested(
                        response_id=answer.response_id,
                        customer_id=answer.customer_id,
                        program=answer.program,
                        touchpoint=answer.touchpoint,
                        nps_class=answer.nps_class,
                        answered_at=answer.answered_at,
                    )
                    event = Event.caused_by_command(
                        thanks_id(case_id_of(answer.response_id), answer.response_id),
                        request,
                        subject=answer.response_id,
                        time=tx.now,
                        source=saving.SOURCE,
                        traceparent=answer.traceparent,
                    )
                    tx.emit(event, key=answer.customer_id)
            await outreach.settle(tx, results)
        return len(claimed) == self._batch


async def fire_due(tx: Tx, ids: Sequence[CaseId]) -> None:
    """Let happen what the callbacks of those of these cases that are in no other hands have to do by now."""
    book = Casebook(await cases.pass_over_locked(tx, ids))
    due = [
        each
        for each in await callbacks.of_cases(tx, [case.id for case in book.cases])
        if each.fires_at is not None and each.fires_at <= tx.now
    ]
    if not due:
        return
    staff = await people.staff(tx)
    known = await policies.load(tx)
    rules = await callbacks.rules(tx)
    settled = []
    for found in due:
        callback: Callback = found
        while callback.fires_at is not None and callback.fires_at <= tx.now:
            case = book[callback.case_id]
            cause = Cause(promises.firing_id(callback), tx.now, CLOCK)
            promised = promises.fire(case, callback, rules, known.of(case.program, case.tier, case.kind), staff, cause)
            book.put(promised.decision)
            callback = promised.callback
        settled.append(callback)
    await callbacks.save(tx, settled)
    await saving.save(tx, book)
    log.info("callbacks.fired", callbacks=len(settled), steps=len(book.steps))
