"""Waiting for a condition with a deadline, and running a part for as long as a test looks at it."""

from __future__ import annotations

import asyncio
import inspect
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

_LOOK_EVERY_SECONDS = 0.01
_PATIENCE_SECONDS = 60.0
"""Long, as it is spent only on what never comes: machines may be many times slower than usual."""


class Part(Protocol):
    """A consumer, a relay or a loop."""

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop`."""


async def eventually(condition: Callable[[], object | Awaitable[object]], *, within: float = _PATIENCE_SECONDS) -> None:
    """Return as soon as `condition` holds; fail when it does not within so many seconds."""
    deadline = time.monotonic() + within
    while True:
        holds = condition()
        if inspect.isawaitable(holds):
            holds = await holds
        if holds:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {inspect.getsource(condition).strip()}")
        await asyncio.sleep(_LOOK_EVERY_SECONDS)


@asynccontextmanager
async def running(*parts: Part, within: float = _PATIENCE_SECONDS) -> AsyncIterator[asyncio.Event]:
    """Run `parts` beside the block, then stop them and wait for their end; what one of them raises is raised here."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(part.run(stop)) for part in parts]
    try:
        yield stop
    finally:
        stop.set()
        _, late = await asyncio.wait(tasks, timeout=within)
        for task in late:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        if late:
            raise AssertionError(f"not stopped within {within} s: {late}")
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
