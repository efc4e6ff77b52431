"""Topic `notify.messages`: what was sent to whom, and what customers answered. Key: customer, employee or campaign."""

from __future__ import annotations

from typing import ClassVar, Literal

from libs.events.event import Contract, Instant

MessageKind = Literal[
    "case_assigned",
    "case_reopened",
    "case_escalated",
    "clock_warned",
    "clock_breached",
    "confirmation_request",
    "new_contact",
    "thanks",
    "task_assigned",
    "task_due",
    "task_ended",
    "subscription_disabled",
    "changes_for_customers",
    "changes_for_employees",
    "changes_for_partners",
    "callback",
    "callback_duty",
    "digest",
]
SuppressionReason = Literal[
    "no_address",
    "no_profile",
    "no_consent",
    "erased",
    "outdated",
    "undeliverable",
    "complained",
    "unsubscribed",
    "listed",
    "frequency",
    "too_late",
    "cancelled",
]
"""`undeliverable`: mail to the address came back for good; `complained`: they called a message unwanted; `listed`: by
hand on the list of those who are not written to; `frequency`: they had enough messages of the kind already; `too_late`:
it waited for the hours in which they may be written to until it was of no use any more; `cancelled`:
its campaign was."""

HoldReason = Literal["quiet_hours", "frequency"]
MessageChannel = Literal["email", "sms", "messenger", "chat"]
Purpose = Literal["work", "service", "courtesy", "news"]
Bounce = Literal["hard", "soft", "complaint"]


class _Message(Contract, frozen=True, kw_only=True):
    message_id: str
    kind: MessageKind
    cause_id: str
    """The event that caused the message: one message per (cause, recipient), ever."""
    case_id: str | None
    customer_id: str | None
    employee_id: str | None


class MessageQueued(_Message, frozen=True, kw_only=True):
    """A message was written into the ledger and will be sent."""

    TYPE: ClassVar[str] = "message.queued.v1"


class MessageSent(_Message, frozen=True, kw_only=True):
    """The mail server accepted the message."""

    TYPE: ClassVar[str] = "message.sent.v1"


class MessageFailed(_Message, frozen=True, kw_only=True):
    """The message was given up, with the server's last answer, or its fate is unknown (`doubtful`)."""

    TYPE: ClassVar[str] = "message.failed.v1"

    reason: str
    doubtful: bool


class MessageSuppressed(_Message, frozen=True, kw_only=True):
    """A rule held the message back: recorded, never silent."""

    TYPE: ClassVar[str] = "message.suppressed.v1"

    reason: SuppressionReason


class MessageHeld(_Message, frozen=True, kw_only=True):
    """A rule makes the message wait: recorded, never silent."""

    TYPE: ClassVar[str] = "message.held.v1"

    reason: HoldReason
    until: Instant
    channel: MessageChannel


class MessageBounced(_Message, frozen=True, kw_only=True):
    """What had been accepted came back, or its recipient called it unwanted."""

    TYPE: ClassVar[str] = "message.bounced.v1"

    bounce: Bounce
    """`hard`: nothing will ever arrive there; `soft`: this one did not; `complaint`: it is not wanted."""
    code: str
    """The enhanced status code (RFC 3463) where there is one, such as 5.1.1; else what kind of report it was."""


class CustomerOptedOut(Contract, frozen=True, kw_only=True):
    """The customer wants no more messages of this purpose over this channel."""

    TYPE: ClassVar[str] = "customer.unsubscribed.v1"

    customer_id: str
    channel: MessageChannel
    purpose: Purpose
    told_by: Literal["customer", "complaint", "operator"]
    unsubscribed_at: Instant


class CustomerOptedIn(Contract, frozen=True, kw_only=True):
    """The customer wants messages of this purpose over this channel, often after all."""

    TYPE: ClassVar[str] = "customer.subscribed.v1"

    customer_id: str
    channel: MessageChannel
    purpose: Purpose
    told_by: Literal["customer", "operator"]
    subscribed_at: Instant


class ConfirmationAnswered(Contract, frozen=True, kw_only=True):
    """The customer said by the signed link whether the problem is really solved."""

    TYPE: ClassVar[str] = "confirmation.answered.v1"

    case_id: str
    customer_id: str
    round: int
    """The resolution that was asked about; an answer about an earlier one changes nothing."""
    solved: bool
    comment: str | None
    answered_at: Instant


class _CampaignStage(Contract, frozen=True, kw_only=True):
    campaign_id: str
    title: str
    initiative_ids: tuple[str, ...]
    by: str
    """Who did it: a person's id, or the name of a key."""


class CampaignApproved(_CampaignStage, frozen=True, kw_only=True):
    """A second person agreed to tell it so."""

    TYPE: ClassVar[str] = "campaign.approved.v1"


class CampaignStarted(_CampaignStage, frozen=True, kw_only=True):
    """Its audience is frozen, and is told from now on."""

    TYPE: ClassVar[str] = "campaign.started.v1"

    recipients: int


class CampaignPaused(_CampaignStage, frozen=True, kw_only=True):
    """Nobody more is told until it is resumed."""

    TYPE: ClassVar[str] = "campaign.paused.v1"


class CampaignResumed(_CampaignStage, frozen=True, kw_only=True):
    """It goes on where it was."""

    TYPE: ClassVar[str] = "campaign.resumed.v1"


class CampaignCancelled(_CampaignStage, frozen=True, kw_only=True):
    """It ended before everybody was told."""

    TYPE: ClassVar[str] = "campaign.cancelled.v1"

    reason: str


class CampaignCompleted(Contract, frozen=True, kw_only=True):
    """What changed was told to everybody whom it was meant for; the quarter clocks of its initiatives stop."""

    TYPE: ClassVar[str] = "campaign.completed.v1"

    campaign_id: str
    initiative_ids: tuple[str, ...]
    completed_at: Instant
    recipients: int
    held_back: int
    """To whom it was not sent, for a reason that is recorded with each."""
