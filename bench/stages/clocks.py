"""Clocks: many due at once, and many each second."""

from __future__ import annotations

import asyncio
import signal
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import asyncpg

from bench.bench import last_number
from bench.company import fill_due_cases, hire, hold_relay, server_cpu_seconds
from bench.figures import Better, Figure, against_floor
from deploy.local.ports import free_ports

if TYPE_CHECKING:
    from bench.bench import Bench, Process

_DUE: Final = 100_000
_A_SECOND: Final = 1_000
_SECONDS: Final = 10
_SOON: Final = timedelta(seconds=2)
_BOUND_S: Final = 120.0
_IN_TRANSACTION: Final = """
    SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'casework' AND xact_start IS NOT NULL
                                                  AND datname = current_database())
"""
_BEGIN_AT: Final = """
    UPDATE cases SET fires_at = due, first_contact_due_at = due
      FROM (SELECT id, CAST($1 AS timestamptz) + row_number() OVER (ORDER BY fires_at) * CAST($2 AS interval) AS due
              FROM cases) AS ordered
     WHERE ordered.id = cases.id
"""
_EVENTS_EACH: Final = 2
"""A breach and the escalation that follows from it."""


async def run(bench: Bench) -> list[Figure]:
    """Clocks a second beside raw claims of 100, and how late they are at 1,000 a second."""
    await bench.make_registry_topics()
    amount = bench.amount(_DUE)
    floor_url, url = await bench.service_database("casework"), await bench.service_database("casework")
    clocks = await _Clocks.begin(bench, url)
    raw_connection = await asyncpg.connect(floor_url)
    await hire(raw_connection)

    async def floor() -> float:
        await _empty(raw_connection)
        await fill_due_cases(raw_connection, amount, since=datetime.now(UTC) - timedelta(seconds=1))
        return last_number(bench.run("-m", "bench.floors.clock_rows", floor_url))

    try:
        await clocks.fire(min(amount, 5_000))  # what is made at first use is made
        raw, ours = await bench.in_turns(floor, lambda: clocks.fire(amount))
        late = [await clocks.late_at(_A_SECOND, bench.amount(_SECONDS, at_least=3)) for _ in range(bench.rounds)]
    finally:
        await raw_connection.close()
        await clocks.end()
    return [
        against_floor(
            "clocks",
            f"{amount:,} due at once".replace(",", "\u202f"),
            floor_name="claimed 100 a transaction, one update, one event",
            floor=raw,
            ours=ours,
            measured_in="clocks/s",
            red=0.25,
            goal=0.50,
            notes={"our CPU, µs per clock": clocks.own_cpu, "PostgreSQL's CPU, µs per clock": clocks.server_cpu},
        ),
        Figure(
            stage="clocks",
            name="latest of 1\u202f000 due a second",
            unit="s late",
            rounds=late,
            red=2.0,
            goal=1.0,
            better=Better.LOWER,
        ),
    ]


class _Clocks:
    """The worker on its database."""

    def __init__(self, bench: Bench, worker: Process) -> None:
        self._bench = bench
        self._worker = worker
        self.own_cpu = 0.0
        self.server_cpu = 0.0
        self.holder: asyncpg.Connection
        self._watching: asyncpg.Connection

    @classmethod
    async def begin(cls, bench: Bench, url: str) -> _Clocks:
        (port,) = free_ports(1)
        environment = {
            "CASEWORK_DATABASE_URL": url,
            "CASEWORK_PORT": str(port),
            "OTKLIK_KAFKA_BOOTSTRAP_SERVERS": bench.kafka,
        }
        holder, watching = await asyncpg.connect(url), await asyncpg.connect(url)
        await hold_relay(holder)
        await hire(watching)
        worker = await bench.start_serving(port, "-m", "services.casework", "worker", environment=environment)
        clocks = cls(bench, worker)
        clocks.holder, clocks._watching = holder, watching
        return clocks

    async def fire(self, amount: int) -> float:
        """Let so many clocks be due at once; how many a second have breached, escalated and been told of."""
        # The clock loop looks once a second. Stopped meanwhile, it finds all of them when it goes on.
        await self._stop_between_transactions()
        await _empty(self._watching)
        await fill_due_cases(self._watching, amount, since=datetime.now(UTC) - timedelta(seconds=1))
        told = await self._told()
        own, server = self._worker.cpu_seconds(), server_cpu_seconds(self._bench)
        began = time.perf_counter()
        self._worker.popen.send_signal(signal.SIGCONT)
        while await self._told() < told + _EVENTS_EACH * amount:
            self._see_that_it_lives(began)
            await asyncio.sleep(0.02)
        took = time.perf_counter() - began
        self.own_cpu = (self._worker.cpu_seconds() - own) / amount * 1e6
        self.server_cpu = (server_cpu_seconds(self._bench) - server) / amount * 1e6
        await self._check(amount)
        return amount / took

    async def _stop_between_transactions(self) -> None:
        """Stop the worker where it holds nothing that the tables are emptied under."""
        while True:
            self._worker.popen.send_signal(signal.SIGSTOP)
            await asyncio.sleep(0.01)
            if not await self._watching.fetchval(_IN_TRANSACTION):
                return
            self._worker.popen.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.01)

    async def late_at(self, a_second: int, seconds: int) -> float:
        """How late the latest clock was, seen from outside: due, and not yet told of."""
        await _empty(self._watching)
        amount, every = a_second * seconds, timedelta(seconds=1 / a_second)
        # In the future while the table is filled, however long that takes; then moved to begin soon.
        await fill_due_cases(self._watching, amount, since=datetime.now(UTC) + timedelta(hours=1), every=every)
        since = datetime.now(UTC) + _SOON
        await self._watching.execute(_BEGIN_AT, since, every)
        told, began = await self._told(), time.perf_counter()
        latest = timedelta()
        fired = 0
        while fired < amount:
            self._see_that_it_lives(began)
            now = datetime.now(UTC)
            fired = (await self._told() - told) // _EVENTS_EACH
            latest = max(latest, now - (since + fired * every))
            await asyncio.sleep(0.01)
        await self._check(amount)
        return latest.total_seconds()

    async def _told(self) -> int:
        # Nobody takes anything out, so the highest number counts what was put in.
        number: int | None = await self._watching.fetchval("SELECT max(id) FROM outbox")
        if number is None:
            number = await self._watching.fetchval(
                "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM outbox_id_seq"
            )
        return number or 0

    async def _check(self, amount: int) -> None:
        """Each clock once: breached, escalated, both on the timeline, both told."""
        counted = await self._watching.fetchrow(
            """
            SELECT (SELECT count(*) FROM cases WHERE first_contact_stage = 'breached' AND level = 'management')
                   AS escalated,
                   (SELECT count(*) FROM timeline WHERE kind IN ('clock_breached', 'escalated')) AS lines,
                   (SELECT count(*) FROM outbox) AS events
            """
        )
        if tuple(counted) != (amount, _EVENTS_EACH * amount, _EVENTS_EACH * amount):
            raise RuntimeError(f"of {amount} clocks: {tuple(counted)}")

    def _see_that_it_lives(self, began: float) -> None:
        if time.perf_counter() - began > _BOUND_S or self._worker.popen.poll() is not None:
            raise RuntimeError(f"not done: {self._worker.log.read_text(encoding='utf-8')[-2000:]}")

    async def end(self) -> None:
        await self.holder.close()
        await self._watching.close()
        self._worker.stop()


async def _empty(connection: asyncpg.Connection) -> None:
    await connection.execute("TRUNCATE cases, timeline, outbox CASCADE")
