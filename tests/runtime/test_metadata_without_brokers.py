"""A broker that was frozen answers before its controller counts it again, and names no brokers: clients ask later."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import pytest

from libs.events.consumer import Consumer
from libs.events.database import Database
from libs.events.errors import Unavailable
from libs.events.health import Health
from libs.events.kafka import KafkaPublisher, KafkaSubscription, bounds
from libs.events.relay import Relay
from libs.events.testing import CONSUMER, Effects, an_answer, an_outgoing, eventually, running
from libs.events.topics import Topic

pytestmark = pytest.mark.kafka

METADATA, API_VERSIONS = 3, 18


class Waking:
    """The door of a real broker: until it is `awake`, answered as by one that its controller has fenced."""

    def __init__(self, behind: str) -> None:
        host, _, port = behind.partition(":")
        self._behind = host, int(port)
        self.awake = False
        self.asked = 0
        """How often somebody wanted to know which brokers there are, and was told none."""
        self._serving: set[asyncio.Task[None]] = set()

    async def listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._take, "127.0.0.1", 0)

    async def close(self) -> None:
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await (self._pass_on(reader, writer) if self.awake else self._name_nobody(reader, writer))
        except (EOFError, ConnectionError):
            return  # whoever asked has hung up
        finally:
            writer.transport.abort()

    async def _name_nobody(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            (size,) = struct.unpack(">i", await reader.readexactly(4))
            key, _, correlation = struct.unpack(">hhi", (await reader.readexactly(size))[:8])
            if key == API_VERSIONS:
                # No error, and two requests with the versions of them that are taken.
                said = struct.pack(">hihhhhhh", 0, 2, API_VERSIONS, 0, 0, METADATA, 1, 1)
            elif key == METADATA:
                self.asked += 1
                said = struct.pack(">iii", 0, -1, 0)  # no brokers, no controller, no topics
            else:
                raise AssertionError(f"a request {key} to a broker that named none")
            writer.write(struct.pack(">ii", 4 + len(said), correlation) + said)
            await writer.drain()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection(*self._behind)
        there = asyncio.create_task(_pump(reader, behind_writer))
        try:
            await _pump(behind_reader, writer)
        finally:
            there.cancel()
            await asyncio.gather(there, return_exceptions=True)
            behind_writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while content := await reader.read(1 << 16):
        writer.write(content)
        await writer.drain()


@pytest.fixture
async def waking(kafka: str) -> AsyncIterator[tuple[Waking, str]]:
    broker = Waking(kafka)
    server = await broker.listen()
    host, port = server.sockets[0].getsockname()
    yield broker, f"{host}:{port}"
    server.close()
    await broker.close()


async def test_consumer_and_relay_wait_until_brokers_are_named_and_go_on_by_themselves(
    waking: tuple[Waking, str], database: Database, kafka_topic: Callable[[int], Topic]
) -> None:
    broker, address = waking
    topic, health, effects = kafka_topic(1), Health(), Effects(database)
    subscription = KafkaSubscription(bootstrap_servers=address, group=str(uuid4()), topic=topic.name)
    consumer = Consumer(CONSUMER, topic, effects.handle, database=database, subscription=subscription, health=health)
    relay = Relay("test", database, KafkaPublisher(bootstrap_servers=address), health)
    async with running(consumer, relay):
        record = an_outgoing(an_answer("anna", 1), topic=topic.name, key="anna")
        async with database.transaction() as tx:
            tx.emit_record(record.topic, record.key, record.value, record.headers)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bounds, "PUBLISH_SECONDS", 2.0)  # only while no broker is named
            await eventually(lambda: health.not_ready().keys() == {consumer.name, relay.name} and broker.asked > 4)
        broker.awake = True

        async def has_arrived() -> bool:
            return await effects.by_customer() == {"anna": [1]}

        await eventually(has_arrived)
        await eventually(lambda: not health.not_ready())


async def test_who_is_told_of_no_brokers_is_told_that_the_broker_is_away(waking: tuple[Waking, str]) -> None:
    _, address = waking
    publisher = KafkaPublisher(bootstrap_servers=address)
    subscription = KafkaSubscription(bootstrap_servers=address, group="readers", topic="answers")
    for client in (publisher, subscription):
        with pytest.raises(Unavailable, match="names no brokers"):
            await client.start()
