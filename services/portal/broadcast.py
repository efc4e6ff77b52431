"""The stream of events, fanned out: one poller per process reads the table, every reader gets each event once.

A reader first registers, then catches up from its own position by its own statements, then takes what the poller
broadcasts, leaving out what it has had already. The poller's position is fixed before the first reader begins to
catch up, so nothing falls between the two. Nobody reading costs no statement at all.

A reader that does not keep up is cut: its connection ends, the browser comes back with its `Last-Event-ID`, and the
table has everything. So one slow reader costs the others neither time nor memory.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from services.portal import store

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from libs.events.database import Database
    from services.portal.domain.stream import Position, StreamEvent

POLL_EVERY: Final = timedelta(milliseconds=250)
MOST_READERS: Final = 500
"""Connections of one process at once; each may have a full queue waiting."""
QUEUE: Final = 1_000
PAGE: Final = 500
BEAT_SECONDS: Final = 5.0
"""A comment is sent so often, so that proxies keep the connection and the browser notices when it is dead."""
LOST_SECONDS: Final = 5.0
"""A poller that has not come round for so long is stopping or cannot reach the database: readers go elsewhere."""


class Reader:
    """One open connection: what was broadcast and is not yet sent to it."""

    def __init__(self, capacity: int = QUEUE) -> None:
        self.waiting: Final[asyncio.Queue[StreamEvent]] = asyncio.Queue(capacity)
        self.cut = False

    def give(self, event: StreamEvent) -> None:
        """Queue an event, or cut the reader that has no room for it."""
        if self.waiting.full():
            self.cut = True
        else:
            self.waiting.put_nowait(event)


class Broadcast:
    """The poller and its readers."""

    def __init__(self, database: Database, *, now: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._now = now
        self._readers: set[Reader] = set()
        self._position: Position | None = None
        self._turn = asyncio.Lock()
        self._came_round = now()

    @property
    def readers(self) -> int:
        """How many connections are open."""
        return len(self._readers)

    @property
    def full(self) -> bool:
        """Whether a further reader would be one too many."""
        return len(self._readers) >= MOST_READERS

    async def step(self) -> bool:
        """Read what is new and give it to all readers; whether more is waiting. A claim loop calls this."""
        self._came_round = self._now()
        async with self._turn:
            if not self._readers:
                self._position = None
                return False
            async with self._database.reading() as tx:
                fresh = await store.events_after(tx, await self._fixed_position(), limit=PAGE)
            for event in fresh:
                for reader in self._readers:
                    reader.give(event)
            if fresh:
                self._position = fresh[-1].position
        self._came_round = self._now()
        return len(fresh) == PAGE

    async def follow(
        self, after: Position | None, *, beat_seconds: float = BEAT_SECONDS, capacity: int = QUEUE
    ) -> AsyncGenerator[StreamEvent | None, None]:
        """Events after `after` (None: from now on) as they come; None is a heartbeat. Ends when the reader must go."""
        reader = Reader(capacity)
        async with self._turn:
            seen = await self._start_of(after)
            await self._fixed_position()
            self._readers.add(reader)
        try:
            async with aclosing(self._caught_up(seen)) as missed:
                async for event in missed:
                    seen = event.position
                    yield event
            while not (reader.cut or self._lost()):
                try:
                    async with asyncio.timeout(beat_seconds):
                        event = await reader.waiting.get()
                except TimeoutError:
                    yield None
                    continue
                if event.position > seen:
                    seen = event.position
                    yield event
        finally:
            self._readers.discard(reader)

    def _lost(self) -> bool:
        return self._now() - self._came_round > LOST_SECONDS

    async def _start_of(self, after: Position | None) -> Position:
        async with self._database.reading() as tx:
            here = await store.horizon(tx)
        # A position beyond the present is of another life of the database (restored from a copy): begin here.
        return here if after is None or after > here else after

    async def _fixed_position(self) -> Position:
        if self._position is None:
            async with self._database.reading() as tx:
                self._position = await store.horizon(tx)
        return self._position

    async def _caught_up(self, seen: Position) -> AsyncGenerator[StreamEvent, None]:
        while True:
            async with self._database.reading() as tx:
                page = await store.events_after(tx, seen, limit=PAGE)
            for event in page:
                yield event
            if len(page) < PAGE:
                return
            seen = page[-1].position
