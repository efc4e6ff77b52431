"""What happens to clocks: one service's is ahead of all others', or behind, and then right again: a step either way.

By libfaketime (Debian's package of that name), which tells a process another wall clock and the true monotonic one.
Where it is not installed there are no such faults.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from faults.catalogue import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from faults.catalogue import Strike
    from faults.trial import Trial

_PLACES: Final = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1")
_FAR_S: Final = 600
_OF_INGEST_S: Final = 100
"""Webhooks are signed with a time that may differ by five minutes; who differs more from the vendors refuses them."""


def libfaketime() -> Path | None:
    """The library, where it is installed."""
    found = (path for pattern in _PLACES for path in Path("/").glob(pattern[1:]))
    return next(found, None)


def clock_faults(services: Sequence[str]) -> list[Fault]:
    """Each service's clock, ahead and behind."""
    library = libfaketime()
    if library is None:
        return []
    return [
        Fault(f"clock.{name}@{service}", _skewed(library, service, sign))
        for service in services
        for name, sign in (("ahead", 1), ("behind", -1))
    ]


def _skewed(library: Path, service: str, sign: int) -> Strike:
    async def strike(trial: Trial, random: Random) -> str:
        most = _OF_INGEST_S if service == "ingest" else _FAR_S
        skew = sign * random.randint(most // 2, most)
        process = trial.stage.services[service]
        preload = {"LD_PRELOAD": str(library), "FAKETIME": f"{skew:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        try:
            trial.stage.surroundings[service] = preload
            await process.down(signal.SIGTERM)
            await process.start()
            trial.skewed_by(abs(skew))
            await asyncio.sleep(random.uniform(4.0, 8.0))
        finally:
            del trial.stage.surroundings[service]
            await process.down(signal.SIGTERM)
            await process.start()
        return f"{abs(skew)} s {'ahead' if skew > 0 else 'behind'}, then right again"

    return strike
