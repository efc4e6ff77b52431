"""Whether, when and over which channel somebody may be told something; all of it is data that the company edits.

Each kind of message has a purpose. For a purpose there are channels in an order, of which the first that may be used is
used: there is an address, it is not on the list of those that are not written to, and the customer has not said no (or,
where the company asks first, has said yes). Then the hours: a message waits until quiet hours end where the recipient
lives. Then how often: a message waits until fewer of its purposes were sent within the days of a cap. What would wait
longer than the company's patience is held back for good. Each of these is recorded, with why and until when.
"""

from __future__ import annotations

# The rules are kept as JSON, and read back by their annotations.
from collections.abc import Mapping  # noqa: TC003
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from libs.events.contracts.messages import MessageChannel, Purpose  # noqa: TC001
from services.notify.domain.mailboxes import is_address
from services.notify.domain.messages import hold

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from libs.events.contracts.messages import HoldReason, MessageKind, SuppressionReason
    from services.notify.domain.messages import Profile

PURPOSES: Final[dict[MessageKind, Purpose]] = {
    "case_assigned": "work",
    "case_reopened": "work",
    "case_escalated": "work",
    "clock_warned": "work",
    "clock_breached": "work",
    "task_assigned": "work",
    "task_due": "work",
    "task_ended": "work",
    "subscription_disabled": "work",
    "callback": "service",
    "callback_duty": "work",
    "confirmation_request": "service",
    "new_contact": "service",
    "thanks": "courtesy",
    "changes_for_customers": "news",
    "changes_for_employees": "work",
    "changes_for_partners": "news",
    "digest": "work",
}
"""`work` is for employees; `service` belongs to what the customer raised; `courtesy` and `news` they can do without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """From `start` to `end` of the wall clock, over midnight where `end` is not later. Both in the recipient's zone."""

    channels: tuple[MessageChannel, ...]
    purposes: tuple[Purpose, ...]
    start: time
    end: time

    def until(self, now: datetime, where: tzinfo) -> datetime | None:
        """When they end, if they are now; the instant follows the zone's own changes of its clock."""
        local = now.astimezone(where)
        clock = local.time()
        over_midnight = self.end <= self.start
        inside = (clock >= self.start or clock < self.end) if over_midnight else self.start <= clock < self.end
        if not inside:
            return None
        ends_on = local.date() + timedelta(days=1 if over_midnight and clock >= self.start else 0)
        ends = datetime.combine(ends_on, self.end, tzinfo=where).astimezone(now.tzinfo)
        # Where the clock is put back over `end`, the first of two such moments may have passed already.
        return (
            ends
            if ends > now
            else datetime.combine(ends_on, self.end, tzinfo=where).replace(fold=1).astimezone(now.tzinfo)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """At most `messages` of these purposes within `days` to one person."""

    purposes: tuple[Purpose, ...]
    messages: int
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The company's rules; the usual ones write mails at any hour and hold back what customers can do without."""

    channels: Mapping[Purpose, tuple[MessageChannel, ...]] = field(
        default_factory=lambda: {
            "work": ("chat", "email"),
            "service": ("email",),
            "courtesy": ("email",),
            "news": ("email",),
        }
    )
    ask_first: tuple[tuple[MessageChannel, Purpose], ...] = (
        ("sms", "courtesy"),
        ("sms", "news"),
        ("messenger", "news"),
    )
    """Where silence is no consent."""
    quiet_hours: tuple[QuietHours, ...] = (
        QuietHours(
            channels=("sms", "messenger"), purposes=("service", "courtesy", "news"), start=time(21), end=time(9)
        ),
    )
    caps: tuple[Cap, ...] = (Cap(purposes=("courtesy", "news"), messages=6, days=30),)
    patience_hours: int = 72
    """How long a message may wait by these rules; what would wait longer is held back for good."""

    def caps_of(self, purpose: Purpose) -> tuple[Cap, ...]:
        """The caps that a message of this purpose counts for."""
        return tuple(cap for cap in self.caps if purpose in cap.purposes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What is known of a recipient at this moment."""

    profile: Profile | None
    """Of a customer."""
    address: str | None = None
    """Of an employee."""
    is_employee: bool = False
    has_chat: bool = False
    email_listed: SuppressionReason | None = None
    """Why their address is on the list of those that are not written to."""
    phone_listed: SuppressionReason | None = None
    choices: Mapping[str, bool] = field(default_factory=dict)
    """What they said to a channel for a purpose: `choice_key` → yes or no."""


def choice_key(channel: MessageChannel, purpose: Purpose) -> str:
    """Under which a choice is kept."""
    return f"{channel}/{purpose}"


@dataclass(frozen=True, slots=True)
class Way:
    """A message may go now, over this channel."""

    channel: MessageChannel


@dataclass(frozen=True, slots=True)
class Held:
    """It is held back for good."""

    reason: SuppressionReason


@dataclass(frozen=True, slots=True)
class Waits:
    """It is tried again at `until`."""

    reason: HoldReason
    until: datetime
    channel: MessageChannel


def way(kind: MessageKind, reach: Reach, rules: Rules, available: frozenset[MessageChannel]) -> Way | Held:
    """The first channel that may be used; else why the first of them may not."""
    purpose = PURPOSES[kind]
    first: SuppressionReason | None = None
    for channel in rules.channels.get(purpose) or ("email",):
        if channel not in available or (channel == "chat" and not reach.has_chat):
            continue
        reason = refusal(channel, purpose, reach, rules)
        if reason is None:
            return Way(channel)
        first = first or reason
    return Held(first or "no_address")


def refusal(channel: MessageChannel, purpose: Purpose, reach: Reach, rules: Rules) -> SuppressionReason | None:
    """Why this channel may not be used for this purpose; None where it may."""
    if reach.is_employee:
        if reach.choices.get(choice_key(channel, purpose)) is False:
            return "unsubscribed"
        if channel == "email":
            return reach.email_listed if is_address(reach.address) else "no_address"
        return None if channel == "chat" else "no_address"
    if channel == "email":
        reason = hold(reach.profile) or reach.email_listed
    else:
        profile = reach.profile
        reason = "no_profile" if profile is None else None if profile.phone else "no_address"
        reason = reason or reach.phone_listed
    if reason is not None:
        return reason
    said = reach.choices.get(choice_key(channel, purpose))
    if said is False:
        return "unsubscribed"
    return "no_consent" if said is None and (channel, purpose) in rules.ask_first else None


def quiet_until(
    kind: MessageKind, channel: MessageChannel, rules: Rules, *, now: datetime, where: tzinfo
) -> datetime | None:
    """When the quiet hours that hold it back end; of several the latest."""
    purpose = PURPOSES[kind]
    ends = [
        end
        for hours in rules.quiet_hours
        if channel in hours.channels and purpose in hours.purposes and (end := hours.until(now, where)) is not None
    ]
    return max(ends, default=None)


def capped_until(
    kind: MessageKind, sent: Sequence[tuple[MessageKind, datetime]], rules: Rules, *, now: datetime
) -> datetime | None:
    """When fewer than a cap will have been `sent` (kind, when) within its days; None where the message may go now."""
    purpose = PURPOSES[kind]
    ends = []
    for cap in rules.caps_of(purpose):
        days = timedelta(days=cap.days)
        counted = sorted(
            (at for other, at in sent if PURPOSES.get(other) in cap.purposes and at > now - days), reverse=True
        )
        if len(counted) >= cap.messages:
            ends.append(counted[cap.messages - 1] + days)
    return max(ends, default=None)


def wait_or_hold(
    reason: HoldReason, until: datetime, channel: MessageChannel, rules: Rules, *, created_at: datetime
) -> Waits | Held:
    """Until when it waits, or, where that is beyond the company's patience, that it does not."""
    if until <= created_at + timedelta(hours=rules.patience_hours):
        return Waits(reason, until, channel)
    return Held("frequency" if reason == "frequency" else "too_late")
