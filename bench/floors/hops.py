"""What one durable row and one record through Kafka cost at a steady rate, each on its own.

python -m bench.floors.hops DSN BOOTSTRAP TOPIC RATE SECONDS

Prints the median in milliseconds of a row of 1 KB inserted and committed, and of a record of 1 KB from the call that
sends it (acknowledged by all) to the consumer that has it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from statistics import median
from typing import TYPE_CHECKING

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

DSN, BOOTSTRAP, TOPIC, RATE, SECONDS = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), float(sys.argv[5])
BODY = os.urandom(1000)


async def at_rate(act: Callable[[float], Awaitable[None]]) -> None:
    """Begin `act` at fixed instants, whether or not the one before has ended."""
    began = time.perf_counter()
    tasks = []
    for number in range(int(RATE * SECONDS)):
        due = began + number / RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.ensure_future(act(due)))
    await asyncio.gather(*tasks)


async def insert() -> float:
    """The median of a durable row."""
    took: list[float] = []
    async with asyncpg.create_pool(DSN, min_size=4, max_size=4) as pool:
        await pool.execute("CREATE TABLE IF NOT EXISTS bench_hops (id bigint GENERATED ALWAYS AS IDENTITY, body bytea)")

        async def one(due: float) -> None:
            await pool.execute("INSERT INTO bench_hops (body) VALUES ($1)", BODY)
            took.append(time.perf_counter() - due)

        await at_rate(one)
        await pool.execute("DROP TABLE bench_hops")
    return median(took)


async def hop() -> float:
    """The median from the producer to the consumer."""
    took: list[float] = []
    producer = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, acks="all", enable_idempotence=True)
    consumer = AIOKafkaConsumer(TOPIC, bootstrap_servers=BOOTSTRAP, group_id=None, auto_offset_reset="latest")
    await producer.start()
    await consumer.start()
    await consumer.seek_to_end()
    total = int(RATE * SECONDS)

    async def receive() -> None:
        while len(took) < total:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                now = time.perf_counter()
                took.extend(now - float(record.key) for record in records)

    async def one(due: float) -> None:
        await producer.send_and_wait(TOPIC, BODY, b"%.9f" % due)

    receiving = asyncio.ensure_future(receive())
    await at_rate(one)
    await asyncio.wait_for(receiving, 30)
    await producer.stop()
    await consumer.stop()
    return median(took)


async def main() -> None:
    """One after the other."""
    inserted = await insert()
    hopped = await hop()
    print(inserted * 1000, hopped * 1000)  # noqa: T201 - its output is its result


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
