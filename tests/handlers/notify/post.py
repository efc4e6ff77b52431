"""The sending half of a process of notify, as its tests start, stop and kill it."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from services.notify.clients import MailServer, Receipts
from services.notify.jobs import Attendant, Sender
from services.notify.journal import Journal
from services.notify.letters import Letters
from services.notify.presence import Presence
from tests.handlers.notify.mail_trap import MailTrap
from tests.handlers.notify.world import World

DEADLINE_SECONDS: Final = 60.0


class Post:
    """The sending half of a process, and its life: more than one can run, and each can be killed."""

    def __init__(self, world: World, trap: MailTrap, letters: Letters, receipts: Receipts | None = None) -> None:
        self.world = world
        self.server = MailServer(trap.url, connections=4, timeout=timedelta(seconds=1))
        self.journal = Journal(world.database)
        self.presence = Presence(world.database)
        self.sender = Sender(
            database=world.database,
            server=self.server,
            letters=letters,
            journal=self.journal,
            presence=self.presence,
            connections=4,
        )
        self.attendant = Attendant(
            database=world.database,
            letters=letters,
            receipts=receipts,
            doubt_settles=timedelta(minutes=2),
            ask_every=timedelta(0),
        )

    async def rest(self) -> None:
        """Step until nothing is due and nothing is in flight."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while await self.sender.step() or self.sender._in_flight:
            assert time.monotonic() < deadline, "the sender does not come to rest"
            await asyncio.sleep(0.001)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Step until `condition`."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            await self.sender.step()
            await asyncio.sleep(0.001)

    async def killed(self) -> None:
        """The process is gone: nothing is finished, nothing is noted, its connections end."""
        for task in self.sender._in_flight:
            task.cancel()
        await asyncio.gather(*self.sender._in_flight, return_exceptions=True)
        self.sender._in_flight.clear()
        await self.presence.leave()
        while self.server._idle:
            self.server._idle.pop()[0].close()

    async def close(self) -> None:
        await self.sender.close()
