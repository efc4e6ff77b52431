"""A claim loop: take what is due, do it, come back at once while there is more, else after a while."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from libs.events.errors import is_unavailable
from libs.events.retry import OUTAGE
from libs.events.telemetry import OUTAGES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    from libs.events.health import Health

log: Final = structlog.get_logger()


async def wait_for(event: asyncio.Event, bound: timedelta) -> bool:
    """Wait until `event` is set or `bound` has passed; whether it is set."""
    try:
        async with asyncio.timeout(bound.total_seconds()):
            await event.wait()
    except TimeoutError:
        return False
    return True


class Loop:
    """Runs `step` until it is told to stop. A step returns True while more work is waiting."""

    def __init__(self, name: str, step: Callable[[], Awaitable[bool]], *, idle: timedelta, health: Health) -> None:
        self.name: Final = name
        self._step = step
        self._idle = idle
        self._health = health

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop`; wait out an outage; let any other error end the process, which is started anew."""
        outages = 0
        while not stop.is_set():
            self._health.beat(self.name)
            try:
                more = await self._step()
            except Exception as error:
                # Broad, because what an absent database looks like has many types; all others go up.
                if not is_unavailable(error):
                    raise
                outages += 1
                OUTAGES.labels(self.name).inc()
                self._health.trouble(self.name, f"{type(error).__name__}: database or broker away")
                log.warning("loop.outage", loop=self.name, error=type(error).__name__, attempt=outages)
                await wait_for(stop, OUTAGE.next(outages) or OUTAGE.longest)
            else:
                outages = 0
                self._health.well(self.name)
                if not more:
                    await wait_for(stop, self._idle)
