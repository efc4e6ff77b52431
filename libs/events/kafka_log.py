"""Kafka topics read by place, without a consumer group, and written byte for byte: for people, not for services.

Everything has a bound, because aiokafka waits for an absent broker without one: whoever looks at a page or at a
terminal is told that the broker is away instead.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from libs.events.dead_letters.letter import PARTITION
from libs.events.errors import Unavailable
from libs.events.kafka import away, record_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Collection, Sequence

    from aiokafka import ConsumerRecord

    from libs.events.codec import Record
    from libs.events.dead_letters.desk import Bounds, Entry

PATIENCE: Final = timedelta(seconds=20)
_FETCH_BYTES: Final = 4 * 1024 * 1024
_FETCH_RECORDS: Final = 500
_FETCH_MS: Final = 250
_WAIT_FOR_MORE_MS: Final = 10
"""What is read is there already; and what is asked meanwhile waits on the same connection behind a fetch that waits."""
_STOP_SECONDS: Final = 3.0


class KafkaLog:
    """A connection, made by `kafka_log`."""

    def __init__(self, bootstrap_servers: str, consumer: AIOKafkaConsumer, *, patience: timedelta) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._consumer = consumer
        self._seconds = patience.total_seconds()
        self._producer: AIOKafkaProducer | None = None

    async def bounds(self, topics: Collection[str], partition: int = PARTITION) -> dict[str, Bounds]:
        """What is kept of this partition of each topic; a topic that is not there is left out."""
        try:
            async with asyncio.timeout(self._seconds):
                there = await self._consumer.topics()
                partitions = [TopicPartition(topic, partition) for topic in topics if topic in there]
                if not partitions:
                    return {}
                # Of a topic that it does not read, the client learns only after a second who leads it.
                self._consumer.assign(partitions)
                first = await self._consumer.beginning_offsets(partitions)
                end = await self._consumer.end_offsets(partitions)
        except (KafkaError, OSError) as error:
            raise away(error) from error
        return {each.topic: (first[each], end[each]) for each in partitions}

    async def read(self, topic: str, first: int, end: int, partition: int = PARTITION) -> AsyncIterator[Record]:
        """The records of this partition from `first` on, below `end`, in order; raises Unavailable."""
        if first >= end:
            return
        place = TopicPartition(topic, partition)
        try:
            self._consumer.assign([place])
            self._consumer.seek(place, first)
            while True:
                for fetched in await self._next(place):
                    if fetched.offset >= end:
                        return
                    yield record_of(fetched)
                # Past the gaps, too, that compaction leaves.
                async with asyncio.timeout(self._seconds):
                    if await self._consumer.position(place) >= end:
                        return
        except (KafkaError, OSError) as error:
            raise away(error) from error

    async def _next(self, partition: TopicPartition) -> Sequence[ConsumerRecord]:
        async with asyncio.timeout(self._seconds):
            before = await self._consumer.position(partition)
            while True:
                fetched = await self._consumer.getmany(partition, timeout_ms=_FETCH_MS, max_records=_FETCH_RECORDS)
                if fetched or await self._consumer.position(partition) != before:
                    return fetched.get(partition, ())  # type: ignore[no-any-return]  # aiokafka publishes no types

    async def append(self, entries: Sequence[Entry]) -> None:
        """Write in order; return when all replicas have everything; raises Unavailable."""
        try:
            async with asyncio.timeout(self._seconds):
                producer = await self._connected()
                acknowledgements = [
                    await producer.send(each.topic, each.value, each.key, headers=list(each.headers))
                    for each in entries
                ]
                await asyncio.gather(*acknowledgements)
        except (KafkaError, OSError) as error:
            raise Unavailable(f"not written: {error!r}") from error

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap_servers,
                acks="all",
                enable_idempotence=True,
                max_request_size=_FETCH_BYTES,
            )
            self._producer = producer
            await producer.start()
        return self._producer

    async def close(self) -> None:
        """Disconnect, within a bound."""
        if self._producer is not None:
            await _within_bound(self._producer.stop())
        await _within_bound(self._consumer.stop())


@asynccontextmanager
async def kafka_log(bootstrap_servers: str, *, patience: timedelta = PATIENCE) -> AsyncIterator[KafkaLog]:
    """Connect for as long as the block lasts; no wait in it is longer than `patience`; raises Unavailable."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        group_id=None,
        enable_auto_commit=False,
        # Where retention was quicker than the reader: what is still there.
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=_FETCH_BYTES,
        fetch_max_wait_ms=_WAIT_FOR_MORE_MS,
    )
    log = KafkaLog(bootstrap_servers, consumer, patience=patience)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(log.close)
        try:
            async with asyncio.timeout(patience.total_seconds()):
                await consumer.start()
        except (KafkaError, OSError) as error:
            raise away(error) from error
        yield log


async def _within_bound(stopping: Awaitable[None]) -> None:
    """Wait for an end of aiokafka's, which may wait for a broker that is away."""
    task = asyncio.ensure_future(stopping)
    await asyncio.wait([task], timeout=_STOP_SECONDS)
    if not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_STOP_SECONDS)
    if not task.cancelled() and task.done():
        task.exception()
