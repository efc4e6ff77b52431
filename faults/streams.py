"""Every topic as it is: dumped record by record, with the groups' committed offsets, and written to out of turn.

By confluent-kafka, a client that the services do not use, over the broker's door without a link.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from libs.events.topics import TOPICS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from libs.events.topics import Topic

Place = tuple[str, int]
"""A topic and a partition."""

_BROKER_S: Final = 20.0
_ANSWER_S: Final = 5.0
_POLL_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Told:
    """One record of a topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]

    @property
    def place(self) -> tuple[str, int, int]:
        """Where it stands."""
        return self.topic, self.partition, self.offset

    @property
    def event_id(self) -> str:
        """Its event's id; empty where it has none."""
        return self.headers.get("ce_id", b"").decode("utf-8", "replace")

    @property
    def type(self) -> str:
        """Its event's type; empty where it has none."""
        return self.headers.get("ce_type", b"").decode("utf-8", "replace")


def consumers() -> list[tuple[str, Topic]]:
    """Every consumer with a topic that it reads."""
    return [(consumer, topic) for topic in TOPICS for consumer in topic.consumers]


def dead_letter_topics() -> dict[str, tuple[str, str]]:
    """By topic of dead letters: the topic that they are of, and the consumer that set them aside."""
    return {topic.dead_letters(consumer): (topic.name, consumer) for consumer, topic in consumers()}


class Streams:
    """The topics of the registry from where they stood when this was opened."""

    def __init__(self, bootstrap_servers: str, services: Sequence[str]) -> None:
        self._config: dict[str, str | int | float | bool] = {
            "bootstrap.servers": bootstrap_servers,
            "log_level": 0,
            "reconnect.backoff.max.ms": 500,
        }
        self._admin = AdminClient(self._config)
        self._retired: list[AdminClient] = []
        self.consumers: Final = [(c, t) for c, t in consumers() if c.partition(".")[0] in services]
        self._places: list[Place] = []
        self._read: dict[Place, int] = {}
        self.begin: Final[dict[Place, int]] = {}
        self.records: Final[list[Told]] = []
        """All that was read so far."""
        self._consumer: Consumer | None = None

    async def open(self) -> None:
        """Begin here: what stands in the topics already is not ours, and no group of ours will read it."""
        await asyncio.to_thread(self._open)

    async def close(self) -> None:
        """Read no more."""
        if self._consumer is not None:
            await asyncio.to_thread(self._consumer.close)

    async def read_on(self) -> list[Told]:
        """Everything from where the last reading ended up to the present end; also kept in `records`."""
        return await asyncio.to_thread(self._read_on)

    async def ends(self, topics: Iterable[str]) -> dict[Place, int]:
        """The present ends of topics."""
        return await asyncio.to_thread(self._ends, set(topics))

    async def committed(self) -> dict[tuple[str, str, int], int]:
        """By consumer, topic and partition: the offset that the group has committed."""
        return await asyncio.to_thread(self._committed)

    async def write(self, records: Sequence[Told]) -> None:
        """Put records on their topics, in order, into the partitions that they name."""
        await asyncio.to_thread(self._write, records)

    def _open(self) -> None:
        self._consumer = Consumer(
            {**self._config, "group.id": "faults.ledger", "enable.auto.commit": False, "fetch.wait.max.ms": 50}
        )
        names = {topic.name for topic in TOPICS} | set(dead_letter_topics())
        known = self._consumer.list_topics(timeout=_BROKER_S).topics
        self._places = [(name, partition) for name in sorted(names) for partition in known[name].partitions]
        self.begin.update(self._ends(names))
        self._read = dict(self.begin)
        for consumer in {consumer for consumer, _ in self.consumers}:
            places = [
                TopicPartition(name, partition, self.begin[name, partition])
                for name, partition in self._places
                if (name, consumer) in {(topic.name, c) for c, topic in self.consumers}
            ]
            asked = self._admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(consumer, places)])
            for future in asked.values():
                future.result(timeout=_BROKER_S)

    def _reader(self) -> Consumer:
        if self._consumer is None:
            raise RuntimeError("not open")
        return self._consumer

    def _ends(self, topics: set[str]) -> dict[Place, int]:
        wanted = {TopicPartition(*place): _latest() for place in self._places if place[0] in topics}
        deadline = time.monotonic() + _BROKER_S
        while True:
            try:
                asked = self._admin.list_offsets(wanted, request_timeout=_ANSWER_S)
                return {(place.topic, place.partition): future.result().offset for place, future in asked.items()}
            except KafkaException:  # it comes back, or the deadline comes
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_S)
                # A client that knew the broker before its restart may go on asking about an epoch that is over. The
                # old one is kept: librdkafka aborts the process when one with open questions is destroyed.
                self._retired.append(self._admin)
                self._admin = AdminClient(self._config)

    def _read_on(self) -> list[Told]:
        consumer = self._reader()
        ends = self._ends({name for name, _ in self._places})
        left = {place for place, end in ends.items() if self._read[place] < end}
        if not left:
            return []
        consumer.assign([TopicPartition(*place, self._read[place]) for place in sorted(left)])
        found: list[Told] = []
        deadline = time.monotonic() + _BROKER_S
        while left:
            if time.monotonic() > deadline:
                raise TimeoutError(f"could not read {sorted(left)} to the end")
            for message in consumer.consume(num_messages=2000, timeout=_POLL_S):
                if message.error() is not None:
                    continue  # the client tries again by itself, and the deadline stands
                deadline = time.monotonic() + _BROKER_S
                place = (str(message.topic()), int(message.partition() or 0))
                offset = int(message.offset() or 0)
                if place not in left or offset < self._read[place]:
                    continue
                headers = _headers(message)
                found.append(Told(*place, offset, message.key(), message.value(), headers))
                self._read[place] = offset + 1
                if self._read[place] >= ends[place]:
                    left.discard(place)
        consumer.unassign()
        self.records.extend(found)
        return found

    def _committed(self) -> dict[tuple[str, str, int], int]:
        found: dict[tuple[str, str, int], int] = {}
        groups = sorted({consumer for consumer, _ in self.consumers})
        asked = [
            self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)], request_timeout=_ANSWER_S)
            for group in groups
        ]
        for each in asked:
            for group, future in each.items():
                for place in future.result().topic_partitions or []:
                    if place.offset >= 0:
                        found[group, place.topic, place.partition] = place.offset
        return found

    def _write(self, records: Sequence[Told]) -> None:
        producer = Producer({**self._config, "acks": "all", "enable.idempotence": True, "linger.ms": 5})
        for record in records:
            producer.produce(
                record.topic,
                value=record.value,
                key=record.key,
                partition=record.partition,
                headers=list(record.headers.items()),
            )
        if producer.flush(_BROKER_S):
            raise TimeoutError("the broker did not take all records")


def _latest() -> OffsetSpec:
    return OffsetSpec.latest()  # type: ignore[no-untyped-call,no-any-return]  # the client types most


def _headers(message: Message) -> dict[str, bytes]:
    """The headers; the client's types allow for more than it ever gives."""
    found: dict[str, bytes] = {}
    for name, value in message.headers() or []:  # type: ignore[str-unpack]  # it gives pairs
        found[name] = value if isinstance(value, bytes) else b""
    return found
