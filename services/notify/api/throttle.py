"""How often the same may be asked for, in this process: enough against guessing and hammering."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Throttle:
    """A bucket per name: `burst` at once, then `per_minute`. Remembers the `capacity` names seen last."""

    def __init__(
        self,
        *,
        burst: int,
        per_minute: float,
        capacity: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._burst = burst
        self._per_second = per_minute / 60
        self._capacity = capacity
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admits(self, name: str) -> bool:
        """Whether `name` may go on; counts this time."""
        now = self._clock()
        left, since = self._buckets.pop(name, (float(self._burst), now))
        left = min(float(self._burst), left + (now - since) * self._per_second)
        admitted = left >= 1
        self._buckets[name] = (left - 1 if admitted else left, now)
        while len(self._buckets) > self._capacity:
            self._buckets.popitem(last=False)
        return admitted
