"""Databases with the tables of the messaging guarantee, topics of a real broker, and an eye on forgotten errors."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from libs.events.database import Database
from libs.events.kafka import Offsets
from libs.events.schema import MESSAGING_V1, MESSAGING_V2
from libs.events.testing import Effects, Workbench, a_topic
from libs.events.topics import DECISIONS, Topic


@pytest.fixture(autouse=True)
async def _nothing_forgotten() -> AsyncIterator[None]:
    """Fail a test that leaves an error behind which nobody looked at: asyncio only logs these."""
    loop = asyncio.get_running_loop()
    forgotten: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: forgotten.append(context))
    yield
    gc.collect()
    loop.set_exception_handler(None)
    assert not forgotten


@pytest.fixture
def make_url(make_database: Callable[[], str]) -> Callable[[], Awaitable[str]]:
    """Make a database with the tables `inbox`, `outbox` and `effects`."""

    async def make() -> str:
        made = make_database()
        connection = await asyncpg.connect(made)
        for statement in (*MESSAGING_V1, *MESSAGING_V2, Effects.TABLE):
            await connection.execute(statement)
        await connection.close()
        return made

    return make


@pytest.fixture
async def url(make_url: Callable[[], Awaitable[str]]) -> str:
    return await make_url()


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database.connect(url)
    yield database
    await database.close()


@pytest.fixture
def bench(database: Database) -> Workbench:
    return Workbench(database)


@pytest.fixture
def kafka_topic(kafka_topics_of: Callable[[Topic], None]) -> Callable[[int], Topic]:
    """Make a topic of answers, and its dead-letter topic, on the real broker; under a new name each time."""

    def make(partitions: int = 1) -> Topic:
        topic = a_topic(f"answers-{uuid4()}", partitions=partitions)
        kafka_topics_of(topic)
        return topic

    return make


@pytest.fixture
def kafka_topics_of(kafka: str) -> Callable[[Topic], None]:
    """Make a topic with all that belongs to its dead letters on the real broker."""
    client = AdminClient({"bootstrap.servers": kafka})

    def make(topic: Topic) -> None:
        wanted = [NewTopic(topic.name, num_partitions=topic.partitions)]
        for consumer in topic.consumers:
            wanted += [NewTopic(name(consumer), num_partitions=1) for name in (topic.dead_letters, topic.replays)]
        if DECISIONS not in client.list_topics(timeout=60).topics:
            wanted.append(NewTopic(DECISIONS, num_partitions=1))
        for made in client.create_topics(wanted).values():
            made.result(timeout=60)

    return make


@pytest.fixture
def kafka_committed(kafka: str) -> Callable[[str], Offsets]:
    """The committed offsets of a consumer group on the real broker."""

    async def ask(group: str) -> Offsets:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        await admin.start()
        try:
            found = await admin.list_consumer_group_offsets(group)
        finally:
            await admin.close()
        return {(place.topic, place.partition): each.offset for place, each in found.items()}

    def committed(group: str) -> Offsets:
        # In a loop of its own: some who ask stand in a running one. (librdkafka's client crashes where there is none.)
        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(asyncio.run, ask(group)).result(timeout=60)

    return committed
