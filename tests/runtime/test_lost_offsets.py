"""Offsets that are lost or out of range: told, and read again from the earliest record, on real Kafka."""

import asyncio
from collections.abc import Callable, Sequence
from uuid import uuid4

import pytest
import structlog
from aiokafka.errors import KafkaError
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic
from prometheus_client import REGISTRY
from structlog.typing import EventDict

from libs.events.consumer import Consumer
from libs.events.contracts.messages import ConfirmationAnswered
from libs.events.database import Database
from libs.events.event import Event
from libs.events.health import Health
from libs.events.kafka import KafkaPublisher, KafkaSubscription, Offsets
from libs.events.offsets import Begun
from libs.events.testing import CONSUMER, Effects, an_answer, an_outgoing, eventually, running
from libs.events.topics import Topic

pytestmark = pytest.mark.kafka

Answer = Event[ConfirmationAnswered]


class Group:
    """A consumer group that runs, stops and runs again; what it told meanwhile."""

    def __init__(self, kafka: str, topic: Topic, database: Database, committed: Callable[[str], Offsets]) -> None:
        self.name = str(uuid4())
        self.topic = topic
        self.effects = Effects(database)
        self.admin = AdminClient({"bootstrap.servers": kafka})
        self._kafka = kafka
        self._database = database
        self._committed = committed

    async def offsets(self) -> dict[int, int]:
        try:
            # Not in the loop: on a fresh broker, the answer waits for the group's coordinator.
            committed = await asyncio.to_thread(self._committed, self.name)
        except (KafkaError, TimeoutError):
            return {}  # nobody of the group has come yet
        return {partition: offset for (_, partition), offset in sorted(committed.items())}

    async def are_at(self, offsets: dict[int, int]) -> bool:
        return await self.offsets() == offsets

    async def publish(self, *answers: Answer) -> None:
        publisher = KafkaPublisher(bootstrap_servers=self._kafka)
        await publisher.start()
        await publisher.publish(
            [an_outgoing(answer, topic=self.topic.name, key=answer.payload.customer_id) for answer in answers]
        )
        await publisher.stop()

    def consumer(self) -> Consumer:
        return Consumer(
            CONSUMER,
            self.topic,
            self.effects.handle,
            database=self._database,
            subscription=KafkaSubscription(
                bootstrap_servers=self._kafka,
                group=self.name,
                topic=self.topic.name,
                begun=Begun(CONSUMER, self._database),
            ),
            health=Health(),
        )

    async def run(self, until: dict[int, int]) -> list[EventDict]:
        """Run until the committed offsets are as they are to be; what was told of lost ones."""
        with structlog.testing.capture_logs() as told:
            async with running(self.consumer()):
                await eventually(lambda: self.are_at(until))
        return [each for each in told if each["event"] == "offsets.lost"]

    def set_offsets(self, offsets: dict[int, int]) -> None:
        wanted = [TopicPartition(self.topic.name, partition, offset) for partition, offset in offsets.items()]
        done = self.admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(self.name, wanted)])
        done[self.name].result(timeout=60)

    def counted(self, reason: str) -> float:
        labels = {"consumer": self.name, "reason": reason}
        return REGISTRY.get_sample_value("otklik_offsets_lost_total", labels) or 0.0


@pytest.fixture
def group(
    kafka: str, kafka_topic: Callable[[int], Topic], kafka_committed: Callable[[str], Offsets], database: Database
) -> Group:
    return Group(kafka, kafka_topic(1), database, kafka_committed)


def answers(count: int) -> Sequence[Answer]:
    return [an_answer("anna", number) for number in range(count)]


async def test_a_new_group_begins_at_the_beginning_and_a_partition_without_records_is_not_lost_later(
    group: Group,
) -> None:
    assert await group.run({0: 0}) == []
    await group.publish(*answers(3))
    assert await group.run({0: 3}) == []

    assert await group.effects.by_customer() == {"anna": [0, 1, 2]}


async def test_offsets_that_were_deleted_are_told_and_everything_is_read_again_without_effect(group: Group) -> None:
    await group.publish(*answers(3))
    await group.run({0: 3})
    group.admin.delete_consumer_groups([group.name])[group.name].result(timeout=60)
    await group.publish(an_answer("anna", 3))

    (told,) = await group.run({0: 4})

    assert (told["topic"], told["partition"], told["reason"]) == (group.topic.name, 0, "missing")
    assert (told["from_offset"], told["to_offset"], told["log_level"]) == (None, 0, "error")
    assert group.counted("missing") == 1
    assert await group.effects.by_customer() == {"anna": [0, 1, 2, 3]}
    assert await group.run({0: 4}) == []


async def test_records_that_were_deleted_unread_are_told_with_their_number(group: Group) -> None:
    await group.publish(*answers(3))
    await group.run({0: 3})
    await group.publish(*(an_answer("anna", number) for number in range(3, 10)))
    place = TopicPartition(group.topic.name, 0, 8)
    group.admin.delete_records([place])[place].result(timeout=60)

    (told,) = await group.run({0: 10})

    assert (told["reason"], told["from_offset"], told["to_offset"], told["skipped"]) == ("truncated", 3, 8, 5)
    assert group.counted("truncated") == 1
    assert await group.effects.by_customer() == {"anna": [0, 1, 2, 8, 9]}


async def test_a_topic_that_was_made_anew_is_told_and_read_from_its_beginning(group: Group) -> None:
    await group.publish(*answers(3))
    await group.run({0: 3})
    group.admin.delete_topics([group.topic.name])[group.topic.name].result(timeout=60)
    await asyncio.to_thread(recreated, group)
    await group.publish(an_answer("boris", 1))

    (told,) = await group.run({0: 1})

    assert told["reason"] in ("missing", "beyond_end")  # whether the broker has forgotten the offsets with the topic
    assert await group.effects.by_customer() == {"anna": [0, 1, 2], "boris": [1]}


def recreated(group: Group) -> None:
    """Make the topic again, as soon as the broker has deleted it."""
    group.admin.create_topics([NewTopic(group.topic.name, num_partitions=1)])[group.topic.name].result(timeout=60)


async def test_an_offset_behind_the_end_is_told_and_never_the_latest_record_is_next(group: Group) -> None:
    await group.publish(*answers(3))
    await group.run({0: 3})
    group.set_offsets({0: 100})
    await group.publish(an_answer("anna", 3))

    (told,) = await group.run({0: 4})

    assert (told["reason"], told["from_offset"], told["to_offset"]) == ("beyond_end", 100, 0)
    assert await group.effects.by_customer() == {"anna": [0, 1, 2, 3]}


async def test_a_partition_that_was_added_is_read_from_its_beginning_and_nothing_was_lost(group: Group) -> None:
    await group.run({0: 0})
    added = group.admin.create_partitions([NewPartitions(group.topic.name, 2)])
    added[group.topic.name].result(timeout=60)
    customers = [f"customer {number}" for number in range(20)]
    await group.publish(*(an_answer(customer) for customer in customers))

    async def all_there() -> bool:
        return sorted(await group.effects.by_customer()) == sorted(customers)

    with structlog.testing.capture_logs() as told:
        async with running(group.consumer()):
            await eventually(all_there)

    assert [each for each in told if each["event"] == "offsets.lost"] == []
    assert len(await group.offsets()) == 2


async def test_one_of_several_partitions_that_lost_its_offset_is_told_alone(
    kafka: str, kafka_topic: Callable[[int], Topic], kafka_committed: Callable[[str], Offsets], database: Database
) -> None:
    group = Group(kafka, kafka_topic(3), database, kafka_committed)
    customers = [f"customer {number}" for number in range(30)]
    await group.publish(*(an_answer(customer) for customer in customers))

    async def all_there() -> bool:
        return sorted(await group.effects.by_customer()) == sorted(customers)

    async def all_done() -> bool:
        return sum((await group.offsets()).values()) == 30

    async with running(group.consumer()):
        await eventually(all_there)
        await eventually(all_done)
    before = await group.offsets()
    group.admin.delete_consumer_groups([group.name])[group.name].result(timeout=60)
    group.set_offsets({partition: before[partition] for partition in (0, 2)})

    (told,) = await group.run(before)

    assert (told["partition"], told["reason"]) == (1, "missing")
    assert await all_there()
