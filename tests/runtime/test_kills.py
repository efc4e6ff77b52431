"""Real processes killed with SIGKILL at each point, on real Kafka and PostgreSQL: each effect is there once."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
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
RELAY_LOCKS = text("""
    SELECT pid FROM pg_locks
     WHERE locktype = 'advisory' AND granted
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")


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


async def kill_a_consumer(kafka: str, url: str, topic: Topic, point: str, committed: Callable[[str], Offsets]) -> str:
    """Kill a consumer at `point`, let another one finish, and say what was there in between."""
    database, group = Database.connect(url), str(uuid4())
    effects = Effects(database)
    await published(kafka, topic)
    await die("consumer", point, url, kafka, topic.name, group)
    between = (
        f"{len(await effects.ids())} effects, {sum(max(offset, 0) for offset in committed(group).values())} committed"
    )

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
        await eventually(lambda: committed(group).get((topic.name, 0)) == 2 * len(NUMBERS))
    assert await effects.by_customer() == {"anna": NUMBERS, "boris": NUMBERS}, point
    await database.close()
    return between


async def test_a_consumer_killed_at_any_point_leaves_each_effect_once(
    kafka: str,
    kafka_topic: Callable[[int], Topic],
    kafka_committed: Callable[[str], Offsets],
    make_url: Callable[[], Awaitable[str]],
) -> None:
    expected = {
        "before the transaction": "0 effects, 0 committed",
        "in the handler": "0 effects, 0 committed",
        "after the database commit": "100 effects, 0 committed",
        "after the offset commit": "100 effects, 100 committed",
    }
    urls = {point: await make_url() for point in expected}

    found = await asyncio.gather(
        *(kill_a_consumer(kafka, urls[point], kafka_topic(1), point, kafka_committed) for point in expected)
    )

    assert dict(zip(expected, found, strict=True)) == expected


async def kill_a_relay(kafka: str, url: str, topic: Topic, point: str) -> list[bytes | None]:
    """Kill the active relay at `point`, with another one standing by; what is on the topic then."""
    database = Database.connect(url)
    dying = asyncio.create_task(die("relay", point, url, kafka, topic.name, ""))

    async def is_active() -> bool:
        async with database.reading() as tx:
            return bool(await tx.fetch(RELAY_LOCKS))

    await eventually(is_active)
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
    await database.close()
    return values


async def test_a_relay_killed_at_any_point_loses_no_row_and_another_takes_over(
    kafka: str, kafka_topic: Callable[[int], Topic], make_url: Callable[[], Awaitable[str]]
) -> None:
    copies = {"before it publishes": 1, "after the acknowledgement": 2, "after it deleted": 1}
    urls = {point: await make_url() for point in copies}

    found = await asyncio.gather(*(kill_a_relay(kafka, urls[point], kafka_topic(1), point) for point in copies))

    for (point, count), values in zip(copies.items(), found, strict=True):
        assert values == [b"0", b"1", b"2"] * count + [b"end"], point
