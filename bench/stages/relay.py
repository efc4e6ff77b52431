"""The relay: an outbox full of scored responses, published and emptied; beside the same bytes produced from memory.

The outbox is filled by one statement, outside the clock. From the commit on, the running worker of scoring does the
rest; over is when the last row is deleted.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import asyncpg

from bench.bench import last_number
from bench.figures import against_floor
from bench.streams import as_records, scored, write_file
from bench.workers import Worker
from deploy.local.ports import free_ports
from libs.events.database import Database

if TYPE_CHECKING:
    from bench.bench import Bench
    from bench.figures import Figure

_EVENTS: Final = 50_000
_FLOOR_BATCH: Final = 2_000
"""Of 500, 1,000, 2,000 and 5,000 the floor's best."""
_EMITTED_AT_ONCE: Final = 5_000
_RED, _GOAL = 0.3, 0.5
_BOUND_S: Final = 120.0


async def run(bench: Bench) -> list[Figure]:
    """Events a second, from the commit to the empty outbox."""
    await bench.make_registry_topics()
    events = scored(range(bench.amount(_EVENTS)))
    content = bench.folder / "relay.bin"
    write_file(content, as_records(events))
    topic = bench.topic("floor.relay", partitions=6)

    url = await bench.service_database("scoring")
    database = Database.connect(url)
    for place in range(0, len(events), _EMITTED_AT_ONCE):
        async with database.transaction() as tx:
            for event in events[place : place + _EMITTED_AT_ONCE]:
                tx.emit(event, key=event.payload.customer_id or event.payload.response_id)
    await database.close()
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE filled AS SELECT * FROM outbox ORDER BY id; TRUNCATE outbox")

    (port,) = free_ports(1)
    worker = Worker(
        bench,
        connection,
        "scoring",
        port,
        {
            "SCORING_DATABASE_URL": url,
            "SCORING_PORT": str(port),
            "OTKLIK_KAFKA_BOOTSTRAP_SERVERS": bench.kafka,
        },
    )
    await worker.start()

    async def ours() -> float:
        last: int = await connection.fetchval(_FILL)
        began = time.perf_counter()
        while await connection.fetchval("SELECT EXISTS (SELECT FROM outbox WHERE id = $1)", last):
            worker.check(in_time=time.perf_counter() - began < _BOUND_S)
            await asyncio.sleep(0.01)
        return len(events) / (time.perf_counter() - began)

    async def floor() -> float:
        arguments = (bench.kafka, topic, str(content), str(_FLOOR_BATCH))
        return last_number(await asyncio.to_thread(bench.run, "-m", "bench.floors.kafka_produce", *arguments))

    await ours()  # the first round of a process carries its first plans and its connection to the broker
    await worker.begin()
    measured_floor, measured = await bench.in_turns(floor, ours)
    notes = await worker.cpu_per(len(events) * len(measured))
    assert await connection.fetchval("SELECT count(*) FROM outbox") == 0  # noqa: S101
    await worker.stop()
    return [
        against_floor(
            "relay",
            "outbox published and emptied",
            floor_name="aiokafka produces the same bytes",
            floor=measured_floor,
            ours=measured,
            measured_in="events/s",
            red=_RED,
            goal=_GOAL,
            notes=notes,
        )
    ]


_FILL: Final = """
    WITH added AS (
             INSERT INTO outbox (topic, key, headers, value, emitted_at)
             SELECT topic, key, headers, value, now() FROM filled ORDER BY id
             RETURNING id
         )
    SELECT max(id) FROM added, pg_notify('outbox_' || current_schema(), '')
"""
