"""How long to wait before the next attempt, and when to give up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Final

_RANDOM: Final = Random()  # noqa: S311 - jitter spreads retries; nobody guesses at it


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential, with full jitter in the upper half. `attempts` None never gives up."""

    first: timedelta
    longest: timedelta
    attempts: int | None = None

    def next(self, attempt: int, random: Random = _RANDOM) -> timedelta | None:
        """The wait after the failed attempt number `attempt` (1 is the first), or None to give up."""
        if self.attempts is not None and attempt >= self.attempts:
            return None
        whole = min(self.longest, self.first * (1 << min(attempt - 1, 30)))
        return whole * random.uniform(0.5, 1.0)


RECORD: Final = Backoff(timedelta(milliseconds=50), timedelta(seconds=2), attempts=5)
"""One record that fails: five attempts within about a second, then it is set aside."""
OUTAGE: Final = Backoff(timedelta(milliseconds=100), timedelta(seconds=3))
"""Database or broker away: for ever, never more than three seconds late when it is back."""
