"""Kafka, as far as this package needs it. The only importer of aiokafka."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    TopicAlreadyExistsError,
    for_code,
)

from libs.events.codec import Record
from libs.events.errors import Unavailable
from libs.events.topics import DEAD_LETTER_RETENTION, TOPICS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import timedelta

    from libs.events.outbox import Outgoing

log: Final = structlog.get_logger()

Offsets = dict[tuple[str, int], int]
"""The next offset to be read, by topic and partition: the last one done, plus one."""

_STOP_SECONDS: Final = 5.0


class _WaitForBatch(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka publishes no types
    """Holds a rebalance back until the batch in hand is done and committed."""

    def __init__(self, lock: asyncio.Lock) -> None:
        self._lock = lock

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        async with self._lock:
            log.info("rebalance.revoked", partitions=len(revoked))

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        log.info("rebalance.assigned", partitions=len(assigned))


class KafkaSubscription:
    """One member of a consumer group on one topic."""

    def __init__(self, *, bootstrap_servers: str, group: str, topic: str, session_timeout_ms: int = 10_000) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._group = group
        self._topic = topic
        self._session_timeout_ms = session_timeout_ms
        self._batch_in_hand = asyncio.Lock()
        self._consumer: AIOKafkaConsumer | None = None

    async def start(self) -> None:
        """Join the group; raises Unavailable."""
        if self._consumer is not None:
            return
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap_servers,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=self._session_timeout_ms,
            heartbeat_interval_ms=self._session_timeout_ms // 4,
            # A batch may wait for a slow database; the other members wait for it that long.
            rebalance_timeout_ms=60_000,
            max_partition_fetch_bytes=4 * 1024 * 1024,
            fetch_max_wait_ms=250,
        )
        try:
            await consumer.start()
        except (KafkaError, OSError) as error:
            await consumer.stop()
            raise Unavailable(f"broker away: {error}") from error
        consumer.subscribe([self._topic], listener=_WaitForBatch(self._batch_in_hand))
        self._consumer = consumer

    async def stop(self) -> None:
        """Leave the group, within a bound: the broker may be away."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await _within_bound(consumer.stop())

    @asynccontextmanager
    async def batch(self, limit: int, wait: timedelta) -> AsyncIterator[Sequence[Record]]:
        """Up to `limit` records, in order per partition; a rebalance waits until the block is left.

        The poll itself is outside the lock, because it waits for the end of a rebalance, which waits for the lock.
        Nothing comes between the two: a poll returns no records while a rebalance is on, and taking a free lock does
        not give way to other tasks.
        """
        consumer = self._started()
        try:
            fetched = await consumer.getmany(timeout_ms=int(wait.total_seconds() * 1000), max_records=limit)
        except (KafkaError, OSError) as error:
            raise Unavailable(f"broker away: {error}") from error
        async with self._batch_in_hand:
            yield [
                Record(
                    record.topic,
                    record.partition,
                    record.offset,
                    record.key,
                    record.value,
                    tuple(record.headers),
                )
                for records in fetched.values()
                for record in records
            ]

    async def commit(self, offsets: Offsets) -> None:
        """Tell the group how far this member is. Explicit offsets: a bare commit commits the position of the poll."""
        try:
            await self._started().commit({TopicPartition(*place): offset for place, offset in offsets.items()})
        except (CommitFailedError, IllegalStateError) as error:
            # Normal after a rebalance or a long pause: the partition has another owner, who reads the records again
            # and finds them in the inbox.
            log.info("commit.refused", group=self._group, error=type(error).__name__)
        except (KafkaError, OSError) as error:
            raise Unavailable(f"broker away: {error}") from error

    def rewind(self, records: Sequence[Record]) -> None:
        """Read `records` again at the next poll, where their partitions are still ours."""
        first: Offsets = {}
        for record in records:
            place = (record.topic, record.partition)
            first[place] = min(first.get(place, record.offset), record.offset)
        consumer = self._started()
        assigned = consumer.assignment()
        for place, offset in first.items():
            if (partition := TopicPartition(*place)) in assigned:
                consumer.seek(partition, offset)

    async def reachable(self) -> None:
        """Raise Unavailable unless a broker answers."""
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._started().topics()
        except (KafkaError, OSError) as error:
            raise Unavailable(f"broker away: {error}") from error

    def _started(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise Unavailable("not connected")
        return self._consumer


class KafkaPublisher:
    """An idempotent producer that waits for all replicas."""

    def __init__(self, *, bootstrap_servers: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect; raises Unavailable."""
        if self._producer is not None:
            return
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap_servers,
            acks="all",
            enable_idempotence=True,
            max_batch_size=256 * 1024,
            max_request_size=4 * 1024 * 1024,
            request_timeout_ms=10_000,
        )
        try:
            await producer.start()
        except (KafkaError, OSError) as error:
            await producer.stop()
            raise Unavailable(f"broker away: {error}") from error
        self._producer = producer

    async def stop(self) -> None:
        """Disconnect, within a bound: the broker may be away."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _within_bound(producer.stop())

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Send in order; return when every record is acknowledged; raises Unavailable when one is not."""
        if self._producer is None:
            raise Unavailable("not connected")
        acknowledgements = []
        try:
            async with asyncio.timeout(_PUBLISH_SECONDS):
                for record in records:
                    acknowledgements.append(  # noqa: PERF401 - each send may wait for room in the buffer
                        await self._producer.send(
                            record.topic, record.value, record.key.encode(), headers=record.headers
                        )
                    )
                await asyncio.gather(*acknowledgements)
        except (KafkaError, OSError) as error:
            raise Unavailable(f"not published: {error!r}") from error
        finally:
            for acknowledgement in acknowledgements:
                acknowledgement.add_done_callback(_look_at)


_PUBLISH_SECONDS: Final = 30.0


def _look_at(acknowledgement: asyncio.Future[object]) -> None:
    """Take note of an outcome that came after another one had already failed the batch."""
    if not acknowledgement.cancelled():
        acknowledgement.exception()


async def _within_bound(stopping: object) -> None:
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await stopping  # type: ignore[misc]  # aiokafka publishes no types
    except (TimeoutError, KafkaError, OSError) as error:
        # Leaving politely is a courtesy: the session times out by itself.
        log.info("kafka.left_without_farewell", error=type(error).__name__)


async def create_topics(bootstrap_servers: str, *, replication: int = 1) -> list[str]:
    """Create the registry's topics and their dead-letter topics where they are missing; the names of the new ones."""
    wanted: dict[str, NewTopic] = {}
    for topic in TOPICS:
        settings = {"cleanup.policy": "compact"} if topic.compacted else _retention(topic.retention)
        wanted[topic.name] = NewTopic(topic.name, topic.partitions, replication, topic_configs=settings)
        for consumer in topic.consumers:
            name = topic.dead_letters(consumer)
            wanted[name] = NewTopic(name, 1, replication, topic_configs=_retention(DEAD_LETTER_RETENTION))
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        await admin.start()
        existing = set(await admin.list_topics())
        missing = [new for name, new in wanted.items() if name not in existing]
        if missing:
            answer = await admin.create_topics(missing)
            for name, code, *_ in answer.topic_errors:
                error = for_code(code)
                # Another process of ours may have been quicker.
                if code and error is not TopicAlreadyExistsError:
                    raise error(name)
        return [new.name for new in missing]
    except (KafkaError, OSError) as error:
        raise Unavailable(f"broker away: {error!r}") from error
    finally:
        await admin.close()


def _retention(time: timedelta | None) -> Mapping[str, str]:
    return {"retention.ms": str(int(time.total_seconds() * 1000))} if time is not None else {}


@asynccontextmanager
async def following(
    bootstrap_servers: str, topics: Sequence[str], *, from_beginning: bool
) -> AsyncIterator[AsyncIterator[Record]]:
    """All records of `topics` from now on, or from the beginning, without a group: for people who watch."""
    consumer = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=bootstrap_servers,
        group_id=None,
        auto_offset_reset="earliest" if from_beginning else "latest",
    )

    async def records() -> AsyncIterator[Record]:
        async for record in consumer:
            yield Record(record.topic, record.partition, record.offset, record.key, record.value, tuple(record.headers))

    try:
        await consumer.start()
        yield records()
    except (KafkaError, OSError) as error:
        raise Unavailable(f"broker away: {error!r}") from error
    finally:
        await consumer.stop()
