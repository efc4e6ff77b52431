"""Records as the rest of the package knows them, and all of them for people who watch."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from libs.events.codec import Record
from libs.events.kafka import bounds
from libs.events.kafka.parting import away

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from aiokafka import ConsumerRecord

_value: Final = itemgetter(1)


def record_of(record: ConsumerRecord) -> Record:
    """The record as the rest of the package knows it."""
    # Kafka knows headers without a value; nothing here tells them from empty ones.
    headers = tuple(record.headers)
    if None in map(_value, headers):
        headers = tuple((name, value or b"") for name, value in headers)
    return Record(record.topic, record.partition, record.offset, record.key, record.value, headers)


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
        try:
            async for record in consumer:
                yield record_of(record)
        except KafkaError as error:
            raise away(error) from error

    try:
        try:
            async with asyncio.timeout(bounds.START_SECONDS):
                await consumer.start()
        except (KafkaError, OSError) as error:
            raise away(error) from error
        yield records()
    finally:
        await consumer.stop()
