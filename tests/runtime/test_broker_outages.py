"""The broker away, stopped, killed or frozen: nothing is lost or set aside, the loops wait, and go on by themselves."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.local.kafka import KafkaBroker
from deploy.local.ports import free_ports
from libs.events import consumer as consumer_module
from libs.events.consumer import Consumer
from libs.events.database import Database
from libs.events.errors import Unavailable
from libs.events.health import Health
from libs.events.kafka import KafkaPublisher, KafkaSubscription, bounds, create_topics, following
from libs.events.outbox import Outgoing
from libs.events.relay import Relay
from libs.events.testing import CONSUMER, Effects, Workbench, a_topic, an_answer, an_outgoing, eventually, running
from libs.events.topics import Topic


class Broker:
    """A broker of our own, which can be killed, frozen and started."""

    def __init__(self, folder: Path) -> None:
        port, controller_port = free_ports(2)
        self._broker = KafkaBroker(
            folder=folder / "kafka", log=folder / "kafka.log", port=port, controller_port=controller_port
        )
        self.address = self._broker.bootstrap_servers
        self._child = self._broker.start()

    def start(self) -> None:
        # In this thread: the child is tied to the thread that starts it.
        self._child = self._broker.start()

    def kill(self) -> None:
        self._child.wipe_out()

    def freeze(self) -> None:
        os.killpg(self._child.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.killpg(self._child.pid, signal.SIGCONT)

    def create(self, topic: Topic) -> None:
        names = {topic.name: topic.partitions}
        for each in topic.consumers:
            names |= {topic.dead_letters(each): 1, topic.replays(each): 1}
        # A broker that was frozen may leave what came at that moment without an answer: asked anew, by a new client.
        for _ in range(10):
            wanted = [NewTopic(name, num_partitions=partitions) for name, partitions in names.items()]
            client = AdminClient({"bootstrap.servers": self.address})
            for name, made in client.create_topics(wanted, request_timeout=10).items():
                try:
                    made.result(timeout=60)
                except (KafkaException, TimeoutError) as error:
                    if not exists_already(error):
                        continue
                del names[name]
            if not names:
                return
        raise TimeoutError(f"the broker does not make {', '.join(names)}")


@pytest.fixture(scope="module")
def own_broker() -> Iterator[Broker]:
    folder = Path(tempfile.mkdtemp(prefix="otklik-"))
    broker = Broker(folder)
    yield broker
    broker.kill()
    shutil.rmtree(folder)


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notice sooner than in production that the broker is away."""
    monkeypatch.setattr(consumer_module, "_LOOK_EVERY", timedelta(milliseconds=20))


@contextmanager
def impatience() -> Iterator[None]:
    """Give up on the broker sooner than in production: while it is away, as one that is there may be slow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "START_SECONDS", 3.0)
        patch.setattr(bounds, "COMMIT_SECONDS", 1.0)
        patch.setattr(bounds, "PUBLISH_SECONDS", 2.0)
        patch.setattr(bounds, "STOP_SECONDS", 1.0)
        yield


@contextmanager
def frozen(broker: Broker) -> Iterator[None]:
    """It takes connections, and answers nothing."""
    broker.freeze()
    try:
        yield
    finally:
        broker.thaw()


@contextmanager
def killed(broker: Broker) -> Iterator[None]:
    """Nobody listens."""
    broker.kill()
    try:
        yield
    finally:
        broker.start()


async def values(broker: Broker, topic: str, *, until: Callable[[list[bytes | None]], bool]) -> list[bytes | None]:
    """The values on `topic`, read until they are enough."""
    read: list[bytes | None] = []
    async with asyncio.timeout(60), following(broker.address, [topic], from_beginning=True) as records:
        async for record in records:
            read.append(record.value)
            if until(read):
                break
    return read


@pytest.mark.usefixtures("looks_often")
async def test_a_consumer_waits_for_the_broker_and_goes_on_by_itself(bench: Workbench) -> None:
    bench.deliver(an_answer("anna", 1))
    consumer = bench.consumer()
    async with running(consumer):
        await bench.all_done()
        await eventually(lambda: not bench.health.not_ready())
        bench.broker.available = False
        await eventually(lambda: bench.health.not_ready().keys() == {consumer.name})
        bench.deliver(an_answer("anna", 2))
        bench.broker.available = True
        await bench.all_done()
        assert bench.health.not_ready() == {}

    assert await bench.effects.by_customer() == {"anna": [1, 2]}
    assert await bench.dead_letters() == []


async def test_a_consumer_that_starts_before_the_broker_is_not_ready_until_it_is_there(bench: Workbench) -> None:
    bench.broker.available = False
    consumer = bench.consumer()
    async with running(consumer):
        await eventually(lambda: "away" in bench.health.not_ready().get(consumer.name, ""))
        bench.broker.available = True
        await eventually(lambda: not bench.health.not_ready())


async def test_a_relay_waits_for_the_broker_and_keeps_every_row(bench: Workbench, database: Database) -> None:
    bench.broker.create_topic("caused", 3)
    relay = Relay("test", database, bench.broker.publisher(), bench.health)
    bench.broker.available = False
    async with running(relay):
        for number in range(5):
            async with database.transaction() as tx:
                tx.emit_record("caused", "anna", str(number).encode(), ())
        await eventually(lambda: "away" in bench.health.not_ready().get("test.relay", ""))
        assert [record.value for record in await bench.waiting()] == [b"0", b"1", b"2", b"3", b"4"]

        bench.broker.available = True
        await eventually(lambda: len(bench.broker.records("caused")) == 5)
        await eventually(lambda: not bench.health.not_ready())

    assert [record.value for record in bench.broker.records("caused")] == [b"0", b"1", b"2", b"3", b"4"]
    assert await bench.waiting() == []


def exists_already(error: Exception) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS


async def all_is_well(health: Health) -> None:
    await eventually(lambda: health._pulses and not health.not_ready())


class Stream:
    """Consumer and relay on a real broker, and what went through them."""

    def __init__(self, broker: Broker, database: Database, *, create: bool = True) -> None:
        self.topic = a_topic(f"answers-{uuid4()}", partitions=2, consumers=(CONSUMER,))
        if create:
            broker.create(self.topic)
        self.health = Health()
        self.effects = Effects(database)
        self._database = database
        self.consumer = Consumer(
            CONSUMER,
            self.topic,
            self.effects.handle,
            database=database,
            subscription=KafkaSubscription(
                bootstrap_servers=broker.address, group=str(uuid4()), topic=self.topic.name, session_timeout_ms=6_000
            ),
            health=self.health,
        )
        self.relay = Relay("test", database, KafkaPublisher(bootstrap_servers=broker.address), self.health)

    async def answer(self, *numbers: int) -> None:
        for number in numbers:
            async with self._database.transaction() as tx:
                for customer in ("anna", "boris"):
                    record = an_outgoing(an_answer(customer, number), topic=self.topic.name, key=customer)
                    tx.emit_record(record.topic, record.key, record.value, record.headers)

    async def arrived(self, *numbers: int) -> None:
        async def are_there() -> bool:
            return await self.effects.by_customer() == {"anna": list(numbers), "boris": list(numbers)}

        await eventually(are_there)

    async def well(self) -> None:
        await all_is_well(self.health)

    async def both_are_not_ready(self) -> None:
        both = {self.consumer.name, self.relay.name}
        await eventually(lambda: self.health.not_ready().keys() == both)
        assert self.health.stuck() == {}


@pytest.mark.kafka
@pytest.mark.usefixtures("looks_often")
async def test_consumer_and_relay_wait_for_a_frozen_broker(own_broker: Broker, database: Database) -> None:
    stream = Stream(own_broker, database)
    async with running(stream.consumer, stream.relay):
        await stream.answer(1, 2)
        await stream.arrived(1, 2)
        await stream.well()
        with impatience(), frozen(own_broker):
            await stream.answer(3, 4)
            await stream.both_are_not_ready()
            await stream.answer(5)
        await stream.arrived(1, 2, 3, 4, 5)
        await stream.well()


@pytest.mark.kafka
@pytest.mark.usefixtures("looks_often")
async def test_consumer_and_relay_wait_for_a_killed_broker_and_nothing_arrives_out_of_order(
    own_broker: Broker, database: Database
) -> None:
    stream = Stream(own_broker, database)
    ghosts = a_topic(f"ghosts-{uuid4()}", consumers=())
    own_broker.create(ghosts)
    publisher = KafkaPublisher(bootstrap_servers=own_broker.address)
    await publisher.start()
    await publisher.publish([Outgoing(ghosts.name, "anna", b"0", ())])
    async with running(stream.consumer, stream.relay):
        await stream.answer(1, 2)
        await stream.arrived(1, 2)
        await stream.well()

        with impatience(), killed(own_broker):
            await stream.answer(3, 4)
            with pytest.raises(Unavailable):
                await publisher.publish([Outgoing(ghosts.name, "anna", b"ghost", ())])
            await stream.both_are_not_ready()
            await stream.answer(5)

        await stream.arrived(1, 2, 3, 4, 5)
        await stream.well()
        await stream.answer(6)
        await stream.arrived(1, 2, 3, 4, 5, 6)

    # What could not be published does not come behind the back of the next attempt.
    await publisher.start()
    for number in range(1, 20):
        await publisher.publish([Outgoing(ghosts.name, "anna", str(number).encode(), ())])
    await publisher.stop()
    assert b"ghost" not in await values(own_broker, ghosts.name, until=lambda read: read[-1] == b"19")


@pytest.mark.kafka
async def test_a_consumer_of_an_unknown_topic_is_not_ready_until_the_topic_is_made(
    own_broker: Broker, database: Database
) -> None:
    stream = Stream(own_broker, database, create=False)
    async with running(stream.consumer):
        await eventually(lambda: "away" in stream.health.not_ready().get(stream.consumer.name, ""))
        own_broker.create(stream.topic)
        await stream.well()


@pytest.mark.kafka
async def test_the_registrys_topics_are_made_once(own_broker: Broker) -> None:
    made = await create_topics(own_broker.address)
    assert "survey.responses" in made
    assert "survey.responses.scoring.responses.dlq" in made
    assert "survey.responses.scoring.responses.replay" in made
    assert "dead-letters.decisions" in made
    assert await create_topics(own_broker.address) == []


@pytest.mark.kafka
@pytest.mark.usefixtures("looks_often")
@pytest.mark.parametrize("away", [frozen, killed])
async def test_both_stop_within_a_bound_though_the_broker_is_away(
    own_broker: Broker, database: Database, away: Callable[[Broker], AbstractContextManager[None]]
) -> None:
    stream = Stream(own_broker, database)
    with ExitStack() as until_they_stopped:
        async with running(stream.consumer, stream.relay, within=30):
            await stream.answer(1)
            await stream.arrived(1)
            await stream.well()
            until_they_stopped.enter_context(impatience())
            until_they_stopped.enter_context(away(own_broker))
            await stream.answer(*range(2, 100))


@pytest.mark.kafka
@pytest.mark.usefixtures("looks_often")
async def test_an_unknown_topic_is_an_outage_that_ends_when_the_topic_is_made(
    kafka: str, kafka_topic: Callable[[int], Topic]
) -> None:
    publisher = KafkaPublisher(bootstrap_servers=kafka)
    await publisher.start()
    with impatience(), pytest.raises(Unavailable):
        await publisher.publish([Outgoing(f"nowhere-{uuid4()}", "anna", b"", ())])
    await publisher.start()
    await publisher.publish([Outgoing(kafka_topic(1).name, "anna", b"", ())])
    await publisher.stop()


@pytest.mark.kafka
async def test_a_fetcher_that_died_is_noticed_and_replaced(
    kafka: str, kafka_topic: Callable[[int], Topic], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "_LOOK_EVERY", timedelta(milliseconds=20))
    topic = kafka_topic(1)
    effects = Effects(database)
    health = Health()
    subscription = KafkaSubscription(bootstrap_servers=kafka, group=str(uuid4()), topic=topic.name)
    consumer = Consumer(CONSUMER, topic, effects.handle, database=database, subscription=subscription, health=health)
    async with running(consumer):
        await all_is_well(health)
        before = subscription._started()
        before._fetcher._fetch_task.cancel()
        await eventually(lambda: subscription._consumer not in (None, before))

        publisher = KafkaPublisher(bootstrap_servers=kafka)
        await publisher.start()
        await publisher.publish([an_outgoing(an_answer(), topic=topic.name, key="anna")])
        await publisher.stop()
        await eventually(effects.ids)


async def test_topics_cannot_be_made_where_there_is_no_broker() -> None:
    with pytest.raises(Unavailable):
        await create_topics("127.0.0.1:1")


@pytest.mark.parametrize("make", [KafkaPublisher, lambda **kw: KafkaSubscription(group="g", topic="t", **kw)])
async def test_where_there_is_no_broker_nothing_starts(
    make: Callable[..., KafkaPublisher | KafkaSubscription],
) -> None:
    client = make(bootstrap_servers="127.0.0.1:1")
    for _ in range(2):
        with pytest.raises(Unavailable):
            await client.start()
    await client.stop()
