"""What happens while digests are made and told: notify kills itself in the middle of it."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING, Final

from faults.catalogue import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from faults.catalogue import Strike
    from faults.trial import Trial

_POINTS: Final = ("notify.digests.before_freeze", "notify.digests.before_commit")
_MADE_S: Final = 400.0
"""Whoever cannot be asked makes a digest wait for a minute."""
_LOOK_EVERY_S: Final = 0.1
_TOLD: Final = "SELECT count(*) AS n FROM digests WHERE stage = 'told'"


def digest_faults(services: Sequence[str]) -> list[Fault]:
    """One fault for each named point."""
    if not {"notify", "casework", "scoring"} <= set(services):
        return []
    return [Fault(f"crash@{point}", _crashed(point), named=True, mails=True) for point in _POINTS]


def _crashed(point: str) -> Strike:
    async def strike(trial: Trial, _random: Random) -> str:
        readers = trial.people.readers
        if not await readers.make_one_due():
            return "NOT REACHED: no digest is due that was not made"
        armed = trial.stage.crash_folder("notify") / point
        armed.touch()
        # It looks once a minute, and when it begins.
        process = trial.stage.services["notify"]
        process.send(signal.SIGKILL)
        deadline = time.monotonic() + _MADE_S
        while armed.exists() or await trial.tables.value("notify", _TOLD) < len(readers.due):
            if time.monotonic() > deadline:
                armed.unlink(missing_ok=True)
                return f"NOT REACHED within {_MADE_S:.0f} s"
            await asyncio.sleep(_LOOK_EVERY_S)
        return f"SIGKILL at {point}"

    return strike
