"""Casework: detractors' answers from Kafka to cases with timelines, clocks, inbox, outbox and offsets."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING, Final

import asyncpg
from confluent_kafka import Consumer, TopicPartition

from bench.bench import last_number
from bench.company import answers_of_detractors, hire, hold_relay, let_relay, publish, server_cpu_seconds
from bench.figures import Better, Figure, against_floor
from deploy.local.ports import free_ports
from libs.events.topics import SURVEY_SCORES

if TYPE_CHECKING:
    from bench.bench import Bench, Process

_CASES: Final = 20_000
_BATCH: Final = 500
_BOUND_S: Final = 300.0
_GROWTH_OVER: Final = 100_000
_ENOUGH_FOR_GROWTH: Final = 40_000
"""Of fewer events, what the allocator does once would be taken for growth."""


async def run(bench: Bench) -> list[Figure]:
    """Cases per second beside the same rows by one statement per 500, and the memory of the worker."""
    await bench.make_registry_topics()
    amount = bench.amount(_CASES, at_least=2_000) // _BATCH * _BATCH
    floor_url, url = await bench.service_database("casework"), await bench.service_database("casework")
    for each in (floor_url, url):
        connection = await asyncpg.connect(each)
        await hire(connection)
        await connection.close()
    floor_first = 0

    async def floor() -> float:
        nonlocal floor_first
        floor_first += amount
        return last_number(bench.run("-m", "bench.floors.case_rows", floor_url, str(amount), str(floor_first)))

    intake = await _Intake.begin(bench, url)
    try:
        await intake.take(max(2_000, amount // 5))  # what is made at first use is made
        raw, ours = await bench.in_turns(floor, lambda: intake.take(amount))
        growth = intake.growth()
        await intake.let_relay()
        relayed = await intake.take(amount)
        until_published = await intake.publish_all()
        figures = [
            against_floor(
                "casework",
                "cases from Kafka",
                floor_name="the same rows, one statement per 500",
                floor=raw,
                ours=ours,
                measured_in="cases/s",
                red=0.25,
                goal=0.40,
                notes={
                    "our CPU, µs per case": intake.own_cpu,
                    "PostgreSQL's CPU, µs per case": intake.server_cpu,
                    "cases/s with the relay in the same process": relayed,
                    "seconds from the last case to the last event": until_published,
                    "MB after each round": ", ".join(f"{memory:.0f}" for _, memory in intake.resident),
                },
            ),
            intake.memory(),
            *growth,
        ]
        await intake.check()
    finally:
        await intake.end()
    return figures


class _Intake:
    """The worker on its database, and what it has been given."""

    def __init__(self, bench: Bench, url: str, worker: Process) -> None:
        self._bench = bench
        self._url = url
        self._worker = worker
        self._given = 0
        self.resident: list[tuple[int, float]] = []
        self.own_cpu = 0.0
        self.server_cpu = 0.0
        self.holder: asyncpg.Connection
        self._watching: asyncpg.Connection

    @classmethod
    async def begin(cls, bench: Bench, url: str) -> _Intake:
        (port,) = free_ports(1)
        environment = {
            "CASEWORK_DATABASE_URL": url,
            "CASEWORK_PORT": str(port),
            "OTKLIK_KAFKA_BOOTSTRAP_SERVERS": bench.kafka,
        }
        holder, watching = await asyncpg.connect(url), await asyncpg.connect(url)
        await hold_relay(holder)
        worker = await bench.start_serving(port, "-m", "services.casework", "worker", environment=environment)
        intake = cls(bench, url, worker)
        intake.holder, intake._watching = holder, watching
        return intake

    async def take(self, amount: int) -> float:
        """Give the worker so many answers; cases per second, all of them waiting when it begins."""
        records = answers_of_detractors(self._given, amount)
        # Stopped for less than a session of Kafka's, it begins with the whole backlog.
        self._worker.popen.send_signal(signal.SIGSTOP)
        publish(self._bench.kafka, SURVEY_SCORES.name, records)
        own, server = self._worker.cpu_seconds(), server_cpu_seconds(self._bench)
        began = time.perf_counter()
        self._worker.popen.send_signal(signal.SIGCONT)
        self._given += amount
        while await self._running_cases() < self._given:
            if time.perf_counter() - began > _BOUND_S or self._worker.popen.poll() is not None:
                raise RuntimeError(f"not done: {self._worker.log.read_text(encoding='utf-8')[-2000:]}")
            await asyncio.sleep(0.02)
        took = time.perf_counter() - began
        self.own_cpu = (self._worker.cpu_seconds() - own) / amount * 1e6
        self.server_cpu = (server_cpu_seconds(self._bench) - server) / amount * 1e6
        self.resident.append((self._given, self._worker.memory_mb()))
        return amount / took

    async def let_relay(self) -> None:
        """Let the worker's own relay work, from an empty outbox on."""
        await self._watching.execute("TRUNCATE outbox")
        await let_relay(self.holder)

    async def publish_all(self) -> float:
        """Wait until the outbox is empty; how long it took."""
        began = time.perf_counter()
        while await self._watching.fetchval("SELECT EXISTS (SELECT FROM outbox)"):
            if time.perf_counter() - began > _BOUND_S:
                raise RuntimeError("the outbox does not drain")
            await asyncio.sleep(0.2)  # the question reads what is deleted and not yet vacuumed, so not too often
        return time.perf_counter() - began

    def memory(self) -> Figure:
        """The worker's memory at its highest, its relay's included."""
        return Figure(
            stage="casework",
            name="memory of the worker, at its highest",
            unit="MB",
            rounds=[self._worker.memory_mb(peak=True)],
            red=250,
            goal=130,
            better=Better.LOWER,
        )

    def growth(self) -> list[Figure]:
        """How the worker's memory grew after its first full round."""
        (first, before), (last, after) = self.resident[1], self.resident[-1]
        if last - first < _ENOUGH_FOR_GROWTH:
            return []
        return [
            Figure(
                stage="casework",
                name="growth of its memory per 100,000 events",
                unit="%",
                rounds=[max(0.0, after / before - 1) * 100 * _GROWTH_OVER / (last - first)],
                red=10,
                goal=2,
                better=Better.LOWER,
                notes={"events": last - first, "MB before": before, "MB after": after},
            )
        ]

    async def check(self) -> None:
        """Everything is there once, and the offsets are behind it."""
        counted = await self._watching.fetchrow(
            """
            SELECT (SELECT count(*) FROM cases) AS cases, (SELECT count(*) FROM answers) AS answers,
                   (SELECT count(*) FROM timeline) AS lines, (SELECT count(*) FROM inbox) AS handled,
                   (SELECT COALESCE(sum(cardinality(signals)), 0) FROM cases) AS signs
            """
        )
        # Opened and assigned, and where a sign was shown (a key customer's low score), what became of it.
        signs = counted["signs"]
        expected = (self._given, self._given, 2 * self._given + signs, self._given, signs)
        if tuple(counted) != expected:
            raise RuntimeError(f"{tuple(counted)} and not {expected}")
        consumer = Consumer({"bootstrap.servers": self._bench.kafka, "group.id": "casework.scores"})
        places = [TopicPartition(SURVEY_SCORES.name, number) for number in range(SURVEY_SCORES.partitions)]
        committed = sum(max(0, place.offset) for place in consumer.committed(places, timeout=10))
        consumer.close()
        if committed != self._given:
            raise RuntimeError(f"offsets are at {committed} of {self._given}")

    async def _running_cases(self) -> int:
        return await self._watching.fetchval("SELECT COALESCE(sum(running_cases), 0) FROM agent_loads") or 0

    async def end(self) -> None:
        await self.holder.close()
        await self._watching.close()
        self._worker.stop()
