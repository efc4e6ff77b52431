"""Topic `casework.cases`: the life of each case. Key: customer, else the response that opened the case."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from libs.events.contracts.scores import Tier
from libs.events.event import Contract, Instant

Clock = Literal["first_contact", "resolution", "confirmation", "escalation"]
Level = Literal["frontline", "management", "executive"]
ContactChannel = Literal["phone", "email", "sms", "messenger", "in_person"]
ContactOutcome = Literal[
    "reached",
    "no_answer",
    "wrong_number",
    "call_later",
    "declined",
    "busy",
    "voicemail",
    "third_person",
    "message_sent",
]
"""`voicemail`: left a message; `third_person`: somebody else answered; `message_sent`: wrote to them, no answer yet."""
EscalationReason = Literal[
    "clock_breached",
    "no_authority",
    "several_departments",
    "key_customer",
    "repeated_problem",
    "customer_asked",
    "not_solved",
    "task_overdue",
    "callback_missed",
    "urgent",
    "several_touchpoints",
    "no_answer",
    "reopened_again",
]
DeescalationReason = Literal["solvable_below", "authority_given", "mistaken", "other"]
"""Why a level gives a case back: it can be solved below, with the authority that was given; it came by mistake."""
TaskKind = Literal["department", "follow_up"]
"""A part of the work that a department does, or something that the customer was promised."""


class Employee(msgspec.Struct, frozen=True, kw_only=True):
    """An employee of the company, as far as a message to them needs it."""

    employee_id: str
    name: str
    email: str
    language: Literal["ru", "en"]


class _Case(Contract, frozen=True, kw_only=True):
    case_id: str
    customer_id: str | None
    version: int
    """The case's version after this event; it never goes down."""


class ThanksRequested(Contract, frozen=True, kw_only=True):
    """The customer is to be thanked for an answer that needs nothing else. Once for each answer."""

    TYPE: ClassVar[str] = "thanks.requested.v1"

    response_id: str
    customer_id: str
    program: str
    touchpoint: str | None
    nps_class: Literal["promoter", "passive", "detractor"] | None
    answered_at: Instant


class CaseOpened(_Case, frozen=True, kw_only=True):
    """A detractor's response opened a case."""

    TYPE: ClassVar[str] = "case.opened.v1"

    response_id: str
    program: str
    touchpoint: str | None
    score: int
    tier: Tier
    level: Level
    owner: Employee
    answered_at: Instant
    first_contact_due_at: Instant
    resolution_due_at: Instant
    priority: int | None = None
    """Whom to call first, 0 to 100, as scoring told it."""
    kind: Literal["full", "light"] = "full"
    """`light`: a passive's or a promoter's, opened by a rule."""


class CaseJoined(_Case, frozen=True, kw_only=True):
    """A further answer, or a later revision, joined the customer's open case."""

    TYPE: ClassVar[str] = "case.joined.v1"

    response_id: str
    revision: int
    score: int | None


class CaseAssigned(_Case, frozen=True, kw_only=True):
    """The case has this owner now; at opening `previous_owner_id` is None."""

    TYPE: ClassVar[str] = "case.assigned.v1"

    owner: Employee
    previous_owner_id: str | None
    reason: str
    tier: Tier
    score: int
    first_contact_due_at: Instant


class CaseContactChanged(_Case, frozen=True, kw_only=True):
    """A customer who had been told of a contact has another one now, and is to hear who."""

    TYPE: ClassVar[str] = "case.contact.changed.v1"

    agent_id: str
    agent_name: str
    previous_owner_id: str
    answered_at: Instant
    """When the customer gave the answer that opened the case."""


class CaseContacted(_Case, frozen=True, kw_only=True):
    """One attempt to reach the customer, with its outcome."""

    TYPE: ClassVar[str] = "case.contacted.v1"

    attempt_id: str
    agent_id: str
    outcome: ContactOutcome
    first_reached: bool
    """True on the attempt that stopped the first-contact clock."""
    channel: ContactChannel | None = None
    """None in events that are older than this field."""


class _Callback(_Case, frozen=True, kw_only=True):
    callback_id: str
    at: Instant
    """The time that was agreed with the customer."""
    channel: ContactChannel
    owner: Employee
    """Who is to call."""


class CaseCallbackAgreed(_Callback, frozen=True, kw_only=True):
    """The customer and we agreed on a time for a contact."""

    TYPE: ClassVar[str] = "case.callback.agreed.v1"


class CaseCallbackMoved(_Callback, frozen=True, kw_only=True):
    """Another time was agreed for the same callback."""

    TYPE: ClassVar[str] = "case.callback.moved.v1"

    moved_from: Instant
    moves: int
    """How often it was moved, this time included: the sequence number of an invitation."""
    reason: Literal["customer_asked", "owner_unavailable", "other"]


class CaseCallbackCancelled(_Callback, frozen=True, kw_only=True):
    """Nobody will call at that time."""

    TYPE: ClassVar[str] = "case.callback.cancelled.v1"

    reason: Literal["customer_asked", "no_longer_needed", "other", "customer_erased"]


class CaseCallbackKept(_Callback, frozen=True, kw_only=True):
    """Somebody tried to reach the customer at the agreed time, or made up for having missed it (`late`)."""

    TYPE: ClassVar[str] = "case.callback.kept.v1"

    outcome: ContactOutcome
    late: bool


class CaseCallbackMissed(_Callback, frozen=True, kw_only=True):
    """The agreed time passed, and nobody called. Made up for soon, or the case climbs."""

    TYPE: ClassVar[str] = "case.callback.missed.v1"

    responsible: Employee | None


class CasePrioritized(_Case, frozen=True, kw_only=True):
    """Somebody said by hand whom to call first."""

    TYPE: ClassVar[str] = "case.prioritized.v1"

    priority: int
    previous_priority: int | None


class CaseEscalated(_Case, frozen=True, kw_only=True):
    """The case climbed; its owner stays the customer's contact."""

    TYPE: ClassVar[str] = "case.escalated.v1"

    from_level: Level
    to_level: Level
    reason: EscalationReason
    responsible: Employee | None
    """The manager or executive who answers for it now; None where the company named nobody."""
    owner: Employee | None = None
    """Who stays the contact; None in events that are older than this field."""
    due_at: Instant | None = None
    """By when somebody of the new level has to act; None in events that are older than this field."""


class CaseDeescalated(_Case, frozen=True, kw_only=True):
    """A level gave the case back to the one below; its owner stays the customer's contact."""

    TYPE: ClassVar[str] = "case.deescalated.v1"

    from_level: Level
    to_level: Level
    reason: DeescalationReason
    responsible: Employee | None
    """Who answers for it now; None on the frontline, where its owner does."""
    owner: Employee
    due_at: Instant | None
    """By when somebody of the level has to act; None on the frontline."""


class CaseClockWarned(_Case, frozen=True, kw_only=True):
    """A deadline comes near."""

    TYPE: ClassVar[str] = "case.clock.warned.v1"

    clock: Clock
    due_at: Instant
    owner: Employee
    responsible: Employee | None = None
    """Who is to act on an escalation; of any other clock the owner is."""


class CaseClockBreached(_Case, frozen=True, kw_only=True):
    """A deadline passed with the work undone."""

    TYPE: ClassVar[str] = "case.clock.breached.v1"

    clock: Clock
    due_at: Instant
    owner: Employee
    responsible: Employee | None


class CaseClockReminded(_Case, frozen=True, kw_only=True):
    """A deadline passed at the top level, and still nobody there has acted."""

    TYPE: ClassVar[str] = "case.clock.reminded.v1"

    clock: Clock
    due_at: Instant
    owner: Employee
    responsible: Employee | None


class CaseClockChanged(_Case, frozen=True, kw_only=True):
    """Somebody had the clocks counted anew by the present policy: what is due when now, None where nothing runs."""

    TYPE: ClassVar[str] = "case.clock.changed.v1"

    recomputation_id: str
    first_contact_due_at: Instant | None
    resolution_due_at: Instant | None
    escalation_due_at: Instant | None


class CaseWaiting(_Case, frozen=True, kw_only=True):
    """The case waits for the customer; its resolution clock is paused."""

    TYPE: ClassVar[str] = "case.waiting.v1"

    reason: Literal["customer_information", "customer_decision", "customer_trying", "customer_away", "other"]
    until: Instant
    """When it is resumed at the latest."""


class CaseResumed(_Case, frozen=True, kw_only=True):
    """The case waits no more, and the resolution is due as much later as it was paused."""

    TYPE: ClassVar[str] = "case.resumed.v1"

    reason: Literal["by_hand", "limit", "customer_answered", "customer_reached", "resolved"]
    waited_since: Instant
    resolution_due_at: Instant


class CaseCommented(_Case, frozen=True, kw_only=True):
    """A colleague asked others to look at a comment. What it says stays on the case."""

    TYPE: ClassVar[str] = "case.commented.v1"

    author_id: str
    mentioned: tuple[Employee, ...]


class CaseResolved(_Case, frozen=True, kw_only=True):
    """The owner says that it is solved; the customer is asked (`round` counts the resolutions of the case)."""

    TYPE: ClassVar[str] = "case.resolved.v1"

    round: int
    root_cause: str
    agent_id: str
    agent_name: str
    answered_at: Instant
    """When the customer gave the answer that opened the case."""
    confirm_by: Instant
    customer_contacts: int | None = None
    """How often the customer had to get in touch about it; None where nobody asked."""
    passed_on: bool | None = None
    """Whether the customer was passed from one to another; None where nobody asked."""


class CaseReopened(_Case, frozen=True, kw_only=True):
    """The problem is not solved after all."""

    TYPE: ClassVar[str] = "case.reopened.v1"

    round: int
    reason: Literal["customer_not_satisfied", "by_hand"]
    owner: Employee


class CaseClosed(_Case, frozen=True, kw_only=True):
    """The loop is closed: by the customer's yes, or by silence for the stated time."""

    TYPE: ClassVar[str] = "case.closed.v1"

    outcome: Literal["confirmed", "unconfirmed"]


class _Task(_Case, frozen=True, kw_only=True):
    task_id: str
    kind: TaskKind
    department_id: str | None
    """The department that was asked; None of a promise that no department is to keep."""
    owner: Employee
    """Whose task it is; the owner of the case is `case_owner`."""


class CaseTaskOpened(_Task, frozen=True, kw_only=True):
    """Somebody was asked for a part of the work; the case waits for those of departments."""

    TYPE: ClassVar[str] = "case.task.opened.v1"

    case_owner: Employee
    due_at: Instant


class CaseTaskAssigned(_Task, frozen=True, kw_only=True):
    """The task has this owner now, and is due then."""

    TYPE: ClassVar[str] = "case.task.assigned.v1"

    previous_owner_id: str
    due_at: Instant


class CaseTaskDone(_Task, frozen=True, kw_only=True):
    """The task is done."""

    TYPE: ClassVar[str] = "case.task.done.v1"

    case_owner: Employee


class CaseTaskDeclined(_Task, frozen=True, kw_only=True):
    """The task will not be done; the case waits for it no more."""

    TYPE: ClassVar[str] = "case.task.declined.v1"

    reason: Literal["not_ours", "not_possible", "not_needed", "duplicate", "other", "customer_erased"]
    case_owner: Employee


class CaseTaskWarned(_Task, frozen=True, kw_only=True):
    """The task is due soon."""

    TYPE: ClassVar[str] = "case.task.warned.v1"

    due_at: Instant


class CaseTaskBreached(_Task, frozen=True, kw_only=True):
    """The task was not done in time; where it is a department's, the case climbs."""

    TYPE: ClassVar[str] = "case.task.breached.v1"

    manager: Employee | None
    """Who manages the department that was asked."""
    case_owner: Employee
    due_at: Instant
