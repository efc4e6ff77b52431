"""Real processes killed with SIGKILL at each point, on real Kafka and PostgreSQL: each effect is there once."""

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from libs.events.consumer import Consumer
from libs.events.database import Database
from libs.events.health import Health
from libs.events.kafka import KafkaPublisher, KafkaSubscription, Offsets, following
from libs.events.relay import Relay
from libs.events.testing import CONSUMER, Effects, an_answer, an_outgoing, eventually, running
from libs.events.topics import Topic

pytestmark = pytest.mark.kafka

VICTIM = Path(__file__).with_name("victim.py")
NUMBERS = list(range(50))
RELAY_LOCKS = text("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted")


async def die(*arguments: str) -> None:
    """Run the victim until it has killed itself."""
    process = await asyncio.create_subprocess_exec(sys.executable, str(VICTIM), *arguments)
    try:
        async with asyncio.timeout(60):
            assert await process.wait() == -signal.SIGKILL
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def published(kafka: str, topic: Topic) -> None:
    publisher = KafkaPublisher(bootstrap_servers=kafka)
    await publisher.start()
    await publisher.publish(
        [
            an_outgoing(an_answer(customer, number), topic=topic.name, key=customer)
            for number in NUMBERS
            for customer in ("anna", "boris")
        ]
    )
    await publisher.stop()


@pytest.mark.parametrize(
    ("point", "effects_there", "committed"),
    [
        ("before the transaction", False, False),
        ("in the handler", False, False),
        ("after the database commit", True, False),
        ("after the offset commit", True, True),
    ],
)
async def test_a_killed_consumer_leaves_each_effect_once(
    kafka: str,
    kafka_topic: Callable[[int], Topic],
    kafka_committed: Callable[[str], Offsets],
    database: Database,
    url: str,
    *,
    point: str,
    effects_there: bool,
    committed: bool,
) -> None:
    topic, group = kafka_topic(1), str(uuid4())
    effects = Effects(database)
    await published(kafka, topic)

    await die("consumer", point, url, kafka, topic.name, group)
    assert bool(await effects.ids()) is effects_there
    assert any(offset > 0 for offset in kafka_committed(group).values()) is committed

    consumer = Consumer(
        CONSUMER,
        topic,
        effects.handle,
        database=database,
        # The group hands out the partitions again when the session of the dead one has ended.
        subscription=KafkaSubscription(bootstrap_servers=kafka, group=group, topic=topic.name),
        health=Health(),
    )
    async with running(consumer):
        await eventually(lambda: kafka_committed(group).get((topic.name, 0)) == 2 * len(NUMBERS), within=60)
    assert await effects.by_customer() == {"anna": NUMBERS, "boris": NUMBERS}


@pytest.mark.parametrize(
    ("point", "copies"), [("before it publishes", 1), ("after the acknowledgement", 2), ("after it deleted", 1)]
)
async def test_a_killed_relay_loses_no_row_and_another_takes_over(
    kafka: str, kafka_topic: Callable[[int], Topic], database: Database, url: str, *, point: str, copies: int
) -> None:
    topic = kafka_topic(1)
    dying = asyncio.create_task(die("relay", point, url, kafka, topic.name, ""))

    async def is_active() -> bool:
        async with database.reading() as tx:
            return bool(await tx.fetch(RELAY_LOCKS))

    await eventually(is_active, within=60)
    async with running(Relay("test", database, KafkaPublisher(bootstrap_servers=kafka), Health())):
        async with database.transaction() as tx:
            for number in range(3):
                tx.emit_record(topic.name, "anna", str(number).encode(), ())
        await dying
        async with database.transaction() as tx:
            tx.emit_record(topic.name, "anna", b"end", ())
        values = []
        async with asyncio.timeout(60), following(kafka, [topic.name], from_beginning=True) as records:
            async for record in records:
                values.append(record.value)
                if record.value == b"end":
                    break

    assert values == [b"0", b"1", b"2"] * copies + [b"end"]
