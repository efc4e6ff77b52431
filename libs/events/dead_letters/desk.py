"""Where people deal with dead letters: read them without a consumer group, replay them, drop them.

Nothing is ever taken off a dead-letter topic. What was decided about a letter is one record on the compacted topic
`dead-letters.decisions`, and the open letters are those about which nothing was decided. A replay goes to the topic
of replays of the one consumer that failed; its inbox makes a second one harmless. The decision is written after the
replay is acknowledged: who is cut off between the two finds the letter still open.

Everything is read in pieces, so that memory does not grow with the number of letters; only the decisions of the last
months are held together, some hundred bytes each.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from libs.events.dead_letters.letter import (
    PARTITION,
    Decision,
    LetterId,
    NoSuchLetter,
    Outcome,
    State,
    Wanted,
    letter_of,
    queues_of,
)
from libs.events.topics import DECISIONS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
    from datetime import datetime

    from libs.events.codec import Headers, Record
    from libs.events.dead_letters.letter import DeadLetter, Queue
    from libs.events.topics import Topic

WINDOW: Final = 200
"""How many records are read at once on the way back from the newest."""
BATCH: Final = 500
_BATCH_BYTES: Final = 8 * 1024 * 1024

Bounds = tuple[int, int]
"""The first offset that is kept, and the next one to be written."""
_Decided = dict[str, dict[int, Decision]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One record to be written, byte for byte."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Log(Protocol):
    """A connection to a broker whose topics are read by place: real Kafka, or the memory broker of the tests."""

    async def bounds(self, topics: Collection[str], partition: int = PARTITION) -> dict[str, Bounds]:
        """What is kept of this partition of each topic; a topic that is not there is left out."""

    def read(self, topic: str, first: int, end: int, partition: int = PARTITION) -> AsyncIterator[Record]:
        """The records of this partition from `first` on, below `end`, in order; raises Unavailable."""

    async def append(self, entries: Sequence[Entry]) -> None:
        """Write in order; return when all replicas have everything; raises Unavailable."""


OpenLog = Callable[[], AbstractAsyncContextManager[Log]]
"""Connects, for as long as the block lasts; raises Unavailable."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some letters, newest first, and from where to go on: what is below these ends, by topic; None at the end."""

    letters: list[DeadLetter]
    rest: dict[str, int] | None


@dataclass(slots=True)
class _Backwards:
    """One queue from its newest letter to its oldest, a window at a time."""

    log: Log
    queue: Queue
    first: int
    unread: int
    decided: Mapping[int, Decision]
    wanted: Wanted
    window: list[DeadLetter] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return not self.window and self.unread <= self.first

    @property
    def end(self) -> int:
        """What is below this is still to come."""
        return self.window[-1].id.offset + 1 if self.window else self.unread

    async def look(self) -> int:
        """Read the next window; how many records that were."""
        begin, end = max(self.first, self.unread - WINDOW), self.unread
        self.unread = begin
        if self.wanted.state not in (None, State.OPEN) and not any(
            place in self.decided for place in range(begin, end)
        ):
            return 0
        async for record in self.log.read(self.queue.dead_letters, begin, end):
            letter = letter_of(self.queue, record, self.decided.get(record.offset))
            if self.wanted.includes(letter):
                self.window.append(dataclasses.replace(letter, value=None))
        return end - begin


async def _merged(ways: Sequence[_Backwards], look_at_most: int | None) -> AsyncGenerator[DeadLetter, None]:
    """The letters of all ways, newest first; ends early where so many records were read."""
    looked = 0
    while True:
        blind = next((way for way in ways if not way.window and not way.done), None)
        if blind is None:
            ahead = [way for way in ways if way.window]
            if not ahead:
                return
            newest = max(ahead, key=lambda way: (way.window[-1].set_aside_at, way.queue.name))
            yield newest.window.pop()
        elif look_at_most is not None and looked >= look_at_most:
            return
        else:
            looked += await blind.look()


class DeadLetterDesk:
    """Over one connection to the broker."""

    def __init__(self, log: Log, topics: Sequence[Topic], *, clock: Callable[[], datetime]) -> None:
        self.queues: Final = queues_of(topics)
        self._compacted = frozenset(topic.name for topic in topics if topic.compacted)
        self._log = log
        self._clock = clock

    async def page(
        self, wanted: Wanted, *, limit: int, ends: Mapping[str, int] | None = None, look_at_most: int | None = None
    ) -> Page:
        """Up to `limit` letters, newest first, below `ends`; fewer where `look_at_most` records had none more."""
        ways = await self._ways(wanted, ends or {})
        letters: list[DeadLetter] = []
        async with aclosing(_merged(ways, look_at_most)) as merged:
            async for letter in merged:
                letters.append(letter)
                if len(letters) == limit:
                    break
        if all(way.done for way in ways):
            return Page(letters, None)
        return Page(letters, {way.queue.dead_letters: way.end for way in ways})

    async def newest(self, wanted: Wanted) -> AsyncIterator[DeadLetter]:
        """All letters, newest first, without their values."""
        async with aclosing(_merged(await self._ways(wanted, {}), None)) as merged:
            async for letter in merged:
                yield letter

    async def count(self, wanted: Wanted) -> dict[Queue, int]:
        """How many letters by queue, of those that have some. By their places alone where that is enough."""
        counts: dict[Queue, int] = {}
        if wanted.by_place:
            decided = await self._decisions()
            for queue, (first, end) in (await self._bounds(wanted)).items():
                of_state = [
                    decision
                    for place, decision in decided.get(queue.dead_letters, {}).items()
                    if first <= place < end and (wanted.state in (None, State.OPEN, State(decision.outcome)))
                ]
                match wanted.state:
                    case None:
                        counts[queue] = end - first
                    case State.OPEN:
                        counts[queue] = end - first - len(of_state)
                    case _:
                        counts[queue] = len(of_state)
        else:
            async for batch in self.batches(wanted):
                for letter in batch:
                    counts[letter.id.queue] = counts.get(letter.id.queue, 0) + 1
        return {queue: count for queue, count in counts.items() if count}

    async def batches(self, wanted: Wanted) -> AsyncIterator[list[DeadLetter]]:
        """All letters that are there now, oldest first in each queue, some at a time, with their values.

        What is set aside meanwhile is not among them: what fails again does not go round and round.
        """
        decided = await self._decisions()
        batch: list[DeadLetter] = []
        size = 0
        for queue, (first, end) in (await self._bounds(wanted)).items():
            places = decided.get(queue.dead_letters, {})
            async for record in self._log.read(queue.dead_letters, first, end):
                letter = letter_of(queue, record, places.get(record.offset))
                if not wanted.includes(letter):
                    continue
                batch.append(letter)
                size += letter.size or 0
                if len(batch) >= BATCH or size >= _BATCH_BYTES:
                    yield batch
                    batch, size = [], 0
        if batch:
            yield batch

    async def one(self, id_: LetterId) -> DeadLetter:
        """The letter with everything; raises NoSuchLetter."""
        (letter,) = await self.some([id_])
        return letter

    async def some(self, ids: Sequence[LetterId]) -> list[DeadLetter]:
        """The letters of these ids; raises NoSuchLetter for the first that is not there."""
        bounds = await self._log.bounds({id_.queue.dead_letters for id_ in ids})
        decided = await self._decisions()
        found: list[DeadLetter] = []
        for id_ in ids:
            topic = id_.queue.dead_letters
            first, end = bounds.get(topic, (0, 0))
            if not first <= id_.offset < end:
                raise NoSuchLetter(f"There is no dead letter {id_}, or not any more")
            async for record in self._log.read(topic, id_.offset, id_.offset + 1):
                found.append(letter_of(id_.queue, record, decided.get(topic, {}).get(id_.offset)))  # noqa: PERF401 - one
        if len(found) < len(ids):
            raise NoSuchLetter("Some of these dead letters are not there any more")
        return found

    async def replay(self, letters: Sequence[DeadLetter], *, by: str, reason: str = "") -> list[DeadLetter]:
        """Give the records to the consumers that failed, and to nobody else, once more.

        Returns those that stay as they are, because their key has a newer record on a compacted topic: whoever reads
        that one needs them no more, and a profile must not come back after its customer was erased.
        """
        now = self._clock()
        superseded = await self._superseded(letters)
        letters = [letter for letter in letters if letter.id not in superseded]
        await self._log.append(
            [
                Entry(letter.id.queue.replays, letter.key or None, letter.value, letter.replay_headers(at=now, by=by))
                for letter in letters
            ]
        )
        await self._decide(letters, Outcome.REPLAYED, at=now, by=by, reason=reason)
        return list(superseded.values())

    async def _superseded(self, letters: Sequence[DeadLetter]) -> dict[LetterId, DeadLetter]:
        """Letters of compacted topics whose records are no longer the latest of their keys."""
        by_partition: dict[tuple[str, int], dict[LetterId, tuple[int, DeadLetter]]] = {}
        for letter in letters:
            origin = letter.origin
            if origin is not None and origin.topic in self._compacted:
                of_partition = by_partition.setdefault((origin.topic, origin.partition), {})
                of_partition[letter.id] = (origin.offset, letter)
        found: dict[LetterId, DeadLetter] = {}
        for (topic, partition), suspects in by_partition.items():
            first, end = (await self._log.bounds([topic], partition)).get(topic, (0, 0))
            oldest = min(offset for offset, _ in suspects.values())
            keys = {letter.key for _, letter in suspects.values()}
            latest: dict[bytes, int] = {}
            async for record in self._log.read(topic, max(first, oldest), end, partition):
                if record.key in keys:
                    latest[record.key or b""] = record.offset
            # A record that compaction has removed already had a newer one, whose tombstone may be gone as well.
            found |= {id_: letter for id_, (offset, letter) in suspects.items() if latest.get(letter.key) != offset}
        return found

    async def drop(self, letters: Sequence[DeadLetter], *, by: str, reason: str) -> None:
        """Let them be, for a reason; they stay on their topic until its retention ends."""
        if not reason.strip():
            raise ValueError("what is dropped is dropped for a reason")
        await self._decide(letters, Outcome.DROPPED, at=self._clock(), by=by, reason=reason.strip())

    async def _decide(
        self, letters: Sequence[DeadLetter], outcome: Outcome, *, at: datetime, by: str, reason: str
    ) -> None:
        entries = []
        for letter in letters:
            decision = Decision(outcome=outcome, at=at, by=by, reason=reason, set_aside_at=letter.set_aside_at)
            entries.append(Entry(DECISIONS, letter.id.place.encode(), msgspec.json.encode(decision)))
        await self._log.append(entries)

    async def _ways(self, wanted: Wanted, ends: Mapping[str, int]) -> list[_Backwards]:
        decided = await self._decisions()
        return [
            _Backwards(
                self._log,
                queue,
                first,
                max(first, min(end, ends.get(queue.dead_letters, end))),
                decided.get(queue.dead_letters, {}),
                wanted,
            )
            for queue, (first, end) in (await self._bounds(wanted)).items()
        ]

    async def _bounds(self, wanted: Wanted) -> dict[Queue, Bounds]:
        queues = [queue for queue in self.queues if wanted.of(queue)]
        bounds = await self._log.bounds([queue.dead_letters for queue in queues])
        return {queue: bounds[queue.dead_letters] for queue in queues if queue.dead_letters in bounds}

    async def _decisions(self) -> _Decided:
        """The latest decision of each letter, by topic and place."""
        decided: _Decided = {}
        for topic, (first, end) in (await self._log.bounds([DECISIONS])).items():
            async for record in self._log.read(topic, first, end):
                dead_letters, _, rest = (record.key or b"").decode("utf-8", "replace").partition("/")
                _, _, offset = rest.partition("/")
                if record.value is not None and offset.isdecimal():
                    places = decided.setdefault(dead_letters, {})
                    places[int(offset)] = msgspec.json.decode(record.value, type=Decision)
        return decided
