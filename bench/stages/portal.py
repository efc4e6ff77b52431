"""The portal's projections: scored responses read from Kafka into the stream of events and the counts of the day.

Measured is `python -m services.portal worker`, from the first batch that is committed until every offset is.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import asyncpg

from bench.bench import last_number
from bench.figures import against_floor
from bench.streams import Group, as_records, fill, scored
from bench.workers import Worker, memory_figures
from deploy.local.ports import free_ports
from libs.events.topics import SURVEY_SCORES

if TYPE_CHECKING:
    from bench.bench import Bench
    from bench.figures import Figure

_EVENTS: Final = 50_000
_FLOOR_BATCH: Final = 1_000
"""Of 500, 1,000 and 2,000 the floor's best."""
_RED, _GOAL = 0.3, 0.5
_GROUP: Final = "portal.events"
_SECRET: Final = "only-for-this-run-" * 3


async def run(bench: Bench) -> list[Figure]:
    """Events a second beside the floor's; memory of the worker."""
    await bench.make_registry_topics()
    total = bench.amount(_EVENTS)
    group = Group(bench.kafka, _GROUP, SURVEY_SCORES.name)
    beginning = group.ends()
    records = as_records(scored(range(total)))
    fill(bench.kafka, SURVEY_SCORES.name, records)
    ends = group.ends()
    source = bench.topic("floor.portal", partitions=6)
    fill(bench.kafka, source, records)
    database = await bench.database()
    cpu: list[dict[str, float | int | str]] = []

    async def done(until: list[int]) -> bool:
        return await asyncio.to_thread(group.done) == until

    async def ours() -> float:
        worker = await _worker(bench)
        group.put(beginning)
        await worker.start()
        measured = await worker.first_to_last(total, lambda: done(ends))
        cpu.append(await worker.cpu_per(total))
        assert await worker.connection.fetchval("SELECT count(*) FROM events") == total  # noqa: S101
        await worker.stop()
        return measured

    async def floor() -> float:
        arguments = (bench.kafka, source, database, str(total), str(_FLOOR_BATCH))
        return last_number(await asyncio.to_thread(bench.run, "-m", "bench.floors.kafka_to_table", *arguments))

    measured_floor, measured = await bench.in_turns(floor, ours)
    figure = against_floor(
        "portal",
        "events projected",
        floor_name="consume, decode, one upsert a batch",
        floor=measured_floor,
        ours=measured,
        measured_in="events/s",
        red=_RED,
        goal=_GOAL,
        notes=cpu[-1],
    )

    worker = await _worker(bench)
    group.put(group.ends())
    await worker.start()

    async def take(first: int, number: int) -> None:
        fill(bench.kafka, SURVEY_SCORES.name, as_records(scored(range(first, first + number))))
        now = group.ends()
        await worker.until(lambda: done(now))

    figures = [figure, *await memory_figures("portal", "portal worker", bench, worker.process, take)]
    await worker.stop()
    return figures


async def _worker(bench: Bench) -> Worker:
    url = await bench.service_database("portal")
    (port,) = free_ports(1)
    return Worker(
        bench,
        await asyncpg.connect(url),
        "portal",
        port,
        {
            "PORTAL_DATABASE_URL": url,
            "PORTAL_PORT": str(port),
            "PORTAL_SESSION_SECRET": _SECRET,
            "PORTAL_CASEWORK_KEY": _SECRET,
            "PORTAL_SCORING_KEY": _SECRET,
            "PORTAL_INGEST_KEY": _SECRET,
            "PORTAL_NOTIFY_KEY": _SECRET,
            "OTKLIK_KAFKA_BOOTSTRAP_SERVERS": bench.kafka,
        },
    )
