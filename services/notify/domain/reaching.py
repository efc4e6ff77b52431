"""How one customer may be reached as things stand: for what, over which channel, and why not.

It is the look beforehand at what `contacts` decides about each message when its turn comes, by the same rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

from services.notify.domain.contacts import PURPOSES, Held, capped_until, quiet_until, refusal, way

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, tzinfo

    from libs.events.contracts.messages import HoldReason, MessageChannel, MessageKind, Purpose, SuppressionReason
    from services.notify.domain.contacts import Reach, Rules

CHANNELS: Final[tuple[MessageChannel, ...]] = ("email", "sms", "messenger")
"""Over which customers are told things."""
_EXAMPLES: Final[dict[Purpose, MessageKind]] = {
    "service": "confirmation_request",
    "courtesy": "thanks",
    "news": "changes_for_customers",
}
"""A kind of each purpose that customers are written to for; the rules tell kinds apart by their purpose alone."""
LONGEST_CAP: Final = timedelta(days=90)
"""No cap looks further back."""

Closed = Literal["not_used", "no_provider"]


@dataclass(frozen=True, slots=True)
class Door:
    """A channel for a purpose: `closed` says why it is not used for this customer; None where it is open.

    `not_used`: the company does not use it for this purpose. `no_provider`: nobody carries it.
    """

    channel: MessageChannel
    closed: Closed | SuppressionReason | None


@dataclass(frozen=True, slots=True)
class Prospect:
    """What would become of a message of this purpose now: it goes over `channel`; or not, or not before `until`."""

    purpose: Purpose
    channel: MessageChannel | None
    reason: HoldReason | SuppressionReason | None
    until: datetime | None
    doors: tuple[Door, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """A cap, and how much of it is used up."""

    purposes: tuple[Purpose, ...]
    messages: int
    days: int
    sent: int


def prospects(
    reach: Reach,
    rules: Rules,
    available: frozenset[MessageChannel],
    *,
    sent: Sequence[tuple[MessageKind, datetime]],
    now: datetime,
    where: tzinfo,
) -> list[Prospect]:
    """What would become of a message of each purpose now. `sent`: what they were sent, kind and when."""
    found = []
    for purpose, kind in _EXAMPLES.items():
        doors = tuple(Door(channel, _closed(channel, purpose, reach, rules, available)) for channel in CHANNELS)
        decided = way(kind, reach, rules, available)
        if isinstance(decided, Held):
            found.append(Prospect(purpose, None, decided.reason, None, doors))
            continue
        reason: HoldReason | None = None
        until = quiet_until(kind, decided.channel, rules, now=now, where=where)
        if until is not None:
            reason = "quiet_hours"
        else:
            until = capped_until(kind, sent, rules, now=now)
            reason = None if until is None else "frequency"
        found.append(Prospect(purpose, decided.channel, reason, until, doors))
    return found


def caps(rules: Rules, sent: Sequence[tuple[MessageKind, datetime]], *, now: datetime) -> list[Counted]:
    """How much of each cap is used up."""
    return [
        Counted(
            cap.purposes,
            cap.messages,
            cap.days,
            sum(PURPOSES.get(kind) in cap.purposes and at > now - timedelta(days=cap.days) for kind, at in sent),
        )
        for cap in rules.caps
    ]


def _closed(
    channel: MessageChannel, purpose: Purpose, reach: Reach, rules: Rules, available: frozenset[MessageChannel]
) -> Closed | SuppressionReason | None:
    if channel not in (rules.channels.get(purpose) or ("email",)):
        return "not_used"
    return refusal(channel, purpose, reach, rules) if channel in available else "no_provider"
