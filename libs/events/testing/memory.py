"""A broker in memory that behaves as Kafka does; one suite of tests runs over both.

Topics with partitions by key, consumer groups with eager rebalances that wait for the batches in hand, committed
offsets per group. What a test needs beyond Kafka is here too: it can be made unavailable at once, publish everything
twice, or fail in the middle of a publication.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING
from zlib import crc32

from libs.events.codec import Record
from libs.events.errors import Unavailable
from libs.events.loop import wait_for
from libs.events.topics import DECISIONS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from libs.events.codec import Headers
    from libs.events.dead_letters import Entry
    from libs.events.outbox import Outgoing
    from libs.events.topics import Topic

Place = tuple[str, int]
"""A topic and one of its partitions."""


@dataclass(slots=True, eq=False)
class _Group:
    """The members of a consumer group and how far it is."""

    members: list[MemorySubscription] = field(default_factory=list)
    committed: dict[Place, int] = field(default_factory=dict)
    rebalance_until: float | None = None
    """When a rebalance goes on without those that still have a batch in hand; None while there is no rebalance."""


class MemoryBroker:
    """A broker for as long as the object lives. Topics are made before they are used, as with the real one."""

    def __init__(self, *topics: Topic) -> None:
        self.available = True
        self.copies = 1
        """How often a publication is written: twice is what comes of a relay that dies before it deletes."""
        self.longest_poll = timedelta(milliseconds=20)
        """A poll gives up after this, so that who is told to stop stops soon."""
        self.fail_after: int | None = None
        """The next publication fails after so many records are written."""
        self._partitions: dict[Place, list[Record]] = {}
        self._groups: dict[str, _Group] = {}
        self._changed = asyncio.Event()
        for topic in topics:
            self.create_topic(topic.name, topic.partitions)
            for consumer in topic.consumers:
                self.create_topic(topic.dead_letters(consumer), 1)
                self.create_topic(topic.replays(consumer), 1)
        self.create_topic(DECISIONS, 1)

    def create_topic(self, name: str, partitions: int) -> None:
        """Make an empty topic."""
        for partition in range(partitions):
            self._partitions[name, partition] = []

    def publisher(self) -> MemoryPublisher:
        """A producer."""
        return MemoryPublisher(self)

    def subscription(
        self,
        group: str,
        topic: str,
        *,
        replays: str | None = None,
        rebalance_timeout: timedelta = timedelta(seconds=60),
    ) -> MemorySubscription:
        """A member of `group`, when it is started."""
        return MemorySubscription(self, group, topic, rebalance_timeout, replays=replays)

    def records(self, topic: str) -> list[Record]:
        """All records of `topic`, partition by partition, in order."""
        return [record for place in self.places(topic) for record in self._partitions[place]]

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """The committed offsets of `group` by partition, where there are any."""
        committed = self.group(group).committed
        return {
            partition: committed[topic, partition]
            for _, partition in self.places(topic)
            if (topic, partition) in committed
        }

    def lag(self, group: str, topic: str) -> int:
        """How many records of `topic` are beyond the committed offsets of `group`."""
        committed = self.group(group).committed
        return sum(len(self._partitions[place]) - committed.get(place, 0) for place in self.places(topic))

    @asynccontextmanager
    async def log(self) -> AsyncIterator[MemoryLog]:
        """Its topics, by place; raises Unavailable."""
        self.require()
        yield MemoryLog(self)

    def append(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Add one record to the first partition, byte for byte."""
        if (topic, 0) not in self._partitions:
            raise Unavailable(f"no topic {topic}")
        partition = self._partitions[topic, 0]
        partition.append(Record(topic, 0, len(partition), key, value, headers))
        self.notify()

    def write(self, record: Outgoing) -> None:
        """Add one record to the partition of its key."""
        places = self.places(record.topic)
        if not places:
            raise Unavailable(f"no topic {record.topic}")
        key = record.key.encode()
        place = places[crc32(key) % len(places)]
        partition = self._partitions[place]
        partition.append(Record(*place, len(partition), key, record.value, record.headers))
        self.notify()

    def places(self, topic: str) -> list[Place]:
        """The partitions of `topic`."""
        return [place for place in self._partitions if place[0] == topic]

    def read(self, place: Place, offset: int, limit: int) -> list[Record]:
        """Up to `limit` records from `offset` on."""
        return self._partitions[place][offset : offset + limit]

    def group(self, name: str) -> _Group:
        """The group of that name."""
        return self._groups.setdefault(name, _Group())

    def require(self) -> None:
        """Raise Unavailable while the broker is switched off."""
        if not self.available:
            raise Unavailable("the memory broker is switched off")

    def notify(self) -> None:
        """Wake whoever waits for records, partitions or the broker."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, bound: float) -> None:
        """Wait for the next change, at most so many seconds."""
        await wait_for(self._changed, timedelta(seconds=bound))


class MemoryPublisher:
    """A Publisher of the memory broker."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._started = False

    async def start(self) -> None:
        """Connect; raises Unavailable."""
        self._broker.require()
        self._started = True

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Write `records` in order; raises Unavailable, then or in the middle."""
        broker = self._broker
        if not self._started:
            raise Unavailable("not connected")
        broker.require()
        fail_after, broker.fail_after = broker.fail_after, None
        for _ in range(broker.copies):
            for number, record in enumerate(records):
                if number == fail_after:
                    raise Unavailable("the broker failed in the middle")
                broker.write(record)
        # Others get their turn, as they do while one waits for a real broker.
        await asyncio.sleep(0)

    async def stop(self) -> None:
        """Disconnect."""
        self._started = False


class MemoryLog:
    """A Log of the memory broker."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def bounds(self, topics: Collection[str], partition: int = 0) -> dict[str, tuple[int, int]]:
        """What is kept of this partition of each topic; a topic that is not there is left out."""
        self._broker.require()
        places = [(topic, partition) for topic in topics if self._broker.places(topic)]
        return {place[0]: (0, len(self._broker.read(place, 0, sys.maxsize))) for place in places}

    async def read(self, topic: str, first: int, end: int, partition: int = 0) -> AsyncIterator[Record]:
        """The records of this partition from `first` on, below `end`, in order; raises Unavailable."""
        self._broker.require()
        for record in self._broker.read((topic, partition), first, end - first):
            yield record

    async def append(self, entries: Sequence[Entry]) -> None:
        """Write in order; raises Unavailable."""
        self._broker.require()
        for each in entries:
            self._broker.append(each.topic, each.key, each.value, each.headers)


class MemorySubscription:
    """A Subscription of the memory broker."""

    def __init__(
        self,
        broker: MemoryBroker,
        group: str,
        topic: str,
        rebalance_timeout: timedelta,
        *,
        replays: str | None = None,
    ) -> None:
        self._broker = broker
        self._group = broker.group(group)
        self.topics = (topic,) if replays is None else (topic, replays)
        self._rebalance_timeout = rebalance_timeout
        self._started = False
        self.has_batch_in_hand = False
        self.assignment = 0
        self.positions: dict[Place, int] = {}
        """The next offsets to be read of the partitions that are ours."""

    async def start(self) -> None:
        """Join; raises Unavailable."""
        if not self._started:
            self._broker.require()
            self._started = True
            self._join()

    async def stop(self) -> None:
        """Leave."""
        self.crash()

    def crash(self) -> None:
        """Be gone without a word, batch in hand or not. The real broker notices when the session times out."""
        self._started = False
        self.has_batch_in_hand = False
        self.positions = {}
        if self in self._group.members:
            self._group.members.remove(self)
            self._begin_rebalance()

    @asynccontextmanager
    async def batch(self, limit: int, wait: timedelta) -> AsyncIterator[Sequence[Record]]:
        """Up to `limit` records in order per partition; a rebalance waits until the block is left."""
        if not self._started:
            raise Unavailable("not connected")
        records = await self._poll(limit, min(wait, self._broker.longest_poll).total_seconds())
        self.has_batch_in_hand = True
        try:
            yield records
        finally:
            self.has_batch_in_hand = False
            self._settle()

    async def commit(self, offsets: dict[Place, int]) -> None:
        """Note the next offsets; refused without a word where one of the partitions is not ours any more."""
        self._broker.require()
        await asyncio.sleep(0)
        if offsets.keys() <= self.positions.keys():
            self._group.committed.update(offsets)

    def rewind(self, records: Sequence[Record]) -> None:
        """Deliver `records` again at the next poll, where their partitions are still ours."""
        for record in reversed(records):
            place = (record.topic, record.partition)
            if place in self.positions:
                self.positions[place] = record.offset

    async def reachable(self) -> None:
        """Raise Unavailable while the broker is switched off."""
        self._broker.require()

    async def _poll(self, limit: int, wait: float) -> list[Record]:
        deadline = time.monotonic() + wait
        while True:
            if self not in self._group.members:
                self._join()  # expelled, as after a pause that was too long
            self._settle()
            if self._broker.available and self._group.rebalance_until is None:
                records = self._take(limit)
                if records:
                    return records
            bound = deadline - time.monotonic()
            if bound <= 0:
                return []
            if self._group.rebalance_until is not None:
                bound = min(bound, max(self._group.rebalance_until - time.monotonic(), 0))
            await self._broker.changed(bound)

    def _take(self, limit: int) -> list[Record]:
        taken: list[Record] = []
        for place, offset in self.positions.items():
            records = self._broker.read(place, offset, limit - len(taken))
            self.positions[place] = offset + len(records)
            taken += records
        return taken

    def _join(self) -> None:
        self._group.members.append(self)
        self._begin_rebalance()

    def _begin_rebalance(self) -> None:
        if self._group.rebalance_until is None:
            self._group.rebalance_until = time.monotonic() + self._rebalance_timeout.total_seconds()
        self._settle()

    def _settle(self) -> None:
        """End a rebalance that is on, when all have done their batches or had time enough for it."""
        group = self._group
        if group.rebalance_until is None:
            return
        late = [member for member in group.members if member.has_batch_in_hand]
        if late and time.monotonic() < group.rebalance_until:
            return
        for member in late:
            group.members.remove(member)
            member.positions = {}
        for member in group.members:
            member.positions = {}
            member.assignment += 1
            for topic in member.topics:
                readers = [each for each in group.members if topic in each.topics]
                mine = self._broker.places(topic)[readers.index(member) :: len(readers)]
                member.positions |= {place: group.committed.get(place, 0) for place in mine}
        group.rebalance_until = None
        self._broker.notify()
