"""A claim loop: take what is due, do it, come back at once while there is more, else after a while."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from libs.events.errors import is_unavailable
from libs.events.retry import OUTAGE
from libs.events.telemetry import OUTAGES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from libs.events.health import Health

log: Final = structlog.get_logger()

_BEAT_EVERY: Final = timedelta(seconds=20)
"""A loop that idles for an hour is alive meanwhile; three beats fit into the time after which it counts as stuck."""


async def wait_for(event: asyncio.Event, bound: timedelta) -> bool:
    """Wait until `event` is set or `bound` has passed; whether it is set."""
    try:
        async with asyncio.timeout(bound.total_seconds()):
            await event.wait()
    except TimeoutError:
        return False
    return True


class Outage:
    """What every loop does while its database or broker is away: say so, wait a little longer each time, try again."""

    def __init__(self, loop: str, health: Health) -> None:
        self._loop = loop
        self._health = health
        self._attempts = 0

    async def wait(self, error: Exception, stop: asyncio.Event) -> None:
        """Wait before the next attempt, or until `stop`; whatever is not an outage is raised again."""
        if not is_unavailable(error):
            raise error
        self._attempts += 1
        OUTAGES.labels(self._loop).inc()
        self._health.trouble(self._loop, f"{type(error).__name__}: database or broker away")
        first_line = str(error).partition("\n")[0]  # the driver goes on with the statement
        log.warning(
            "loop.outage", loop=self._loop, error=f"{type(error).__name__}: {first_line}", attempt=self._attempts
        )
        await wait_for(stop, OUTAGE.next(self._attempts) or OUTAGE.longest)

    def over(self) -> None:
        """The loop did its work: it is well, and the next outage starts with a short wait."""
        self._attempts = 0
        self._health.well(self._loop)


class Loop:
    """Runs `step` until it is told to stop. A step returns True while more work is waiting."""

    def __init__(self, name: str, step: Callable[[], Awaitable[bool]], *, idle: timedelta, health: Health) -> None:
        self.name: Final = name
        self._step = step
        self._idle = idle
        self._health = health

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop`; wait out an outage; let any other error end the process, which is started anew."""
        outage = Outage(self.name, self._health)
        while not stop.is_set():
            self._health.beat(self.name)
            try:
                more = await self._step()
            except Exception as error:  # noqa: BLE001 - what an absent database looks like has many types; others go up
                await outage.wait(error, stop)
            else:
                outage.over()
                if not more:
                    await self._rest(stop)

    async def _rest(self, stop: asyncio.Event) -> None:
        end = time.monotonic() + self._idle.total_seconds()
        while not stop.is_set() and (left := end - time.monotonic()) > 0:
            self._health.beat(self.name)
            await wait_for(stop, min(timedelta(seconds=left), _BEAT_EVERY))
