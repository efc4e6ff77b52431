"""Whether the clocks are being checked: one that stops running is itself an alarm, seen from outside of its loop."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

Alarm = Literal["not_checked", "late"]
"""`not_checked`: no process has looked at the clocks for a while; `late`: they are looked at, and do not keep up."""

ClockLoop = Literal["cases", "callbacks", "tasks"]
"""Whose clocks a loop goes through."""

TOLERATED: Final = timedelta(seconds=60)
"""Longer than a restart takes; a clock that is due is dealt with within a second."""


@dataclass(frozen=True, slots=True)
class Checking:
    """How it stands with the checking of clocks at one moment."""

    now: datetime
    rounds: Mapping[ClockLoop, datetime]
    """When each loop last went through."""
    oldest_at: datetime | None
    """The earliest instant at which a clock has, or had, something to do."""
    oldest_callback_at: datetime | None
    """The same of callbacks alone."""

    @property
    def checked_at(self) -> datetime:
        """When the loop that was silent longest last went through."""
        return min(self.rounds.values())

    @property
    def silent(self) -> tuple[ClockLoop, ...]:
        """Loops that have not gone through for a while, in one order."""
        return tuple(loop for loop, at in sorted(self.rounds.items()) if self.now - at > TOLERATED)

    @property
    def late(self) -> timedelta:
        """For how long the longest overdue clock has waited to be dealt with; none where nothing is due."""
        return self._since(self.oldest_at)

    @property
    def callbacks_late(self) -> timedelta:
        """The same of callbacks alone."""
        return self._since(self.oldest_callback_at)

    @property
    def alarm(self) -> Alarm | None:
        """What is wrong, if anything is."""
        if self.silent:
            return "not_checked"
        return "late" if self.late > TOLERATED else None

    def _since(self, at: datetime | None) -> timedelta:
        return timedelta(0) if at is None else max(timedelta(0), self.now - at)
