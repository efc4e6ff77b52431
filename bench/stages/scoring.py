"""Scoring: first answers read from Kafka, counted, and announced on Kafka; half of the customers are known.

Measured is `python -m services.scoring worker` as it runs for real: inbox, rows, outbox, offsets, and its relay, which
publishes what the consumer emits, because the floor reads and writes Kafka too. From the first batch that is committed
until every offset is committed and the outbox is empty.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Final

import asyncpg

from bench.bench import last_number
from bench.figures import against_floor
from bench.streams import Group, as_records, customer_of, fill, received, scored
from bench.workers import Worker, memory_figures
from deploy.local.ports import free_ports
from libs.events.topics import SURVEY_RESPONSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.bench import Bench
    from bench.figures import Figure

_EVENTS: Final = 50_000
_FLOOR_BATCH: Final = 2_000
"""Of 500, 1,000, 2,000 and 5,000 the floor's best."""
_RED, _GOAL = 0.5, 0.7
_GROUP: Final = "scoring.responses"

_KNOW_HALF: Final = """
    INSERT INTO customers
    SELECT id, 1, 'Анна Петрова', id || '@example.com', NULL, 'ru', 'Europe/Moscow', NULL, NULL, 250000, NULL, '{}',
           true, 'high', 'current_value >= 200000', 1, now(), now()
      FROM unnest($1::text[]) AS known (id)
"""


async def run(bench: Bench) -> list[Figure]:
    """Events a second beside the floor's; memory of the worker."""
    await bench.make_registry_topics()
    total = bench.amount(_EVENTS)
    group = Group(bench.kafka, _GROUP, SURVEY_RESPONSES.name)
    beginning = group.ends()
    records = as_records(received(range(total)))
    fill(bench.kafka, SURVEY_RESPONSES.name, records)
    ends = group.ends()
    source, rounds = bench.topic("floor.scoring", partitions=6), count(1)
    fill(bench.kafka, source, records)
    size = round(sum(len(each.value) for each in as_records(scored(range(1000)))) / 1000)
    cpu: list[dict[str, float | int | str]] = []

    async def ours() -> float:
        worker = await _worker(bench, total)
        group.put(beginning)
        await worker.start()
        measured = await worker.first_to_last(total, lambda: _over(worker.connection, group, ends))
        cpu.append(await worker.cpu_per(total))
        assert await worker.connection.fetchval("SELECT count(*) FROM responses") == total  # noqa: S101
        await worker.stop()
        return measured

    async def floor() -> float:
        target = f"{source}.{next(rounds)}"
        arguments = (bench.kafka, source, bench.topic(target, partitions=6), str(total), str(_FLOOR_BATCH), str(size))
        return last_number(await asyncio.to_thread(bench.run, "-m", "bench.floors.kafka_through", *arguments))

    measured_floor, measured = await bench.in_turns(floor, ours)
    figure = against_floor(
        "scoring",
        "consumed, stored, published",
        floor_name="aiokafka reads and writes as many bytes",
        floor=measured_floor,
        ours=measured,
        measured_in="events/s",
        red=_RED,
        goal=_GOAL,
        notes=cpu[-1],
    )

    worker = await _worker(bench, total)
    group.put(group.ends())
    await worker.start()

    async def take(first: int, number: int) -> None:
        fill(bench.kafka, SURVEY_RESPONSES.name, as_records(received(range(first, first + number))))
        now = group.ends()
        await worker.until(lambda: _over(worker.connection, group, now))

    figures = [figure, *await memory_figures("scoring", "scoring worker", bench, worker.process, take)]
    await worker.stop()
    return figures


async def _worker(bench: Bench, total: int) -> Worker:
    url = await bench.service_database("scoring")
    (port,) = free_ports(1)
    connection = await asyncpg.connect(url)
    await connection.execute(_KNOW_HALF, [customer_of(number) for number in range(0, total, 2)])
    return Worker(
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


async def _over(connection: asyncpg.Connection[asyncpg.Record], group: Group, ends: Sequence[int]) -> bool:
    if await asyncio.to_thread(group.done) != ends:
        return False
    return not await connection.fetchval("SELECT EXISTS (SELECT id FROM outbox ORDER BY id LIMIT 1)")
