"""Callbacks: what the customer and whoever calls are told when one is agreed, moved, cancelled, near or missed.

Casework owns callbacks and the times that are free; here people are told. Each mail about a time carries the calendar's
view of it (RFC 5545, 5546): one UID for the callback's whole life, and a sequence number that rises with each change,
so that a calendar shows it once and in its latest place, in whatever order mails arrive. Where the case gets another
owner, whoever was to call gets a cancellation, whoever calls now an invitation, and the customer hears the name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import UUID

from libs.events.contracts.cases import (
    CaseAssigned,
    CaseCallbackAgreed,
    CaseCallbackCancelled,
    CaseCallbackKept,
    CaseCallbackMissed,
    CaseCallbackMoved,
    CaseContacted,
    Employee,
)
from libs.events.event import derived_id
from services.notify.domain.messages import Notice, message_id

if TYPE_CHECKING:
    from libs.events.contracts.messages import MessageKind
    from libs.events.event import Event
    from services.notify.domain.messages import Facts

State = Literal["agreed", "kept", "missed", "cancelled"]
Told = Literal["offer", "agreed", "moved", "handed", "cancelled", "reminder", "missed"]

CALLBACK_EVENTS: Final = (
    CaseCallbackAgreed,
    CaseCallbackMoved,
    CaseCallbackCancelled,
    CaseCallbackKept,
    CaseCallbackMissed,
)
UNANSWERED: Final = frozenset({"no_answer", "busy", "voicemail", "third_person"})
"""Outcomes of an attempt after which the customer is asked when it suits them."""
REMIND_BEFORE: Final = timedelta(hours=2)
_TOO_SHORT: Final = timedelta(hours=1)
"""Who was told so shortly before the reminder needs none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """A callback as it stands."""

    callback_id: UUID
    case_id: str
    customer_id: str | None
    case_version: int
    at: datetime
    sequence: int
    state: State
    agent: Employee
    remind_at: datetime | None
    traceparent: str | None


def callback_of(event: Event[Any], now: datetime) -> Callback | None:
    """The callback as an event leaves it; None where it is about none. `sequence` counts what invitations were sent."""
    told = event.payload
    if not isinstance(told, CALLBACK_EVENTS):
        return None
    state: State
    sequence = 0
    match told:
        case CaseCallbackAgreed():
            state = "agreed"
        case CaseCallbackMoved(moves=moves):
            state, sequence = "agreed", moves
        case CaseCallbackCancelled():
            state = "cancelled"
        case CaseCallbackKept(late=late):
            state = "missed" if late else "kept"
        case _:
            state = "missed"
    remind_at = told.at - REMIND_BEFORE
    return Callback(
        callback_id=UUID(told.callback_id),
        case_id=told.case_id,
        customer_id=told.customer_id,
        case_version=told.version,
        at=told.at,
        sequence=sequence,
        state=state,
        agent=told.owner,
        remind_at=remind_at if state == "agreed" and remind_at - now > _TOO_SHORT else None,
        traceparent=event.traceparent,
    )


def notices_of_event(event: Event[Any], callback: Callback) -> tuple[Notice, ...]:
    """Whom an event about a callback is told to: the customer, and whoever calls."""
    told: Told
    match event.payload:
        case CaseCallbackAgreed():
            told = "agreed"
        case CaseCallbackMoved():
            told = "moved"
        case CaseAssigned():
            told = "handed"
        case CaseCallbackCancelled(reason=reason):
            to_agent = _to_agent(callback, "cancelled", event.id)
            # Nothing is written to somebody who asked to be forgotten.
            if reason == "customer_erased":
                return (to_agent,)
            return (*_to_customer(callback, "cancelled", event.id), to_agent)
        case CaseCallbackMissed():
            told = "missed"
        case _:
            return ()
    return (*_to_customer(callback, told, event.id), _to_agent(callback, told, event.id))


def handed(callback: Callback, event: Event[Any]) -> Callback:
    """The callback after its case has another owner, who calls instead; the time stays."""
    told: CaseAssigned = event.payload
    if callback.state != "agreed" or callback.case_version >= told.version or callback.agent == told.owner:
        return callback
    return replace(
        callback,
        agent=told.owner,
        case_version=told.version,
        sequence=callback.sequence + 1,
        traceparent=event.traceparent,
    )


def notice_to_former(former: Employee, callback: Callback, cause: UUID) -> Notice | None:
    """Whoever was to call hears that they are not; None where they still are."""
    if former.employee_id == callback.agent.employee_id:
        return None
    facts: Facts = {**_facts(callback, "cancelled"), "taken_by": callback.agent.name}
    version, trace = callback.case_version, callback.traceparent
    return _notice("callback_duty", cause, callback.case_id, version, facts, trace, former)


def reminders_of(callback: Callback) -> tuple[Notice, ...]:
    """Shortly before: once for each time that was agreed."""
    cause = derived_id(callback.callback_id, "callback.reminder", str(callback.sequence))
    return (*_to_customer(callback, "reminder", cause), _to_agent(callback, "reminder", cause))


def offer_of(event: Event[Any]) -> Notice | None:
    """After an attempt that reached nobody, the customer is asked once for each case when it suits them."""
    attempt = event.payload
    if not isinstance(attempt, CaseContacted) or attempt.outcome not in UNANSWERED or attempt.customer_id is None:
        return None
    cause = derived_id(UUID(attempt.case_id), "callback.offer")
    facts: Facts = {"reason": "offer", "agent": None, "at": None, "case_id": attempt.case_id}
    return _notice("callback", cause, attempt.case_id, attempt.version, facts, event.traceparent, attempt.customer_id)


def _to_customer(callback: Callback, told: Told, cause: UUID) -> tuple[Notice, ...]:
    if callback.customer_id is None:
        return ()
    return (
        _notice(
            "callback",
            cause,
            callback.case_id,
            callback.case_version,
            _facts(callback, told),
            callback.traceparent,
            callback.customer_id,
        ),
    )


def _to_agent(callback: Callback, told: Told, cause: UUID) -> Notice:
    return _notice(
        "callback_duty",
        cause,
        callback.case_id,
        callback.case_version,
        _facts(callback, told),
        callback.traceparent,
        callback.agent,
    )


def _facts(callback: Callback, told: Told) -> Facts:
    return {
        "reason": told,
        "agent": callback.agent.name,
        "at": callback.at.isoformat(),
        "case_id": callback.case_id,
        "callback_id": str(callback.callback_id),
        "sequence": callback.sequence,
    }


def _notice(
    kind: MessageKind,
    cause: UUID,
    case_id: str,
    case_version: int,
    facts: Facts,
    traceparent: str | None,
    to: str | Employee,
) -> Notice:
    employee = to if isinstance(to, Employee) else None
    customer_id = to if isinstance(to, str) else None
    recipient = f"customer:{customer_id}" if employee is None else f"employee:{employee.employee_id}"
    return Notice(
        id=message_id(cause, recipient),
        cause_id=cause,
        kind=kind,
        recipient=recipient,
        case_id=case_id,
        case_version=case_version,
        customer_id=customer_id,
        employee_id=None if employee is None else employee.employee_id,
        employee=employee,
        facts=facts,
        traceparent=traceparent,
    )
