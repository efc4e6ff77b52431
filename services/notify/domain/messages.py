"""Messages: what an event is worth telling to whom, and when a message is held back.

    waiting ──profile came──▶ queued ──claimed──▶ sending ──last dot is next──▶ transmitting ──accepted──▶ sent
       │                        ▲│                   │                              │
       │                        │└──held back────────┼───▶ suppressed               ├──refused for good──▶ failed
       └──never came──▶ suppressed (no_profile)      │                              │
                                └──tried again later─┴──────────────────────────────┤
                                └◀──resolved: it never arrived── doubtful ◀─────────┘ no answer, or the process died
                                                                    └──resolved: it arrived──▶ sent

What an outcome means, and the rule by which a doubt is resolved, stand in `outcomes`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NewType
from uuid import UUID, uuid5

from libs.events.contracts.cases import (
    CaseAssigned,
    CaseClockBreached,
    CaseClockReminded,
    CaseClockWarned,
    CaseContactChanged,
    CaseDeescalated,
    CaseEscalated,
    CaseReopened,
    CaseResolved,
    CaseTaskAssigned,
    CaseTaskBreached,
    CaseTaskDeclined,
    CaseTaskDone,
    CaseTaskOpened,
    CaseTaskWarned,
    Employee,
    ThanksRequested,
)
from libs.events.contracts.responses import address_mark
from services.notify.domain.mailboxes import is_address

if TYPE_CHECKING:
    from libs.events.contracts.customers import Language
    from libs.events.contracts.messages import MessageKind, SuppressionReason
    from libs.events.contracts.scores import Tier
    from libs.events.event import Contract, Event

    _Task = CaseTaskOpened | CaseTaskAssigned | CaseTaskDone | CaseTaskDeclined | CaseTaskWarned | CaseTaskBreached

MessageId = NewType("MessageId", UUID)
Facts = dict[str, str | int | bool | None]
"""What the text of a message needs beyond its recipient; times as RFC 3339."""


class Status(StrEnum):
    """Where a message is on its way; the drawing above."""

    WAITING = "waiting"
    QUEUED = "queued"
    SENDING = "sending"
    TRANSMITTING = "transmitting"
    SENT = "sent"
    FAILED = "failed"
    DOUBTFUL = "doubtful"
    SUPPRESSED = "suppressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A message's identity in the ledger: what its events say of it."""

    id: MessageId
    cause_id: UUID
    kind: MessageKind
    case_id: str | None
    customer_id: str | None
    employee_id: str | None
    attempt: int = 0
    """How often it was claimed for sending; also the mark by which a sender that was given up is told apart."""
    traceparent: str | None = None

    @property
    def key(self) -> str:
        """The key of its events on `notify.messages`."""
        return self.customer_id or self.employee_id or self.case_id or str(self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(Entry):
    """A message that an event asks for. `employee` is None where the customer is told."""

    recipient: str
    case_version: int
    employee: Employee | None
    round: int | None = None
    facts: Facts = field(default_factory=dict)

    def hold(self, profile: Profile | None) -> SuppressionReason | None:
        """Why it cannot be sent to its recipient, by what is known of them now; None when it can."""
        if self.employee is None:
            return hold(profile)
        return None if is_address(self.employee.email) else "no_address"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What is known of a customer for a message to them."""

    customer_id: str
    version: int
    name: str
    email: str | None
    language: Language
    time_zone: str
    email_consent: bool
    phone: str | None = None
    tier: Tier | None = None


def message_id(cause_id: UUID, recipient: str) -> MessageId:
    """One message per cause and recipient, ever: the id follows from both."""
    return MessageId(uuid5(cause_id, f"message/{recipient}"))


def notices_of(event: Event[Any]) -> tuple[Notice, ...]:
    """The messages that a case's event asks for; most ask for none."""
    notices: tuple[Notice, ...] = ()
    match event.payload:
        case CaseAssigned() as case:
            facts: Facts = {
                "tier": case.tier,
                "score": case.score,
                "due_at": case.first_contact_due_at.isoformat(),
                "taken_over": case.previous_owner_id is not None,
            }
            notices = (_to_employee(event, case, "case_assigned", case.owner, facts),)
        case CaseReopened() as case:
            notices = (_to_employee(event, case, "case_reopened", case.owner, {"reason": case.reason}),)
        case CaseEscalated() as case:
            notices = _of_escalation(event, case)
        case CaseDeescalated(responsible=Employee() as told) as case:
            facts = {"reason": "returned", "owner": case.owner.name}
            notices = (_to_employee(event, case, "case_escalated", told, facts),)
        case CaseClockWarned() | CaseClockBreached() | CaseClockReminded() as clock:
            notices = _of_clock(event, clock)
        case CaseContactChanged(customer_id=str()) as case:
            notices = (_introduction(event, case),)
        case CaseResolved() as case:
            notices = (confirmation_request(event, case),)
        case ThanksRequested() as thanks:
            notices = (_thanks(event, thanks),)
        case (
            CaseTaskOpened()
            | CaseTaskAssigned()
            | CaseTaskDone()
            | CaseTaskDeclined()
            | CaseTaskWarned()
            | CaseTaskBreached()
        ) as task:
            notices = _of_task(event, task)
    return notices


def _of_task(event: Event[Contract], case: _Task) -> tuple[Notice, ...]:
    """Whose task it is hears that they have it and when it is due; the case's owner, what became of it."""
    facts: Facts
    match case:
        case CaseTaskOpened() if case.owner.employee_id != case.case_owner.employee_id:
            facts = {"due_at": case.due_at.isoformat(), "owner": case.case_owner.name}
            return (_to_employee(event, case, "task_assigned", case.owner, facts),)
        case CaseTaskAssigned() if case.owner.employee_id != case.previous_owner_id:
            facts = {"due_at": case.due_at.isoformat(), "owner": None}
            return (_to_employee(event, case, "task_assigned", case.owner, facts),)
        case CaseTaskDone() | CaseTaskDeclined() if case.owner.employee_id != case.case_owner.employee_id:
            reason = case.reason if isinstance(case, CaseTaskDeclined) else None
            facts = {"reason": reason, "owner": case.owner.name}
            return (_to_employee(event, case, "task_ended", case.case_owner, facts),)
        case CaseTaskWarned():
            facts = {"due_at": case.due_at.isoformat(), "owner": case.owner.name, "overdue": False, "as_owner": True}
            return (_to_employee(event, case, "task_due", case.owner, facts),)
        case CaseTaskBreached():
            return _of_overdue_task(event, case)
        case _:  # who would be told did it themselves
            return ()


def _of_overdue_task(event: Event[Contract], case: CaseTaskBreached) -> tuple[Notice, ...]:
    told = {each.employee_id: each for each in (case.case_owner, case.manager, case.owner) if each is not None}
    facts: Facts = {"due_at": case.due_at.isoformat(), "owner": case.owner.name, "overdue": True}
    own = case.owner.employee_id
    return tuple(
        _to_employee(event, case, "task_due", each, facts | {"as_owner": each.employee_id == own})
        for each in told.values()
    )


def _of_clock(
    event: Event[Contract], case: CaseClockWarned | CaseClockBreached | CaseClockReminded
) -> tuple[Notice, ...]:
    facts: Facts = {"clock": case.clock, "due_at": case.due_at.isoformat()}
    match case:
        case CaseClockWarned():
            # Who is to act on an escalation is not the owner.
            told = case.owner if case.responsible is None else case.responsible
            return (_to_employee(event, case, "clock_warned", told, facts),)
        case CaseClockBreached():
            return _of_breach(event, case)
        case CaseClockReminded(responsible=Employee() as told):
            facts |= {"owner": case.owner.name, "as_owner": False}
            return (_to_employee(event, case, "clock_breached", told, facts),)
        case _:  # nobody answers for it, so nobody is reminded
            return ()


def _of_breach(event: Event[Contract], case: CaseClockBreached) -> tuple[Notice, ...]:
    """To the owner, and to whom answers for the case above them."""
    facts: Facts = {"clock": case.clock, "due_at": case.due_at.isoformat(), "owner": case.owner.name}
    to_owner = _to_employee(event, case, "clock_breached", case.owner, facts | {"as_owner": True})
    if case.responsible is None or case.responsible.employee_id == case.owner.employee_id:
        return (to_owner,)
    return to_owner, _to_employee(event, case, "clock_breached", case.responsible, facts | {"as_owner": False})


def _of_escalation(event: Event[Contract], case: CaseEscalated) -> tuple[Notice, ...]:
    """To whom answers for the case now, unless another mail tells them: nobody is told twice about one thing."""
    told = case.responsible
    if told is None or case.reason == "clock_breached":  # the mail about the breach goes to the same responsible
        return ()
    if case.owner is not None and case.owner.employee_id == told.employee_id:  # has the case, and its mails, anyway
        return ()
    facts: Facts = {"reason": case.reason, "owner": None if case.owner is None else case.owner.name}
    return (_to_employee(event, case, "case_escalated", told, facts),)


def _to_employee(
    event: Event[Contract],
    case: CaseAssigned
    | CaseReopened
    | CaseEscalated
    | CaseDeescalated
    | CaseClockWarned
    | CaseClockBreached
    | CaseClockReminded
    | _Task,
    kind: MessageKind,
    employee: Employee,
    facts: Facts,
) -> Notice:
    recipient = f"employee:{employee.employee_id}"
    return Notice(
        id=message_id(event.id, recipient),
        cause_id=event.id,
        kind=kind,
        recipient=recipient,
        case_id=case.case_id,
        case_version=case.version,
        customer_id=None,
        employee_id=employee.employee_id,
        employee=employee,
        facts=facts,
        traceparent=event.traceparent,
    )


def _introduction(event: Event[Contract], case: CaseContactChanged) -> Notice:
    """Who the customer's contact is now."""
    recipient = f"customer:{case.customer_id}"
    return Notice(
        id=message_id(event.id, recipient),
        cause_id=event.id,
        kind="new_contact",
        recipient=recipient,
        case_id=case.case_id,
        case_version=case.version,
        customer_id=case.customer_id,
        employee_id=None,
        employee=None,
        facts={"agent": case.agent_name, "answered_at": case.answered_at.isoformat()},
        traceparent=event.traceparent,
    )


def _thanks(event: Event[Contract], asked: ThanksRequested) -> Notice:
    """Thanks for an answer that made no case."""
    recipient = f"customer:{asked.customer_id}"
    return Notice(
        id=message_id(event.id, recipient),
        cause_id=event.id,
        kind="thanks",
        recipient=recipient,
        case_id=None,
        case_version=0,
        customer_id=asked.customer_id,
        employee_id=None,
        employee=None,
        facts={"agent": None, "answered_at": asked.answered_at.isoformat()},
        traceparent=event.traceparent,
    )


def confirmation_request(event: Event[Contract], case: CaseResolved) -> Notice:
    """The question that a resolution asks."""
    recipient = f"case:{case.case_id}" if case.customer_id is None else f"customer:{case.customer_id}"
    return Notice(
        id=message_id(event.id, recipient),
        cause_id=event.id,
        kind="confirmation_request",
        recipient=recipient,
        case_id=case.case_id,
        case_version=case.version,
        round=case.round,
        customer_id=case.customer_id,
        employee_id=None,
        employee=None,
        facts={
            "agent": case.agent_name,
            "answered_at": case.answered_at.isoformat(),
            "confirm_by": case.confirm_by.isoformat(),
        },
        traceparent=event.traceparent,
    )


def phone_mark(phone: str) -> str:
    """What stands for a phone number where numbers must not be kept: the mark of its digits."""
    return address_mark("+" + "".join(digit for digit in phone if digit.isdigit()))


def hold(profile: Profile | None) -> SuppressionReason | None:
    """Why a customer with this profile cannot be written to; None when they can."""
    if profile is None:
        return "no_profile"
    if not is_address(profile.email):
        return "no_address"
    if not profile.email_consent:
        return "no_consent"
    return None
