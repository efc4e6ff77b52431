"""The three consumers of casework: scored answers, customer profiles, and customers' words about resolutions.

Each takes a batch in its order, with a constant number of statements however many events it holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from libs.events.contracts.customers import CustomerErased, CustomerProfileChanged
from libs.events.contracts.messages import CampaignCompleted, ConfirmationAnswered
from libs.events.contracts.scores import ResponseRescored, ResponseRetracted, ResponseScored
from libs.events.errors import PermanentError
from services.casework.domain import callbacks as promises
from services.casework.domain import replies
from services.casework.domain.agents import Staff
from services.casework.domain.answers import Answer
from services.casework.domain.casebook import Casebook
from services.casework.domain.initiatives import communicated
from services.casework.domain.names import CaseId, CustomerId, ResponseId
from services.casework.domain.replies import Confirmation
from services.casework.domain.tasks import decline
from services.casework.domain.timeline import Actor, Cause
from services.casework.store import (
    attachments,
    callbacks,
    cases,
    customers,
    initiatives,
    intake,
    people,
    policies,
    saving,
    tasks,
)
from services.casework.store.customers import Profile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from libs.events.database import Tx
    from libs.events.event import Contract, Event
    from services.casework.domain.tasks import Task


async def handle_scores(tx: Tx, events: Sequence[Event[Contract]]) -> None:
    """Detractors open cases or join them; every answer is remembered."""
    answers = [
        _answer(event, event.payload)
        for event in events
        if isinstance(event.payload, (ResponseScored, ResponseRescored, ResponseRetracted))
    ]
    if answers:
        await intake.take(tx, answers)


async def handle_customers(tx: Tx, events: Sequence[Event[Contract]]) -> None:
    """Profiles are kept for display; an erasure removes what is known and what was written."""
    profiles: dict[CustomerId, Profile] = {}
    erasures: dict[CustomerId, Event[Contract]] = {}
    for event in events:
        match event.payload:
            case CustomerProfileChanged() as payload:
                profile = _profile(payload)
                earlier = profiles.get(profile.customer_id)
                if earlier is None or earlier.version < profile.version:
                    profiles[profile.customer_id] = profile
            case CustomerErased(customer_id=id_):
                erasures[CustomerId(id_)] = event
                profiles.pop(CustomerId(id_), None)
            case _:
                continue
    if erasures:
        await _erase(tx, erasures)
    await customers.save_profiles(tx, list(profiles.values()))


async def handle_messages(tx: Tx, events: Sequence[Event[Contract]]) -> None:
    """Customers' words about resolutions, and campaigns that told everybody what changed."""
    await _take_words(tx, events)
    sent = [(event, event.payload) for event in events if isinstance(event.payload, CampaignCompleted)]
    if sent:
        await _communicate(tx, sent)


async def _take_words(tx: Tx, events: Sequence[Event[Contract]]) -> None:
    """The customer says by the signed link whether it is solved: the case closes, or opens again and climbs."""
    words = [(event, event.payload) for event in events if isinstance(event.payload, ConfirmationAnswered)]
    if not words:
        return
    people_asked = {CustomerId(word.customer_id) for _, word in words}
    erased_at = await customers.hold(tx, people_asked)
    book = Casebook(await cases.lock(tx, {_case_id(word.case_id) for _, word in words}, people_asked))
    staff = await people.staff(tx)
    known = await policies.load(tx)
    for event, word in words:
        case = book.case(_case_id(word.case_id))
        if case is None:
            raise PermanentError(f"a customer's word about the case {word.case_id}, which does not exist")
        said = Confirmation(word.round, word.solved, word.comment, word.answered_at)
        cause = Cause(event.id, tx.now, Actor("customer", word.customer_id), event.traceparent)
        forgotten_at = erased_at.get(CustomerId(word.customer_id))
        forgotten = forgotten_at is not None and case.answered_at <= forgotten_at
        other = book.open_case_of(case.customer_id)
        other = None if other is None or other.id == case.id else other
        book.put(
            replies.confirm(
                case,
                said,
                known.of(case.program, case.tier, case.kind),
                staff,
                cause,
                other_open_case=other,
                forgotten=forgotten,
            )
        )
        if other is not None and not word.solved and not forgotten:
            book.put(replies.overhear(other, said, case, known.of(other.program, other.tier, other.kind), cause))
    await saving.save(tx, book)


async def _communicate(tx: Tx, sent: Sequence[tuple[Event[Contract], CampaignCompleted]]) -> None:
    """The quarter clocks of what was told stop."""
    wanted = {_uuid(id_, "initiative") for _, campaign in sent for id_ in campaign.initiative_ids}
    found = {str(each.id): each for each in await initiatives.lock(tx, wanted)}
    staff = await people.staff(tx)
    for event, campaign in sent:
        cause = Cause(event.id, tx.now, Actor("key", "notify"), event.traceparent)
        for id_ in dict.fromkeys(campaign.initiative_ids):
            initiative = found.get(id_)
            if initiative is None:
                raise PermanentError(f"a campaign about the initiative {id_}, which does not exist")
            moment = communicated(
                initiative,
                staff.employee(initiative.owner_id),
                cause,
                campaign_id=campaign.campaign_id,
                sent_at=campaign.completed_at,
            )
            if moment is not None:
                found[id_] = moment.initiative
                await initiatives.save(tx, moment, part=id_)


async def _erase(tx: Tx, erasures: dict[CustomerId, Event[Contract]]) -> None:
    erased_at: dict[CustomerId, datetime] = {customer: event.time for customer, event in erasures.items()}
    await customers.erase_profiles(tx, erased_at)
    book = Casebook(await cases.lock_all_of_customers(tx, erased_at))
    open_tasks: dict[CaseId, list[Task]] = {}
    for task in await tasks.open_of(tx, [case.id for case in book.cases]):
        open_tasks.setdefault(task.case_id, []).append(task)
    promised = {
        each.case_id: each for each in await callbacks.of_cases(tx, [case.id for case in book.cases]) if each.is_pending
    }
    staff = await people.staff(tx) if open_tasks or promised else Staff({})
    forgotten = []
    ended = []
    taken_back = []
    for case in book.cases:
        if case.customer_id is None or case.answered_at > erased_at[case.customer_id]:
            continue
        event = erasures[case.customer_id]
        cause = Cause(event.id, tx.now, Actor("customer", case.customer_id), event.traceparent)
        for task in open_tasks.get(case.id, ()):
            moment = decline(book[case.id], task, "customer_erased", staff, cause)
            book.put(moment.decision)
            ended.append(moment.task)
        if case.id in promised:
            cancelled = promises.forget(book[case.id], promised[case.id], staff, cause)
            taken_back.append(cancelled.callback)
            book.put(cancelled.decision)
        book.put(replies.forget(book[case.id], cause))
        forgotten.append(case.id)
    await tasks.save(tx, ended)
    await tasks.erase_titles(tx, forgotten)
    await callbacks.save(tx, taken_back)
    await attachments.erase(tx, forgotten)
    await customers.erase_words(tx, erased_at, forgotten)
    await saving.save(tx, book)


def _case_id(text: str) -> CaseId:
    return CaseId(_uuid(text, "case"))


def _uuid(text: str, of: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise PermanentError(f"{text[:100]!r} is no {of} id") from error


def _answer(event: Event[Contract], payload: ResponseScored | ResponseRescored | ResponseRetracted) -> Answer:
    return Answer(
        response_id=ResponseId(payload.response_id),
        revision=payload.revision,
        customer_id=None if payload.customer_id is None else CustomerId(payload.customer_id),
        program=payload.program,
        touchpoint=payload.touchpoint,
        kind=payload.kind,
        metric=payload.metric,
        score=payload.score,
        nps_class=payload.nps_class,
        comment=payload.comment,
        tier=payload.tier,
        language=payload.language,
        themes=payload.themes,
        answered_at=payload.answered_at,
        cause_id=event.id,
        traceparent=event.traceparent,
        priority=payload.priority,
        priority_parts=payload.priority_parts,
        urgent=payload.urgent,
        withdrawn=isinstance(payload, ResponseRetracted),
    )


def _profile(payload: CustomerProfileChanged) -> Profile:
    return Profile(
        customer_id=CustomerId(payload.customer_id),
        version=payload.version,
        name=payload.name,
        language=payload.language,
        tier=payload.tier,
        account_name=payload.account_name,
        current_value=payload.current_value,
        time_zone=payload.time_zone,
        channels=tuple(
            channel
            for channel, known in (("phone", payload.phone), ("email", payload.email_consent and payload.email))
            if known
        ),
    )
