"""Computes one run of the drivers and ends: `python -m services.scoring.driver_process PROGRAM KIND SINCE UNTIL SEED`.

A process of its own, so that numpy's memory and its hours of arithmetic are no service's. It reads the answers by
`SCORING_DATABASE_URL`, writes what it found as JSON to its standard output, and stores nothing: its parent does. It
ends when its parent does.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from datetime import datetime
from typing import TYPE_CHECKING, cast

import msgspec

from libs.events.database import Database
from services.scoring.domain.drivers import Driver, Findings, Level, Scope, Stake
from services.scoring.settings import Settings
from services.scoring.store import driver_data

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from libs.events.contracts.responses import SurveyKind

LEAST_CUSTOMERS: int = 5
"""Below so many customers what they are worth together is not told."""
_GENTLY = 10


async def compute(url: str, scope: Scope, seed: int) -> Findings:
    """What moves the NPS of these answers, with what is at stake."""
    database = Database.connect(url, pool_size=1, name="scoring.drivers")
    try:
        async with database.reading() as tx:
            data = await driver_data.read(tx, scope)
    finally:
        await database.close()
    # Not before it is needed: whoever imports this module for its constants has no use for numpy.
    from services.scoring.domain.driver_model import find_drivers  # noqa: PLC0415

    found = find_drivers(data.patterns, answers=data.answers, seed=seed)
    return msgspec.structs.replace(found, drivers=with_stakes(found.drivers, data.stakes))


def with_stakes(drivers: Sequence[Driver], stakes: Mapping[tuple[str, str], Stake]) -> tuple[Driver, ...]:
    """The drivers with what the unhappy customers of each level are worth, where these are not too few."""

    def told(driver: Driver, level: Level) -> Level:
        factor = "theme" if driver.factor == "other_themes" else driver.factor
        stake = stakes.get((factor, level.name))
        if stake is None or stake.customers < LEAST_CUSTOMERS:
            return level
        return msgspec.structs.replace(level, at_stake=stake)

    return tuple(
        msgspec.structs.replace(driver, levels=tuple(told(driver, level) for level in driver.levels))
        for driver in drivers
    )


def _end_with_parent() -> None:
    # Past Python's own buffer, whose lock would be held while the process ends.
    while os.read(0, 1024):
        pass
    os._exit(1)


def main() -> None:
    """Do as the arguments say."""
    os.nice(_GENTLY)
    program, kind, since, until, seed = sys.argv[1:]
    threading.Thread(target=_end_with_parent, daemon=True).start()
    scope = Scope(program, cast("SurveyKind", kind), datetime.fromisoformat(since), datetime.fromisoformat(until))
    found = asyncio.run(compute(Settings().database_url, scope, int(seed)))  # type: ignore[call-arg]  # from the environment
    sys.stdout.buffer.write(msgspec.json.encode(found))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
