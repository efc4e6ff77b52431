"""Whether the clocks are being checked: one that stops running is itself an alarm, seen from outside of its loop."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from datetime import datetime

Alarm = Literal["not_checked", "late"]
"""`not_checked`: no process has looked at the clocks for a while; `late`: they are looked at, and do not keep up."""

TOLERATED: Final = timedelta(seconds=60)
"""Longer than a restart takes; a clock that is due is dealt with within a second."""


@dataclass(frozen=True, slots=True)
class Checking:
    """How it stands with the checking of clocks at one moment."""

    now: datetime
    checked_at: datetime
    """When a loop last went through."""
    oldest_at: datetime | None
    """The earliest instant at which a clock has, or had, something to do."""

    @property
    def late(self) -> timedelta:
        """For how long the longest overdue clock has waited to be dealt with; none where nothing is due."""
        return timedelta(0) if self.oldest_at is None else max(timedelta(0), self.now - self.oldest_at)

    @property
    def alarm(self) -> Alarm | None:
        """What is wrong, if anything is."""
        if self.now - self.checked_at > TOLERATED:
            return "not_checked"
        return "late" if self.late > TOLERATED else None
