"""Cases as they are shown over HTTP."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Row

from libs.events.contracts.scores import PriorityFactor
from services.casework.api.task_views import TaskView, view_of_task
from services.casework.domain.callbacks import Callback, CallbackState
from services.casework.domain.cases import Case, CaseKind, WaitReason
from services.casework.domain.names import (
    ContactChannel,
    ContactOutcome,
    Level,
    Metric,
    NpsClass,
    Signal,
    SurveyKind,
    Tier,
)
from services.casework.domain.timeline import ActorKind, EntryKind
from services.casework.store.cases import case_of

Status = Literal["open", "contacted", "resolved", "closed"]
Outcome = Literal["confirmed", "unconfirmed"]
Details = dict[str, str | int | bool | None]


class WaitingState(BaseModel):
    """The case waits for the customer. `resolution_due_at` moves by the time waited, once that is over."""

    since: datetime
    until: datetime
    reason: WaitReason


class CaseState(BaseModel):
    """A case without anything personal: what a command answers with, and stores for its repetition."""

    id: UUID
    version: int
    kind: CaseKind
    """`light`: a rule opened it for an answer that is no detractor's."""
    status: Status
    outcome: Outcome | None
    level: Level
    tier: Tier
    score: int
    program: str
    touchpoint: str | None
    customer_id: str | None
    owner_id: str
    responsible_id: str | None
    """Who answers for it at its level; null on the frontline."""
    round: int
    """How often it has been resolved."""
    reopenings: int
    """How often it has been opened again."""
    answered_at: datetime
    opened_at: datetime
    next_due_at: datetime | None
    """What the list is ordered by; null when closed."""
    first_contact_due_at: datetime
    first_contact_breached: bool
    first_contacted_at: datetime | None
    resolution_due_at: datetime
    resolution_breached: bool
    resolved_at: datetime | None
    root_cause_id: str | None
    confirm_by: datetime | None
    closed_at: datetime | None
    escalated_at: datetime | None
    """When the case came to its level, as long as nobody there has acted."""
    escalation_due_at: datetime | None
    """By when somebody of its level has to act; null on the frontline, and once somebody has."""
    escalation_breached: bool
    waiting: WaitingState | None
    """What the case waits for; the resolution clock is paused meanwhile."""
    signals: list[Signal]
    """What the case has shown that management has to know, each once: a key customer's low score, urgency, others."""
    priority: int | None
    """Whom to call first, 0 to 100: the highest that an answer of the case has; null where none was told."""


class CaseSummary(CaseState):
    """A case in a list."""

    customer_name: str | None
    owner_name: str | None
    responsible_name: str | None


class CasePage(BaseModel):
    """One page of cases."""

    items: list[CaseSummary]
    next_cursor: str | None = None


class Customer(BaseModel):
    """Whose case it is, as far as known. `erased`: they asked to be forgotten."""

    id: str
    name: str | None
    tier: Tier | None
    language: str | None
    account_name: str | None
    erased: bool


class OwnerReason(BaseModel):
    """Why this owner was chosen: a code and its parameters."""

    code: str
    details: Details


class PriorityPart(BaseModel):
    """What one factor adds to the priority, and the fact that it adds it for."""

    factor: PriorityFactor
    points: int
    fact: str


class Who(BaseModel):
    """Who did it."""

    kind: ActorKind
    id: str
    name: str | None


class TimelineEntry(BaseModel):
    """One line of the timeline."""

    version: int
    kind: EntryKind
    at: datetime
    actor: Who
    details: Details
    text: str | None


class ContactAttempt(BaseModel):
    """One try to reach the customer."""

    id: str
    outcome: ContactOutcome
    channel: ContactChannel
    at: datetime
    by: Who
    note: str | None


class CallbackView(BaseModel):
    """A contact that was agreed with the customer for a time."""

    id: UUID
    at: datetime
    channel: ContactChannel
    state: CallbackState
    agreed_at: datetime
    agreed_by: str
    moves: int
    """How often it was moved."""
    settled_at: datetime | None
    """When it was kept or cancelled; of a missed one, when somebody made up for it."""
    outcome: ContactOutcome | None
    """Of the attempt that kept it, or made up for it."""


class Resolution(BaseModel):
    """How one round ended: the root cause as it read then, and the effort that it took the customer."""

    round: int
    at: datetime
    root_cause_id: str
    root_cause_version: int
    name_ru: str | None
    name_en: str | None
    customer_contacts: int | None
    passed_on: bool | None


class CaseResponse(BaseModel):
    """One answer of the customer at its latest revision."""

    response_id: str
    revision: int
    program: str
    touchpoint: str | None
    kind: SurveyKind
    metric: Metric
    score: int | None
    nps_class: NpsClass | None
    comment: str | None
    answered_at: datetime


class EarlierResponse(CaseResponse):
    """An answer of the customer that does not belong to this case."""

    case_id: UUID | None


class EarlierCase(BaseModel):
    """Another case of the same customer."""

    id: UUID
    status: Status
    outcome: Outcome | None
    level: Level
    score: int
    touchpoint: str | None
    root_cause_id: str | None
    owner_id: str
    owner_name: str | None
    answered_at: datetime
    opened_at: datetime
    closed_at: datetime | None


class CaseDetail(CaseSummary):
    """One case with everything that belongs to it."""

    customer: Customer | None
    owner_reason: OwnerReason
    priority_parts: list[PriorityPart]
    """What the priority is the sum of."""
    responses: list[CaseResponse]
    contact_attempts: list[ContactAttempt]
    callbacks: list[CallbackView]
    """The first agreed first; at most one is `agreed`."""
    resolutions: list[Resolution]
    timeline: list[TimelineEntry]
    tasks: list[TaskView]
    """What others do for it; it is not resolved before those of departments have ended."""
    earlier_cases: list[EarlierCase]
    earlier_responses: list[EarlierResponse]


def state_of(case: Case) -> CaseState:
    """The case without anything personal."""
    return CaseState(**_state(case))


def summary_of(row: Row[Any]) -> CaseSummary:
    """The case in a row of `store.reading`."""
    return CaseSummary(**_state(case_of(row)), **_names(row))


def detail_of(
    row: Row[Any],
    *,
    timeline: Sequence[Row[Any]],
    answers: Sequence[Row[Any]],
    callbacks: Sequence[Callback],
    resolutions: Sequence[Row[Any]],
    earlier_cases: Sequence[Row[Any]],
    earlier_answers: Sequence[Row[Any]],
    tasks: Sequence[Row[Any]],
) -> CaseDetail:
    """The case in a row of `store.reading`, with what was read beside it."""
    case = case_of(row)
    entries = [_entry(each) for each in timeline]
    return CaseDetail(
        **_state(case),
        **_names(row),
        customer=_customer(row),
        owner_reason=OwnerReason(code=case.owner_reason, details=case.owner_reason_details),
        priority_parts=[PriorityPart.model_validate(each, from_attributes=True) for each in case.priority_parts],
        responses=[CaseResponse.model_validate(each, from_attributes=True) for each in answers],
        contact_attempts=[_attempt(entry) for entry in entries if entry.kind == "contacted"],
        callbacks=[callback_view(each) for each in callbacks],
        resolutions=[Resolution.model_validate(each, from_attributes=True) for each in resolutions],
        timeline=entries,
        tasks=[view_of_task(each) for each in tasks],
        earlier_cases=[EarlierCase.model_validate(each, from_attributes=True) for each in earlier_cases],
        earlier_responses=[EarlierResponse.model_validate(each, from_attributes=True) for each in earlier_answers],
    )


def callback_view(callback: object) -> CallbackView:
    """A callback as it is shown, of itself or of a row that has its fields."""
    return CallbackView.model_validate(callback, from_attributes=True)


def _state(case: Case) -> Mapping[str, Any]:
    return {
        "id": case.id,
        "version": case.version,
        "kind": case.kind,
        "status": case.status.value,
        "outcome": case.outcome,
        "level": case.level,
        "tier": case.tier,
        "score": case.score,
        "program": case.program,
        "touchpoint": case.touchpoint,
        "customer_id": case.customer_id,
        "owner_id": case.owner_id,
        "responsible_id": case.responsible_id,
        "round": case.round,
        "reopenings": case.reopenings,
        "answered_at": case.answered_at,
        "opened_at": case.opened_at,
        "next_due_at": case.next_due_at,
        "first_contact_due_at": case.first_contact.due_at,
        "first_contact_breached": case.first_contact.is_breached,
        "first_contacted_at": case.first_contacted_at,
        "resolution_due_at": case.resolution.due_at,
        "resolution_breached": case.resolution.is_breached,
        "resolved_at": case.resolved_at,
        "root_cause_id": case.root_cause_id,
        "confirm_by": case.confirm_by,
        "closed_at": case.closed_at,
        "escalated_at": case.escalated_at,
        "escalation_due_at": None if case.escalation is None else case.escalation.due_at,
        "escalation_breached": case.escalation is not None and case.escalation.is_breached,
        "waiting": None
        if case.waiting is None
        else WaitingState(since=case.waiting.since, until=case.waiting.until, reason=case.waiting.reason),
        "signals": list(case.signals),
        "priority": case.priority,
    }


def _names(row: Row[Any]) -> Mapping[str, Any]:
    return {
        "customer_name": row.customer_name,
        "owner_name": row.owner_name,
        "responsible_name": row.responsible_name,
    }


def _customer(row: Row[Any]) -> Customer | None:
    if row.customer_id is None:
        return None
    return Customer(
        id=row.customer_id,
        name=row.customer_name,
        tier=row.customer_tier,
        language=row.customer_language,
        account_name=row.customer_account_name,
        erased=row.customer_erased_at is not None and row.customer_name is None,
    )


def _entry(row: Row[Any]) -> TimelineEntry:
    return TimelineEntry(
        version=row.version,
        kind=row.kind,
        at=row.at,
        actor=Who(kind=row.actor_kind, id=row.actor_id, name=row.actor_name),
        details=json.loads(row.details),
        text=row.text,
    )


def _attempt(entry: TimelineEntry) -> ContactAttempt:
    return ContactAttempt.model_validate(
        {
            "id": entry.details["attempt_id"],
            "outcome": entry.details["outcome"],
            # Before channels were recorded people called.
            "channel": entry.details.get("channel", "phone"),
            "at": entry.at,
            "by": entry.actor,
            "note": entry.text,
        }
    )
