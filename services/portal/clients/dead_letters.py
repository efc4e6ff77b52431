"""Dead letters, read from and decided in Kafka, within a bound: a page never waits for a broker that is away."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from libs.events.dead_letters import DeadLetterDesk, State, Wanted, parse_id, queues_of
from libs.events.errors import Unavailable
from libs.events.topics import TOPICS
from services.portal.clients.service import ServiceAwayError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from datetime import datetime

    from libs.events.dead_letters import DeadLetter, OpenLog, Page, Queue
    from services.portal.domain.people import Person

PATIENCE: Final = timedelta(seconds=8)
GLANCE: Final = timedelta(seconds=2)
"""For a number on a page that shows other things too."""
_AT_ONCE: Final = 3
_LOOK_AT_MOST: Final = 5_000
"""How many records a page looks through; whoever wants older ones goes on from there."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What came of a decision: the letter as it was before, and whether it was made."""

    letter: DeadLetter
    made: bool


class DeadLetters:
    """Each call connects anew: people look here now and then, and a connection of its own costs milliseconds."""

    def __init__(self, open_log: OpenLog, *, clock: Callable[[], datetime], glance: timedelta = GLANCE) -> None:
        self.queues: Final[tuple[Queue, ...]] = queues_of(TOPICS)
        self._open_log = open_log
        self._clock = clock
        self._glance = glance
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def page(self, *, queue: str, state: State | None, limit: int, ends: Mapping[str, int] | None) -> Page:
        """Some letters, newest first; of all consumers where `queue` is empty."""
        chosen = next((each for each in self.queues if each.name == queue), None)
        wanted = Wanted(
            consumer=chosen.consumer if chosen else None, topic=chosen.topic if chosen else None, state=state
        )
        async with self._desk(PATIENCE) as desk:
            return await desk.page(wanted, limit=limit, ends=ends, look_at_most=_LOOK_AT_MOST)

    async def count(self) -> dict[Queue, int]:
        """How many are open, by queue."""
        async with self._desk(self._glance) as desk:
            return await desk.count(Wanted())

    async def one(self, written_id: str) -> DeadLetter:
        """The letter with everything; raises NoSuchLetter."""
        id_ = parse_id(written_id, self.queues)
        async with self._desk(PATIENCE) as desk:
            return await desk.one(id_)

    async def replay(self, person: Person, written_id: str, *, reason: str) -> Decided:
        """Give it to its consumer once more, in the person's name, unless it is superseded; raises NoSuchLetter."""
        id_ = parse_id(written_id, self.queues)
        async with self._desk(PATIENCE) as desk:
            letter = await desk.one(id_)
            superseded = await desk.replay([letter], by=_name(person), reason=reason)
        return Decided(letter, made=not superseded)

    async def drop(self, person: Person, written_id: str, *, reason: str) -> Decided:
        """Let it be, in the person's name, unless something was decided already; raises NoSuchLetter."""
        id_ = parse_id(written_id, self.queues)
        async with self._desk(PATIENCE) as desk:
            letter = await desk.one(id_)
            if letter.state is not State.OPEN:
                return Decided(letter, made=False)
            await desk.drop([letter], by=_name(person), reason=reason)
        return Decided(letter, made=True)

    @asynccontextmanager
    async def _desk(self, patience: timedelta) -> AsyncIterator[DeadLetterDesk]:
        try:
            async with asyncio.timeout(patience.total_seconds()), self._places, self._open_log() as log:
                yield DeadLetterDesk(log, TOPICS, clock=self._clock)
        except (Unavailable, TimeoutError) as error:
            raise ServiceAwayError("kafka", type(error).__name__) from error


def _name(person: Person) -> str:
    return f"{person.name} ({person.login})"
