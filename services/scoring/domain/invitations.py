"""Invitations to surveys: who was asked, who answered, and whose silence says something."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from datetime import datetime

    from libs.events.contracts.responses import Channel
    from libs.events.contracts.scores import Tier

Silence = Literal["unanswered", "bounced"]

ANSWERED_WITHIN: Final = timedelta(days=30)
"""An answer of the same customer in the same program, so long after the invitation at most, answers it."""
CONFIDENCE: Final = 0.95
_Z: Final = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True, slots=True)
class Invitation:
    """One customer asked once."""

    id: str
    customer_id: str
    program: str
    touchpoint: str | None
    channel: Channel
    invited_at: datetime
    bounced_at: datetime | None

    def same_as(self, other: Invitation) -> bool:
        """Whether both tell of one asking, whatever became of it."""
        mine = (self.customer_id, self.program, self.touchpoint, self.channel, self.invited_at)
        return mine == (other.customer_id, other.program, other.touchpoint, other.channel, other.invited_at)


@dataclass(frozen=True, slots=True)
class Contact:
    """The invited customer, as far as their silence is judged by it."""

    tier: Tier
    tier_reason: str
    account_id: str | None
    account_role: str | None
    key_account: bool
    """Whether somebody of their account is in the tier `key`."""

    @property
    def important(self) -> bool:
        """Whether their silence is a signal: a key customer, or who decides for an account that has one."""
        return self.tier == "key" or (self.account_role == "decision_maker" and self.key_account)


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of those whom an invitation reached answered it, with the interval that says how sure that is."""

    invited: int
    bounced: int
    answered: int
    waiting: int
    """Reached, not answered, and not yet `ANSWERED_WITHIN` ago: the rate may still rise."""
    value: float | None
    """Of the reached; None where there is nobody."""
    low: float | None
    high: float | None

    @property
    def reached(self) -> int:
        """The n of the rate."""
        return self.invited - self.bounced


def rate(*, invited: int, bounced: int, answered: int, waiting: int) -> Rate:
    """The response rate, with its Wilson score interval at `CONFIDENCE`.

    With p = answered / n and n = invited - bounced, the interval is

        (p + z²/2n ± z · sqrt(p(1 - p)/n + z²/4n²)) / (1 + z²/n)

    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", Journal of the American
    Statistical Association 22 (158), 1927, 209-212.
    """
    n = invited - bounced
    if n == 0:
        return Rate(invited, bounced, answered, waiting, None, None, None)
    p = answered / n
    middle = p + _Z**2 / (2 * n)
    margin = _Z * sqrt(p * (1 - p) / n + _Z**2 / (4 * n * n))
    scale = 1 + _Z**2 / n
    return Rate(
        invited, bounced, answered, waiting, p, max(0.0, (middle - margin) / scale), min(1.0, (middle + margin) / scale)
    )
