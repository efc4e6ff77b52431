"""Ingest: signed deliveries of 1 KB to a durable `202`, one process, beside a bare server that only checks an HMAC.

The process measured is `python -m services.ingest api`: the relay is a stage of its own. What the relay in the same
process and a Kafka on the same two cores cost is shown as well (`all`). Only one server has load at a time.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from statistics import median
from tempfile import TemporaryFile
from time import perf_counter
from typing import TYPE_CHECKING, Final

from bench.deliveries import KEY, Deliveries
from bench.figures import Better, Figure, against_floor
from bench.hostile import hostility
from bench.servers import CONNECTIONS, Ingest, Server, cpu_of_postgres
from deploy.local.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.bench import Bench

STAGE: Final = "ingest"
FLOOR: Final = "bare ASGI + HMAC"
_SECONDS: Final = 4.0
_SHORTEST_S: Final = 0.8
_FASTEST: Final = 20_000
_NAIVE_FASTEST: Final = 3_000
_REPEATED: Final = 2_000
_PER_EVENTS: Final = 100_000
_MILLION: Final = 1_000_000
_PAGE: Final = 8_192
_FLUSHES: Final = 200


@dataclass(slots=True)
class Course:
    """The floor, the deliveries and the length of each load in one run."""

    bench: Bench
    floor: Server
    deliveries: Deliveries
    seconds: float

    def new(self, fastest: float = _FASTEST) -> list[bytes]:
        """As many new deliveries as a server at `fastest` a second can take."""
        return self.deliveries.make(int(fastest * self.seconds) + CONNECTIONS)


@dataclass(slots=True)
class Costs:
    """What is noted beside the throughput, by round."""

    floor_us: list[float] = field(default_factory=list)
    ours_us: list[float] = field(default_factory=list)
    postgres_us: list[float] = field(default_factory=list)
    memory: list[tuple[int, float]] = field(default_factory=list)

    def notes(self) -> dict[str, float | int | str]:
        """CPU time per request, in microseconds."""
        return {
            "floor_cpu_us": round(median(self.floor_us), 1),
            "our_cpu_us": round(median(self.ours_us), 1),
            "postgresql_cpu_us": round(median(self.postgres_us), 1),
        }

    def growth_percent(self) -> float:
        """By how much the memory grew for each 100,000 events, over all rounds."""
        (events_before, before), (events_after, after) = self.memory[0], self.memory[-1]
        return (after / before - 1) * 100 / ((events_after - events_before) / _PER_EVENTS)


async def run(bench: Bench) -> list[Figure]:
    """All figures of this stage."""
    floor = await _floor(bench, "http_hmac", KEY.hex())
    course = Course(bench, floor, Deliveries(), max(_SHORTEST_S, _SECONDS * bench.scale))
    ingest = await Ingest.start(bench, "api")
    bench.say("warming up")
    requests = course.new()
    done = await ingest.accept(requests, course.seconds)
    known = requests[: min(done.requests, _REPEATED)]
    figures = await _throughput(course, ingest, known)
    rate = median(figures[0].ours) / 4
    figures += await _latency(course, ingest, rate)
    figures.append(await _among_hostile(course, ingest, rate))
    await ingest.check()
    ingest.process.stop()
    figures += [await _load_generator(course), await _naive(course)]
    if bench.scale >= 1:
        figures.append(await _with_relay(course))
    floor.process.stop()
    return figures


async def _floor(bench: Bench, name: str, *arguments: str) -> Server:
    [port] = free_ports(1)
    return Server(bench, await bench.start_serving(port, "-m", f"bench.floors.{name}", str(port), *arguments), port)


async def _throughput(course: Course, ingest: Ingest, known: Sequence[bytes]) -> list[Figure]:
    """Durable requests a second, the same of duplicates, and what the process keeps in memory."""
    costs = Costs(memory=[(ingest.accepted, ingest.process.memory_mb())])

    async def bare() -> float:
        done = await course.floor.load(course.new(), course.seconds)
        costs.floor_us.append(done.cpu_us)
        return done.per_second

    async def durable() -> float:
        requests = course.new()
        before = cpu_of_postgres(course.bench)
        done = await ingest.accept(requests, course.seconds)
        costs.ours_us.append(done.cpu_us)
        costs.postgres_us.append((cpu_of_postgres(course.bench) - before) / done.requests * _MILLION)
        costs.memory.append((ingest.accepted, ingest.process.memory_mb()))
        return done.per_second

    async def duplicates() -> float:
        return (await ingest.load(known, course.seconds)).per_second

    floor, ours, again = await course.bench.in_turns(bare, durable, duplicates)
    kept = [megabytes for _, megabytes in costs.memory]
    return [
        against_floor(
            STAGE,
            "durable 202, one process, 64 connections",
            floor_name=FLOOR,
            floor=floor,
            ours=ours,
            measured_in="/s",
            red=0.25,
            goal=0.40,
            notes=costs.notes(),
        ),
        against_floor(
            STAGE,
            "storm of duplicates over new ones",
            floor_name="new deliveries",
            floor=ours,
            ours=again,
            measured_in="/s",
            red=0.5,
            goal=0.8,
        ),
        Figure(
            stage=STAGE,
            name="memory, loaded",
            unit="MB",
            rounds=kept,
            red=250,
            goal=130,
            better=Better.LOWER,
            notes={"peak_mb": round(ingest.process.memory_mb(peak=True), 1)},
        ),
        Figure(
            stage=STAGE,
            name="growth of memory per 100,000 events",
            unit="%",
            rounds=[costs.growth_percent()],
            red=10,
            goal=2,
            better=Better.LOWER,
            notes={"events": costs.memory[-1][0] - costs.memory[0][0]},
        ),
    ]


async def _latency(course: Course, ingest: Ingest, rate: float) -> list[Figure]:
    """How long a delivery takes while a quarter of what is possible arrives, beside the floor at that same rate."""
    floor_p99: list[float] = []
    our_p99: list[float] = []
    flushes: list[float] = []

    async def bare() -> float:
        flushes.append(await asyncio.to_thread(_flush_ms, course.bench.folder))
        done = await course.floor.load(course.new(rate), course.seconds, rate=rate)
        floor_p99.append(done.p99_ms)
        return done.p50_ms

    async def durable() -> float:
        done = await ingest.accept(course.new(rate), course.seconds, rate=rate)
        our_p99.append(done.p99_ms)
        return done.p50_ms

    floor, ours = await course.bench.in_turns(bare, durable)
    against_a_flush = against_floor(
        STAGE,
        "the same p50, beside the floor's and one flush of this disk",
        floor_name=f"{FLOOR}, and a flush",
        floor=[bare_ms + flush_ms for bare_ms, flush_ms in zip(floor, flushes, strict=True)],
        ours=ours,
        measured_in="ms",
        better=Better.LOWER,
        notes={"flush_ms": round(median(flushes), 2)},
    )
    return [
        against_floor(
            STAGE,
            f"latency at a quarter of capacity, {name}",
            floor_name=FLOOR,
            floor=bare_ms,
            ours=our_ms,
            measured_in="ms",
            red=red,
            goal=goal,
            better=Better.LOWER,
            notes={"per_second": round(rate)},
        )
        for name, bare_ms, our_ms, red, goal in (("p50", floor, ours, 4, 2), ("p99", floor_p99, our_p99, 6, 3))
    ] + [against_a_flush]


def _flush_ms(folder: Path) -> float:
    """How long this disk takes for what no commit does without: a page of a log that has its size already, flushed."""
    page = bytes(_PAGE)
    taken: list[float] = []
    with TemporaryFile(dir=folder, buffering=0) as log:
        log.write(page * _FLUSHES)
        os.fsync(log.fileno())
        log.seek(0)
        for _ in range(_FLUSHES):
            begun = perf_counter()
            log.write(page)
            os.fdatasync(log.fileno())
            taken.append((perf_counter() - begun) * 1000)
    return median(taken)


async def _among_hostile(course: Course, ingest: Ingest, rate: float) -> Figure:
    """The p99 of good deliveries while a tenth of all requests is hostile: each over a connection of its own."""
    answers: dict[str, int] = {}

    async def clean() -> float:
        return (await ingest.accept(course.new(rate), course.seconds, rate=rate)).p99_ms

    async def among_hostile() -> float:
        async with hostility(ingest.port, rate / 9) as given:
            p99_ms = (await ingest.accept(course.new(rate), course.seconds, rate=rate)).p99_ms
        for status, amount in given.items():
            answers[status] = answers.get(status, 0) + amount
        return p99_ms

    floor, ours = await course.bench.in_turns(clean, among_hostile)
    return against_floor(
        STAGE,
        "p99 of good deliveries, a tenth hostile",
        floor_name="clean p99",
        floor=floor,
        ours=ours,
        measured_in="ms",
        red=4,
        goal=2,
        better=Better.LOWER,
        notes={f"hostile_{status}": amount for status, amount in sorted(answers.items())},
    )


async def _load_generator(course: Course) -> Figure:
    """What the load generator sends to a server that does nothing: it must not be what is measured elsewhere."""
    answering = await _floor(course.bench, "http_answer")
    share: list[float] = []

    async def answered() -> float:
        done = await answering.load(course.new(), course.seconds)
        share.append(done.own_cpu_share)
        return done.per_second

    [rounds] = await course.bench.in_turns(answered)
    answering.process.stop()
    return Figure(
        stage=STAGE,
        name="the load generator upon a server that only answers",
        unit="/s",
        rounds=rounds,
        notes={"its_cpu_share": round(median(share), 2)},
    )


async def _naive(course: Course) -> Figure:
    """FastAPI, Pydantic, ORM, a transaction per request."""
    naive = await _floor(course.bench, "naive_app", KEY.hex(), await course.bench.service_database("ingest"))

    async def bare() -> float:
        return (await course.floor.load(course.new(), course.seconds)).per_second

    async def ours() -> float:
        return (await naive.load(course.new(_NAIVE_FASTEST), course.seconds)).per_second

    floor, measured = await course.bench.in_turns(bare, ours)
    naive.process.stop()
    return against_floor(
        STAGE,
        "naive FastAPI + ORM doing the same",
        floor_name=FLOOR,
        floor=floor,
        ours=measured,
        measured_in="/s",
    )


async def _with_relay(course: Course) -> Figure:
    """One machine's deployment: the relay in the same process, Kafka and PostgreSQL on the same two cores."""
    broker = course.bench.kafka
    await course.bench.make_registry_topics()
    ingest = await Ingest.start(course.bench, "all", OTKLIK_KAFKA_BOOTSTRAP_SERVERS=broker)

    async def bare() -> float:
        return (await course.floor.load(course.new(), course.seconds)).per_second

    async def ours() -> float:
        done = await ingest.accept(course.new(), course.seconds)
        await ingest.drained()
        return done.per_second

    floor, measured = await course.bench.in_turns(bare, ours)
    await ingest.check()
    ingest.process.stop()
    return against_floor(
        STAGE,
        "durable 202 with relay and Kafka beside it (`all`)",
        floor_name=FLOOR,
        floor=floor,
        ours=measured,
        measured_in="/s",
    )
