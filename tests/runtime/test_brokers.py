"""What consumer and relay rely on, asked of the real Kafka and of the memory broker alike."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import uuid4

import pytest

from libs.events.codec import Record
from libs.events.errors import Unavailable
from libs.events.kafka import KafkaPublisher, KafkaSubscription, Offsets
from libs.events.outbox import Outgoing
from libs.events.relay import Publisher
from libs.events.subscription import Subscription
from libs.events.testing import MemoryBroker, a_topic, an_answer, an_outgoing, eventually
from libs.events.topics import Topic

A_MOMENT = timedelta(milliseconds=100)
A_WHILE = timedelta(seconds=1)


class World:
    """A broker with one topic and one group; what is started is stopped after the test."""

    def __init__(
        self,
        topic: Topic,
        group: str,
        publisher: Publisher,
        subscribe: Callable[[timedelta], Subscription],
        committed: Callable[[], Offsets],
    ) -> None:
        self.topic = topic
        self.group = group
        self.publisher = publisher
        self._subscribe = subscribe
        self._committed = committed
        self._exit = AsyncExitStack()

    async def member(self, *, rebalance_timeout: timedelta = timedelta(seconds=60)) -> Subscription:
        """Another member of the group."""
        member = self._subscribe(rebalance_timeout)
        self._exit.push_async_callback(member.stop)
        await member.start()
        return member

    async def publish(self, numbers: Sequence[int], customers: Sequence[str] = ("anna",)) -> None:
        """One answer of each customer for each number."""
        await self.publisher.start()
        await self.publisher.publish(
            [
                an_outgoing(an_answer(customer, number), topic=self.topic.name, key=customer)
                for number in numbers
                for customer in customers
            ]
        )

    def committed(self) -> dict[int, int]:
        """The committed offsets by partition."""
        return {partition: offset for (_, partition), offset in self._committed().items() if offset > 0}

    async def close(self) -> None:
        """Stop everything."""
        await self._exit.aclose()
        await self.publisher.stop()


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[Callable[[int], World]]:
    made: list[World] = []

    def make(partitions: int = 1) -> World:
        group = f"readers-{uuid4()}"
        if request.param == "memory":
            topic = a_topic(partitions=partitions)
            broker = MemoryBroker(topic)
            made.append(
                World(
                    topic,
                    group,
                    broker.publisher(),
                    lambda timeout: broker.subscription(group, topic.name, rebalance_timeout=timeout),
                    lambda: {(topic.name, place): at for place, at in broker.committed(group, topic.name).items()},
                )
            )
        else:
            servers: str = request.getfixturevalue("kafka")
            topic = request.getfixturevalue("kafka_topic")(partitions)
            committed: Callable[[str], Offsets] = request.getfixturevalue("kafka_committed")
            made.append(
                World(
                    topic,
                    group,
                    KafkaPublisher(bootstrap_servers=servers),
                    lambda timeout: KafkaSubscription(
                        bootstrap_servers=servers,
                        group=group,
                        topic=topic.name,
                        session_timeout_ms=6_000,
                        rebalance_timeout_ms=int(timeout.total_seconds() * 1000),
                    ),
                    lambda: committed(group),
                )
            )
        return made[-1]

    yield make
    for each in made:
        await each.close()


async def take(member: Subscription, count: int, *, limit: int = 100) -> list[Record]:
    """The next records, `count` of them, without committing."""
    taken: list[Record] = []

    async def enough() -> bool:
        async with member.batch(limit, A_MOMENT) as records:
            taken.extend(records)
        return len(taken) >= count

    await eventually(enough)
    assert len(taken) == count
    return taken


def after(records: Sequence[Record]) -> Offsets:
    """The offsets that say that `records` are done."""
    return {(record.topic, record.partition): record.offset + 1 for record in records}


def numbers(records: Sequence[Record], customer: str = "anna") -> list[int]:
    """The numbers in the answers of one customer, in the order of delivery."""
    return [
        int(record.value.split(b'"round":')[1].split(b",")[0])
        for record in records
        if record.key == customer.encode() and record.value is not None
    ]


async def test_records_of_a_key_come_in_the_order_in_which_they_were_published(world: Callable[[int], World]) -> None:
    here = world(3)
    customers = [f"customer {number}" for number in range(9)]
    await here.publish(range(20), customers)

    records = await take(await here.member(), 180)

    for customer in customers:
        assert numbers(records, customer) == list(range(20))
        assert len({record.partition for record in records if record.key == customer.encode()}) == 1


async def test_a_record_is_delivered_as_it_was_published(world: Callable[[int], World]) -> None:
    here = world(1)
    sent = Outgoing(here.topic.name, "ключ", "тело".encode(), (("one", b"1"), ("two", b"\x00\xff")))
    erased = Outgoing(here.topic.name, "ключ", None, ())
    await here.publisher.start()
    await here.publisher.publish([sent, erased])

    first, second = await take(await here.member(), 2)

    assert first == Record(here.topic.name, 0, 0, "ключ".encode(), "тело".encode(), sent.headers)
    assert second == Record(here.topic.name, 0, 1, "ключ".encode(), None, ())


async def test_a_batch_has_at_most_as_many_records_as_asked_for(world: Callable[[int], World]) -> None:
    here = world(1)
    await here.publish(range(7))

    assert numbers(await take(await here.member(), 3, limit=3)) == [0, 1, 2]


async def test_without_records_the_batch_is_empty_after_the_wait(world: Callable[[int], World]) -> None:
    member = await world(1).member()

    async with member.batch(10, A_MOMENT) as records:
        assert records == []


async def test_a_new_group_starts_at_the_earliest_record(world: Callable[[int], World]) -> None:
    here = world(2)
    await here.publish([1, 2, 3])

    assert numbers(await take(await here.member(), 3)) == [1, 2, 3]


async def test_after_a_restart_reading_resumes_at_the_committed_offset(world: Callable[[int], World]) -> None:
    here = world(1)
    await here.publish(range(10))
    first = await here.member()
    done = await take(first, 4, limit=4)
    await first.commit(after(done))
    await first.stop()

    assert here.committed() == {0: 4}
    assert numbers(await take(await here.member(), 6)) == [4, 5, 6, 7, 8, 9]


async def test_what_was_not_committed_is_delivered_again(world: Callable[[int], World]) -> None:
    here = world(1)
    await here.publish(range(5))
    first = await here.member()
    done = await take(first, 5)
    await first.commit(after(done[:2]))
    await first.stop()

    assert numbers(await take(await here.member(), 3)) == [2, 3, 4]


async def test_a_rewind_delivers_again_in_order_and_only_from_there(world: Callable[[int], World]) -> None:
    here = world(1)
    await here.publish(range(6))
    member = await here.member()
    records = await take(member, 6)

    member.rewind(records[2:])

    assert numbers(await take(member, 4)) == [2, 3, 4, 5]
    await here.publish([6])
    assert numbers(await take(member, 1)) == [6]


async def test_a_rewind_inside_the_batch_holds_for_the_next_one(world: Callable[[int], World]) -> None:
    here = world(1)
    await here.publish(range(4))
    member = await here.member()
    await take(member, 1, limit=1)
    async with member.batch(1, A_WHILE) as records:
        member.rewind(records)
        await member.commit(after(records))

    assert numbers(await take(member, 3)) == [1, 2, 3]


async def test_two_members_share_the_partitions(world: Callable[[int], World]) -> None:
    here = world(4)
    customers = [f"customer {number}" for number in range(20)]
    members = (await here.member(), await here.member())

    async def each_reads_partitions_of_its_own() -> bool:
        await here.publish([1], customers)
        read = [set[int](), set[int]()]
        for member, partitions in zip(members, read, strict=True):
            async with member.batch(500, A_MOMENT) as records:
                partitions.update(record.partition for record in records)
        return all(read) and not read[0] & read[1] and read[0] | read[1] == {0, 1, 2, 3}

    await eventually(each_reads_partitions_of_its_own)


async def test_a_rebalance_waits_for_the_batch_in_hand(world: Callable[[int], World]) -> None:
    here = world(2)
    customers = [f"customer {number}" for number in range(10)]
    await here.publish([1], customers)
    first = await here.member()
    second: Subscription | None = None
    newcomer: list[Record] = []

    async with first.batch(100, timedelta(seconds=10)) as in_hand:
        assert in_hand
        second = await here.member()
        for _ in range(5):
            async with second.batch(100, A_MOMENT) as records:
                newcomer.extend(records)
        assert newcomer == []
        await first.commit(after(in_hand))

    await here.publish([2], customers)
    rest: list[Record] = []

    async def all_of_the_second_round() -> bool:
        for member in (first, second):
            async with member.batch(100, A_MOMENT) as records:
                rest.extend(records)
        return len([record for record in rest if numbers([record], (record.key or b"").decode()) == [2]]) == 10

    await eventually(all_of_the_second_round)
    # What was in hand was committed before the partitions changed hands: nobody got it again.
    again = {(record.partition, record.offset) for record in in_hand} & {(r.partition, r.offset) for r in rest}
    assert again == set()


async def test_a_commit_after_losing_the_partition_is_refused_quietly(world: Callable[[int], World]) -> None:
    here = world(1)
    await here.publish(range(3))
    slow = await here.member(rebalance_timeout=timedelta(seconds=1))

    async with slow.batch(100, timedelta(seconds=10)) as in_hand:
        assert numbers(in_hand) == [0, 1, 2]
        quick = await here.member(rebalance_timeout=timedelta(seconds=1))
        assert numbers(await take(quick, 3)) == [0, 1, 2]
        await slow.commit(after(in_hand))
        assert here.committed() == {}
    await quick.stop()

    assert numbers(await take(slow, 3)) == [0, 1, 2]


async def test_a_member_that_leaves_gives_its_partitions_to_the_others(world: Callable[[int], World]) -> None:
    here = world(2)
    customers = [f"customer {number}" for number in range(10)]
    first, second = await here.member(), await here.member()
    await here.publish([1], customers)
    await first.stop()
    read: set[int] = set()

    async def the_second_reads_both() -> bool:
        async with second.batch(100, A_MOMENT) as records:
            read.update(record.partition for record in records)
        return read == {0, 1}

    await eventually(the_second_reads_both)


async def test_a_poll_ends_with_the_wait_though_partitions_are_being_handed_out(world: Callable[[int], World]) -> None:
    here = world(1)
    await here.publish([1])
    first = await here.member()
    async with first.batch(1, timedelta(seconds=10)) as in_hand:
        assert in_hand
        second = await here.member()
        async with asyncio.timeout(30), second.batch(1, A_MOMENT) as records:
            assert records == []


async def test_who_is_not_started_is_not_connected(world: Callable[[int], World]) -> None:
    here = world(1)
    member = await here.member()
    await member.stop()

    with pytest.raises(Unavailable):
        async with member.batch(1, A_MOMENT):
            pass
    with pytest.raises(Unavailable):
        await here.publisher.publish([an_outgoing(an_answer(), topic=here.topic.name, key="anna")])


async def test_a_broker_that_answers_is_reachable(world: Callable[[int], World]) -> None:
    await (await world(1).member()).reachable()
