"""A batch of answers from the tables to the domain and back, in a constant number of statements.

Locks are taken in one order everywhere: customers, then answers, then cases.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from services.casework.domain.agents import Staff
from services.casework.domain.casebook import Casebook, Intake, Surroundings
from services.casework.domain.names import case_id_of
from services.casework.domain.outreach import NO_RULES
from services.casework.domain.policies import Policies
from services.casework.store import answers as answers_store
from services.casework.store import cases as cases_store
from services.casework.store import customers as customers_store
from services.casework.store import outreach, people, policies, saving

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from libs.events.database import Tx
    from services.casework.domain.answers import Answer
    from services.casework.domain.names import CaseId, CustomerId


async def take(tx: Tx, answers: Sequence[Answer]) -> None:
    """Take answers in their order: cases are opened and joined, and every answer is remembered."""
    customers = {answer.customer_id for answer in answers if answer.customer_id is not None}
    erased_at = await customers_store.hold(tx, customers)
    known = await answers_store.known(tx, {answer.response_id for answer in answers})
    case_ids = {answer.case_id for answer in known if answer.case_id is not None}
    book, around = await _surroundings(tx, answers, case_ids, erased_at)
    if _may_take_back(known, answers):
        untouched, resting_on = await cases_store.standing(tx, [case.id for case in book.cases])
        around = replace(around, untouched=untouched, resting_on=resting_on)
    intake = Intake(book, known, around)
    for answer in answers:
        intake.take(answer)
    await answers_store.save(tx, intake.taken)
    await outreach.owe(tx, intake.to_thank, tx.now + around.outreach.thank_after)
    await saving.save(tx, book)


async def take_waiting(tx: Tx, limit: int) -> bool:
    """Open the cases of answers that waited for somebody who can own them; whether more may be waiting."""
    waiting = await answers_store.waiting(tx, limit)
    if not waiting or not (await people.staff(tx)).has_anybody:
        return False
    erased_at = await customers_store.hold(tx, {customer for _, customer in waiting if customer is not None})
    answers = await answers_store.claim_waiting(tx, [response for response, _ in waiting])
    book, around = await _surroundings(tx, answers, set(), erased_at)
    intake = Intake(book, answers, around)
    for answer in answers:
        intake.take_waiting(answer)
    await answers_store.save(tx, intake.taken)
    await saving.save(tx, book)
    return len(waiting) == limit


def _may_take_back(known: Sequence[Answer], answers: Sequence[Answer]) -> bool:
    """Whether one of `answers` may be a detractor's no more: by what is stored, or by what the same batch brought."""
    better = {answer.response_id for answer in answers if not answer.is_detractor}
    return any(answer.is_detractor and answer.response_id in better for answer in (*known, *answers))


async def _surroundings(
    tx: Tx, answers: Sequence[Answer], case_ids: set[CaseId], erased_at: dict[CustomerId, datetime]
) -> tuple[Casebook, Surroundings]:
    """The cases that `answers` may touch, locked, and what opening new ones needs, if one may open."""
    opening = [answer for answer in answers if answer.is_detractor]
    rules = NO_RULES
    if len(opening) < len(answers):
        rules = await outreach.load(tx)
        opening += [answer for answer in answers if rules.opens_case(answer)]
    customers = {answer.customer_id for answer in answers if answer.customer_id is not None}
    own = {case_id_of(answer.response_id, answer.cause_id) for answer in opening}
    book = Casebook(await cases_store.lock(tx, case_ids | own, customers))
    unhappy = {answer.customer_id for answer in opening if answer.customer_id is not None}
    # Who is urgent lifts a case, too, whatever they say besides.
    staff = await people.assigning(tx) if opening or any(answer.urgent for answer in answers) else Staff({})
    return book, Surroundings(
        now=tx.now,
        staff=staff,
        desk=await people.desk(tx, staff),
        policies=await policies.load(tx) if opening or book.cases else Policies({}),
        previous_owners=await cases_store.previous_owners(tx, unhappy) if unhappy else {},
        erased_at=erased_at,
        outreach=rules,
    )
