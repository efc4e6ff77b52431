"""What customers do to a case: answers that open or join it, the word on whether it is solved, being forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from libs.events.contracts.cases import CaseJoined, CaseOpened
from services.casework.domain.alarms import close, fire
from services.casework.domain.cases import Case, Decision, Status, decided
from services.casework.domain.clocks import started_at
from services.casework.domain.commands import hand_over, reopen
from services.casework.domain.levels import climb
from services.casework.domain.names import case_id_of
from services.casework.domain.signals import heard
from services.casework.domain.waiting import resumed

if TYPE_CHECKING:
    from datetime import datetime

    from services.casework.domain.agents import Staff
    from services.casework.domain.answers import Answer
    from services.casework.domain.cases import CaseKind
    from services.casework.domain.clocks import Deadline
    from services.casework.domain.policies import Policy
    from services.casework.domain.routing import Choice
    from services.casework.domain.timeline import Cause, Details, EntryKind


def open_case(
    answer: Answer,
    score: int,
    choice: Choice,
    policy: Policy,
    staff: Staff,
    cause: Cause,
    *,
    kind: CaseKind = "full",
) -> Decision:
    """An answer opens a case: opened, assigned, and breached at once where the answer came too late."""
    first_contact, resolution = policy.opened(started_at(answer.answered_at, cause.at))
    case = Case(
        id=case_id_of(answer.response_id, answer.cause_id),
        event_key=answer.customer_id or answer.response_id,
        customer_id=answer.customer_id,
        opening_response_id=answer.response_id,
        program=answer.program,
        touchpoint=answer.touchpoint,
        language=answer.language,
        score=score,
        tier=answer.tier,
        status=Status.OPEN,
        outcome=None,
        level="frontline",
        owner_id=choice.agent.id,
        owner_reason=choice.reason,
        owner_reason_details=choice.details,
        responsible_id=None,
        round=0,
        reopenings=0,
        version=1,
        answered_at=answer.answered_at,
        opened_at=cause.at,
        first_contact=first_contact,
        first_contacted_at=None,
        resolution=resolution,
        resolved_at=None,
        root_cause_id=None,
        confirm_by=None,
        closed_at=None,
        priority=answer.priority,
        priority_parts=answer.priority_parts,
        kind=kind,
    )
    opened = decided(
        case,
        cause,
        "opened",
        lambda heading: CaseOpened(
            **heading,
            response_id=answer.response_id,
            program=answer.program,
            touchpoint=answer.touchpoint,
            score=score,
            tier=answer.tier,
            level="frontline",
            owner=choice.agent.as_employee(),
            answered_at=answer.answered_at,
            first_contact_due_at=first_contact.due_at,
            resolution_due_at=resolution.due_at,
            priority=answer.priority,
            kind=kind,
        ),
        details={"response_id": answer.response_id, "score": score, "kind": kind},
    )
    return opened.then(
        lambda case: hand_over(case, choice.agent, choice.reason, choice.details, cause, previous=None)
    ).then(lambda case: _after_opening(case, answer, policy, staff, cause))


def _after_opening(case: Case, answer: Answer, policy: Policy, staff: Staff, cause: Cause) -> Decision:
    # A breach first: where the answer came too late, it has lifted the case already, and a sign adds no second level.
    fired = fire(case, policy, staff, cause.at, cause.traceparent)
    signed = heard(fired.case, answer, policy, staff, cause)
    return Decision(signed.case, fired.steps + signed.steps)


def in_earnest(case: Case, answer: Answer, policy: Policy, now: datetime) -> Case:
    """A light case once its customer is unhappy: an ordinary one, whose clocks run as if this answer had opened it.

    No clock gets more time by it. Said with the step that brings the answer.
    """
    first_contact, resolution = policy.opened(started_at(answer.answered_at, now))
    return replace(
        case,
        kind="full",
        score=case.score if answer.score is None else min(case.score, answer.score),
        first_contact=_sooner(case.first_contact, first_contact),
        resolution=_sooner(case.resolution, resolution),
    )


def _sooner(one: Deadline, other: Deadline) -> Deadline:
    return one if one.is_breached or one.due_at <= other.due_at else other


def join(case: Case, answer: Answer, policy: Policy, staff: Staff, cause: Cause) -> Decision:
    """A further answer of the customer becomes a part of the case, which waits for them no more."""
    return (
        resumed(case, "customer_answered", policy, cause, cause.at)
        .then(lambda case: _joined(case, answer, cause, "joined"))
        .then(lambda case: heard(case, answer, policy, staff, cause))
    )


def revise(case: Case, answer: Answer, policy: Policy, staff: Staff, cause: Cause) -> Decision:
    """A later revision of an answer of the case. Once somebody has acted, people decide what a better score means."""
    if case.waiting is not None:
        return resumed(case, "customer_answered", policy, cause, cause.at).then(
            lambda case: revise(case, answer, policy, staff, cause)
        )
    if answer.response_id == case.opening_response_id and answer.score is not None:
        case = replace(case, score=answer.score)
    if case.customer_id is None and answer.customer_id is not None:
        case = replace(case, customer_id=answer.customer_id)
    return _joined(case, answer, cause, "withdrawn" if answer.withdrawn else "revised").then(
        lambda case: heard(case, answer, policy, staff, cause)
    )


def take_back(case: Case, answer: Answer, policy: Policy, staff: Staff, cause: Cause) -> Decision:
    """The answer that alone made the case is no detractor's any more, and nobody has done anything yet: it ends.

    The timeline says so. `unconfirmed`, because the customer was asked nothing.
    """
    reason = "answer_withdrawn" if answer.withdrawn else "answer_improved"
    return revise(case, answer, policy, staff, cause).then(lambda case: close(case, "unconfirmed", reason, cause))


def _joined(case: Case, answer: Answer, cause: Cause, kind: EntryKind) -> Decision:
    if answer.priority is not None and answer.priority > (case.priority or 0):
        case = replace(case, priority=answer.priority, priority_parts=answer.priority_parts)
    return decided(
        replace(case, version=case.version + 1),
        cause,
        kind,
        lambda heading: CaseJoined(
            **heading, response_id=answer.response_id, revision=answer.revision, score=answer.score
        ),
        details={"response_id": answer.response_id, "revision": answer.revision, "score": answer.score},
    )


def open_again(case: Case, answer: Answer, policy: Policy, staff: Staff, cause: Cause) -> Decision:
    """The answer that opened this closed case, meanwhile revised to a better one, became a detractor's again."""
    return revise(case, answer, policy, staff, cause).then(
        lambda case: reopen(case, "customer_not_satisfied", policy, staff, cause, since=cause.at)
    )


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The customer's word on whether a resolution really solved the problem."""

    round: int
    solved: bool
    comment: str | None
    answered_at: datetime


def confirm(
    case: Case,
    word: Confirmation,
    policy: Policy,
    staff: Staff,
    cause: Cause,
    *,
    other_open_case: Case | None = None,
    forgotten: bool = False,
) -> Decision:
    """The customer's word, which counts when it is about the resolution that stands.

    A yes closes the case as confirmed, also one that was closed unconfirmed meanwhile: it is late, and still the
    customer's own word. A no reopens it and climbs one level, also from closed. A customer who has another open case
    by then has one contact already: the no is noted on the closed case, and the work goes on in the open one. The word
    of a customer who asked to be forgotten is noted without its comment: nobody may call about it any more.
    """
    details: Details = {
        "round": word.round,
        "solved": word.solved,
        "outdated": word.round != case.round or case.is_running,
        "answered_at": word.answered_at.isoformat(),
    }
    if not word.solved and other_open_case is not None:
        details["open_case_id"] = str(other_open_case.id)
    comment = None if forgotten else word.comment
    after = replace(case, version=case.version + 1)
    said = decided(after, cause, "confirmation_answered", details=details, text=comment)
    if details["outdated"] or forgotten:
        return said
    if word.solved:
        if case.outcome == "confirmed":
            return said
        reason = "confirmed_late" if case.status is Status.CLOSED else "confirmed"
        return said.then(lambda case: close(case, "confirmed", reason, cause))
    if other_open_case is not None:
        return said
    since = started_at(word.answered_at, cause.at)
    return said.then(
        lambda case: reopen(case, "customer_not_satisfied", policy, staff, cause, since=since, lifts=False)
    ).then(lambda case: climb(case, "not_solved", policy, staff, cause))


def overhear(case: Case, word: Confirmation, about: Case, policy: Policy, cause: Cause) -> Decision:
    """On the customer's open case: they said that an earlier one is not solved. It waits for them no more."""
    if case.waiting is not None:
        return resumed(case, "customer_answered", policy, cause, cause.at).then(
            lambda case: overhear(case, word, about, policy, cause)
        )
    return decided(
        replace(case, version=case.version + 1),
        cause,
        "confirmation_answered",
        details={"round": word.round, "solved": word.solved, "about_case_id": str(about.id)},
        text=word.comment,
    )


def forget(case: Case, cause: Cause) -> Decision:
    """The customer asked to be forgotten: said on the timeline, and an unfinished case ends, as nobody may call."""
    erased = decided(replace(case, version=case.version + 1), cause, "customer_erased")
    if case.status is Status.CLOSED:
        return erased
    return erased.then(lambda case: close(case, "unconfirmed", "customer_erased", cause))
