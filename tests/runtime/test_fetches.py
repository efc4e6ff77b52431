"""How the real Kafka is fetched from: seldom while nothing comes, and without making anybody wait for it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from uuid import uuid4

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest

from libs.events.codec import Record
from libs.events.kafka import KafkaPublisher, KafkaSubscription
from libs.events.kafka.fetching import FETCH_MS
from libs.events.testing import an_answer, an_outgoing, eventually
from libs.events.topics import Topic

pytestmark = pytest.mark.kafka

A_MOMENT = timedelta(milliseconds=100)
MUCH_SOONER = timedelta(milliseconds=FETCH_MS / 2)
"""Than the end of a fetch that finds nothing."""


@pytest.fixture
def fetches(monkeypatch: pytest.MonkeyPatch) -> list[FetchRequest]:
    """What was fetched, as the clients sent it."""
    sent: list[FetchRequest] = []
    send = AIOKafkaClient.send

    async def noted(client: AIOKafkaClient, node: int, request: object, **how: object) -> object:
        if isinstance(request, FetchRequest):
            sent.append(request)
        return await send(client, node, request, **how)

    monkeypatch.setattr(AIOKafkaClient, "send", noted)
    return sent


class Reader:
    """One member that has all partitions of a topic, and a publisher for it."""

    def __init__(self, servers: str, topic: Topic, fetches: list[FetchRequest]) -> None:
        self._topic = topic
        self._fetches = fetches
        self._publisher = KafkaPublisher(bootstrap_servers=servers)
        self.member = KafkaSubscription(bootstrap_servers=servers, group=f"readers-{uuid4()}", topic=topic.name)

    async def publish(self, *customers: str) -> None:
        """One answer of each."""
        await self._publisher.start()
        sent = [an_outgoing(an_answer(each, 1), topic=self._topic.name, key=each) for each in customers]
        await self._publisher.publish(sent)

    async def next(self, wait: timedelta = MUCH_SOONER) -> Sequence[Record]:
        """The next batch."""
        async with self.member.batch(100, wait) as records:
            return records

    async def fetches_in_vain(self) -> None:
        """Return when a fetch of all partitions is under way that finds nothing."""
        asked = len(self._fetches)

        async def under_way() -> bool:
            assert not await self.next(A_MOMENT)
            return len(self._fetches) > asked

        await eventually(under_way)

    async def stop(self) -> None:
        """Leave no connection behind."""
        await self.member.stop()
        await self._publisher.stop()


@pytest.fixture
async def reader(kafka: str, kafka_topic: Callable[[int], Topic], fetches: list[FetchRequest]) -> AsyncIterator[Reader]:
    reader = Reader(kafka, kafka_topic(3), fetches)
    await reader.member.start()
    yield reader
    await reader.stop()


async def test_while_nothing_comes_one_fetch_stays_under_way(reader: Reader, fetches: list[FetchRequest]) -> None:
    await reader.fetches_in_vain()
    asked = len(fetches)

    for _ in range(10):
        assert not await reader.next(A_MOMENT)

    assert len(fetches) == asked


async def test_a_record_does_not_wait_for_the_end_of_the_fetch(reader: Reader) -> None:
    await reader.fetches_in_vain()
    await reader.publish("anna")

    assert len(await reader.next()) == 1


async def test_what_is_rewound_does_not_wait_for_the_end_of_the_fetch(reader: Reader) -> None:
    await reader.publish("anna")
    records = await reader.next(timedelta(seconds=30))
    await reader.fetches_in_vain()
    reader.member.rewind(records)

    assert await reader.next() == records


async def test_the_broker_is_looked_at_without_waiting_for_the_end_of_the_fetch(reader: Reader) -> None:
    await reader.fetches_in_vain()

    async with asyncio.timeout(MUCH_SOONER.total_seconds()):
        await reader.member.reachable()


async def test_what_comes_while_a_batch_is_in_hand_makes_one_batch(reader: Reader) -> None:
    await reader.publish("anna")
    async with reader.member.batch(100, timedelta(seconds=30)) as in_hand:
        assert len(in_hand) == 1
        for customer in ("anna", "boris", "clara"):
            await reader.publish(customer)

    assert len(await reader.next()) == 3
