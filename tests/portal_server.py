"""The portal of the tests behind a real server, for browsers and for those who read the stream."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import uvicorn

from libs.events.health import Health
from libs.events.loop import Loop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.portal_company import Company

SECONDS: Final = 60.0
"""No test waits longer for anything."""


async def until(condition: Callable[[], bool]) -> None:
    """Let the others work until it is so, within a bound."""
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0)


@asynccontextmanager
async def a_poller(company: Company) -> AsyncIterator[None]:
    """The poller of the stream, as the runtime's loop runs it."""
    stop = asyncio.Event()
    loop = Loop("broadcast", company.broadcast.step, idle=timedelta(milliseconds=5), health=Health())
    task = asyncio.create_task(loop.run(stop))
    yield
    stop.set()
    await task


@asynccontextmanager
async def a_server(company: Company) -> AsyncIterator[str]:
    """The portal behind a real server, with its poller running; its address."""
    server = uvicorn.Server(uvicorn.Config(company.app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    async with a_poller(company):
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = server.force_exit = True
    await serving
