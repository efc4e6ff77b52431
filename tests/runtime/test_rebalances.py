"""Two consumers of one group on real Kafka, and what happens to the batch that one of them has in hand."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from libs.events.consumer import Consumer
from libs.events.database import Database, Tx
from libs.events.event import Event
from libs.events.health import Health
from libs.events.kafka import KafkaPublisher, KafkaSubscription, Offsets
from libs.events.testing import CONSUMER, Effects, an_answer, an_outgoing, eventually, running
from libs.events.topics import Topic

if TYPE_CHECKING:
    from libs.events.consumer import Handler

pytestmark = pytest.mark.kafka

WAITING = text("SELECT 1 FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted")
CUSTOMERS = [f"customer {number}" for number in range(12)]


class Held:
    """A handler that holds its first batch in hand until it is let go."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects
        self.in_hand: list[Event[Any]] = []
        self.let_go = asyncio.Event()

    async def handle(self, tx: Tx, events: Sequence[Event[Any]]) -> None:
        await self._effects.handle(tx, events)
        if not self.in_hand:
            self.in_hand.extend(events)
            await self.let_go.wait()


class Group:
    """A consumer group on a topic of the real broker, over one database."""

    def __init__(self, kafka: str, topic: Topic, database: Database) -> None:
        self.name = str(uuid4())
        self.topic = topic
        self.effects = Effects(database)
        self._kafka = kafka
        self._database = database

    def consumer(self, handle: "Handler | None" = None, *, rebalance_timeout_ms: int = 60_000) -> Consumer:
        subscription = KafkaSubscription(
            bootstrap_servers=self._kafka,
            group=self.name,
            topic=self.topic.name,
            session_timeout_ms=6_000,
            rebalance_timeout_ms=rebalance_timeout_ms,
        )
        return Consumer(
            CONSUMER,
            self.topic,
            handle or self.effects.handle,
            database=self._database,
            subscription=subscription,
            health=Health(),
        )

    async def publish(self, *numbers: int) -> None:
        publisher = KafkaPublisher(bootstrap_servers=self._kafka)
        await publisher.start()
        await publisher.publish(
            [
                an_outgoing(an_answer(customer, number), topic=self.topic.name, key=customer)
                for number in numbers
                for customer in CUSTOMERS
            ]
        )
        await publisher.stop()

    async def are_there(self, *numbers: int) -> bool:
        return await self.effects.by_customer() == {customer: list(numbers) for customer in CUSTOMERS}


async def test_a_rebalance_waits_for_the_batch_in_hand_and_nothing_is_done_twice(
    kafka: str, kafka_topic: Callable[[int], Topic], kafka_committed: Callable[[str], Offsets], database: Database
) -> None:
    group = Group(kafka, kafka_topic(4), database)
    held = Held(group.effects)
    seen_by_the_second: list[Event[Any]] = []

    async def second(tx: Tx, events: Sequence[Event[Any]]) -> None:
        seen_by_the_second.extend(events)
        await group.effects.handle(tx, events)

    await group.publish(1, 2)
    async with running(group.consumer(held.handle)):
        await eventually(lambda: held.in_hand)
        async with running(group.consumer(second)):
            await group.publish(3)
            # The newcomer polls in vain: it gets no partition before the batch is done.
            with pytest.raises(AssertionError):
                await eventually(lambda: seen_by_the_second, within=3)
            assert not any(offset > 0 for offset in kafka_committed(group.name).values())
            held.let_go.set()

            await eventually(lambda: group.are_there(1, 2, 3))
            await group.publish(4, 5)
            await eventually(lambda: group.are_there(1, 2, 3, 4, 5))
            await eventually(lambda: seen_by_the_second)

    assert not {event.id for event in held.in_hand} & {event.id for event in seen_by_the_second}


async def test_a_member_that_was_too_slow_finds_its_batch_done_by_another_one(
    kafka: str, kafka_topic: Callable[[int], Topic], kafka_committed: Callable[[str], Offsets], database: Database
) -> None:
    group = Group(kafka, kafka_topic(1), database)
    held = Held(group.effects)
    await group.publish(1, 2)
    async with running(group.consumer(held.handle, rebalance_timeout_ms=1_000)):
        await eventually(lambda: held.in_hand)
        async with running(group.consumer(rebalance_timeout_ms=1_000)):
            # Expelled: the other one gets the same events, and waits for the marks of the open transaction.
            await eventually(lambda: others_wait(database))
            held.let_go.set()
            await eventually(lambda: group.are_there(1, 2))
            await group.publish(3)
            await eventually(lambda: group.are_there(1, 2, 3))
            await eventually(lambda: kafka_committed(group.name)[group.topic.name, 0] == 36)


async def others_wait(database: Database) -> bool:
    """Whether a transaction waits for another one's row."""
    async with database.reading() as tx:
        return bool(await tx.fetch(WAITING))
