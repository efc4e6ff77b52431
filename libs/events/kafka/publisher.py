"""The way into Kafka: batches in order, acknowledged by all replicas."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from libs.events.errors import Unavailable
from libs.events.kafka import bounds
from libs.events.kafka.beginning import begin
from libs.events.kafka.parting import away, end_tasks, look_at
from libs.events.partitions import partition_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiokafka.producer.message_accumulator import BatchBuilder

    from libs.events.outbox import Outgoing


class KafkaPublisher:
    """An idempotent producer that waits for all replicas."""

    def __init__(self, *, bootstrap_servers: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect, where that is not done; raises Unavailable."""
        if self._producer is not None:
            return
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap_servers,
            acks="all",
            enable_idempotence=True,
            max_batch_size=256 * 1024,
            max_request_size=4 * 1024 * 1024,
            request_timeout_ms=bounds.REQUEST_MS,
            metadata_max_age_ms=bounds.METADATA_MS,
        )
        try:
            await begin(self._producer, self._producer.client)
        except (KafkaError, OSError) as error:
            await self.stop()
            raise away(error) from error

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Send in order; return when every record is acknowledged; raises Unavailable when one is not."""
        if self._producer is None:
            raise Unavailable("not connected")
        acknowledgements = []
        try:
            async with asyncio.timeout(bounds.PUBLISH_SECONDS):
                for (topic, partition), batch in await self._batched(self._producer, records):
                    acknowledgements.append(await self._producer.send_batch(batch, topic, partition=partition))
                await asyncio.gather(*acknowledgements)
        except (KafkaError, OSError) as error:
            # What is not acknowledged must not arrive behind the back of the next attempt, which sends it again: not
            # after newer records of the same key. And a producer that failed once may refuse all further sends.
            await self.stop()
            raise Unavailable(f"not published: {error!r}") from error
        finally:
            for acknowledgement in acknowledgements:
                acknowledgement.add_done_callback(look_at)

    async def _batched(
        self, producer: AIOKafkaProducer, records: Sequence[Outgoing]
    ) -> list[tuple[tuple[str, int], BatchBuilder]]:
        """`records` in the producer's batches, in order; record by record it takes several times as long."""
        counts = {topic: len(await producer.partitions_for(topic)) for topic in {record.topic for record in records}}
        batches: list[tuple[tuple[str, int], BatchBuilder]] = []
        growing: dict[tuple[str, int], BatchBuilder] = {}
        for record in records:
            key = record.key.encode()
            place = (record.topic, partition_of(key, counts[record.topic]))
            headers = list(record.headers)
            batch = growing.get(place)
            if batch is None or batch.append(timestamp=None, key=key, value=record.value, headers=headers) is None:
                # An empty one takes any record; how large records may be is decided where they are emitted.
                batch = growing[place] = producer.create_batch()
                batch.append(timestamp=None, key=key, value=record.value, headers=headers)
                batches.append((place, batch))
        return batches

    async def stop(self) -> None:
        """Disconnect without delivering what is not acknowledged: the outbox still has it.

        aiokafka's own stop delivers it first, and for that tries for ever while the broker is away.
        """
        producer, self._producer = self._producer, None
        if producer is None:
            return
        producer._closed = True  # noqa: SLF001 - aiokafka has no other way, here and below
        await end_tasks(producer._sender.sender_task)  # noqa: SLF001
        await producer.client.close()
