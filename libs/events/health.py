"""Whether the process is alive (its loops beat) and ready (what they need is there)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

STUCK_AFTER_SECONDS: Final = 60.0
"""A loop that has not come round for so long is stuck; longer than any bounded wait inside one."""


@dataclass(slots=True)
class Pulse:
    """The state of one loop, written by the loop itself."""

    beaten_at: float
    trouble: str | None = "starting"
    """Why the loop cannot do its work at present; None when it can."""


class Health:
    """The pulses of all loops of the process."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._pulses: dict[str, Pulse] = {}

    def beat(self, loop: str) -> None:
        """The loop came round."""
        self._pulse(loop).beaten_at = self._now()

    def well(self, loop: str) -> None:
        """The loop came round and did its work."""
        pulse = self._pulse(loop)
        pulse.beaten_at = self._now()
        pulse.trouble = None

    def trouble(self, loop: str, why: str) -> None:
        """The loop came round and waits for something that is away."""
        pulse = self._pulse(loop)
        pulse.beaten_at = self._now()
        pulse.trouble = why

    def stuck(self) -> dict[str, str]:
        """The loops that have stopped beating, with for how long: the process should be restarted."""
        now = self._now()
        return {
            loop: f"no beat for {now - pulse.beaten_at:.0f} s"
            for loop, pulse in self._pulses.items()
            if now - pulse.beaten_at > STUCK_AFTER_SECONDS
        }

    def not_ready(self) -> dict[str, str]:
        """The loops that cannot work at present, with why: traffic should wait."""
        return {loop: pulse.trouble for loop, pulse in self._pulses.items() if pulse.trouble is not None}

    def _pulse(self, loop: str) -> Pulse:
        if loop not in self._pulses:
            self._pulses[loop] = Pulse(self._now())
        return self._pulses[loop]
