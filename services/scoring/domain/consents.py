"""Whether a customer may be written to: what their profile says, against what they told a survey vendor.

    profile says no                                       no
    profile says yes, nobody unsubscribed                 yes
    profile says yes, with a consent later than           yes
        the last unsubscription
    profile says yes otherwise                            no

A yes that tells no time is no newer consent: it stands in every profile that another system repeats night by night, and
knows nothing of what the customer told the survey vendor meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Said:
    """When somebody last unsubscribed, and when they last consented; None: never, as far as is known."""

    unsubscribed_at: datetime | None = None
    consented_at: datetime | None = None

    def with_consent(self, at: datetime | None) -> Said:
        """After a consent at that time, if there was one."""
        return Said(self.unsubscribed_at, _later(self.consented_at, at))

    def with_unsubscription(self, at: datetime | None) -> Said:
        """After an unsubscription at that time, if there was one."""
        return Said(_later(self.unsubscribed_at, at), self.consented_at)

    def allows(self, *, profile_consents: bool) -> bool:
        """Whether the customer may be written to, by the table above."""
        if not profile_consents or self.unsubscribed_at is None:
            return profile_consents
        return self.consented_at is not None and self.consented_at > self.unsubscribed_at


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((time for time in (one, other) if time is not None), default=None)
