"""Workers under measurement: from the first batch to the last, CPU time per event, memory."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from bench.bench import cpu_seconds
from bench.figures import Better, Figure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping
    from typing import TypeAlias

    import asyncpg

    from bench.bench import Bench, Process

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]

_BOUND_S: Final = 300.0
_LOADED: Final = 50_000
_GROWN: Final = 100_000
_MEMORY_RED_MB, _MEMORY_GOAL_MB = 250.0, 130.0
_GROWTH_RED, _GROWTH_GOAL = 10.0, 2.0


class Worker:
    """`python -m services.<name> worker`, and the CPU time of it and of its connections to the database."""

    def __init__(
        self, bench: Bench, connection: Connection, service: str, port: int, environment: Mapping[str, str]
    ) -> None:
        """`connection` is one of our own to the worker's database, as its role."""
        self.connection: Final = connection
        self._bench = bench
        self._service = service
        self._port = port
        self._environment = environment
        self._process: Process | None = None
        self._own = 0.0
        self._database = 0.0

    @property
    def process(self) -> Process:
        """The running process."""
        if self._process is None:
            raise RuntimeError("not started")
        return self._process

    async def start(self) -> None:
        """Run it, until it listens."""
        self._process = await self._bench.start_serving(
            self._port, "-m", f"services.{self._service}", "worker", environment=self._environment
        )

    async def stop(self) -> None:
        """End it in order: its consumers leave their groups."""
        self.process.stop()
        await self.connection.close()

    async def first_to_last(self, total: int, over: Callable[[], Coroutine[None, None, bool]]) -> float:
        """How many of `total` a second, from the first that are in the inbox until it is over.

        The first ones are left out: they carry the start of the process and its first plans.
        """
        deadline = time.monotonic() + _BOUND_S
        while not (first := await self.connection.fetchval("SELECT count(*) FROM inbox")):
            self.check(in_time=time.monotonic() < deadline)
            await asyncio.sleep(0.005)
        began = time.perf_counter()
        await self.begin()
        await self.until(over)
        return float((total - first) / (time.perf_counter() - began))

    async def until(self, over: Callable[[], Coroutine[None, None, bool]]) -> None:
        """Wait until it is over."""
        deadline = time.monotonic() + _BOUND_S
        while not await over():
            self.check(in_time=time.monotonic() < deadline)
            await asyncio.sleep(0.03)

    def check(self, *, in_time: bool) -> None:
        """Raise with what it said last, unless it lives and is in time."""
        if self.process.popen.poll() is not None or not in_time:
            output = self.process.log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise RuntimeError(f"{self.process.popen.args!r} did not finish:\n{output}")

    async def begin(self) -> None:
        """Count CPU time from here on."""
        self._own, self._database = self.process.cpu_seconds(), await self._database_seconds()

    async def cpu_per(self, events: int) -> dict[str, float | int | str]:
        """Microseconds of CPU per event since then: the worker's own, and those of its database connections."""
        own = self.process.cpu_seconds() - self._own
        database = await self._database_seconds() - self._database
        return {"cpu_us": round(own / events * 1e6, 1), "database_cpu_us": round(database / events * 1e6, 1)}

    async def _database_seconds(self) -> float:
        rows = await self.connection.fetch(
            "SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()",
            self._service,
        )
        return sum(cpu_seconds(row["pid"]) for row in rows)


async def memory_figures(
    stage: str, name: str, bench: Bench, process: Process, take: Callable[[int, int], Awaitable[None]]
) -> list[Figure]:
    """What a worker needs when it has taken events, and how much more after as many again as twice that.

    `take` gives it so many events from a number on, and waits until they are done.
    """
    loaded, grown = bench.amount(_LOADED), bench.amount(_GROWN)
    bench.say("memory")
    await take(10_000_000, loaded)
    before = process.memory_mb()
    await take(20_000_000, grown)
    after = process.memory_mb()
    figures = [
        Figure(
            stage=stage,
            name=f"memory of the {name}, loaded",
            unit="MB",
            rounds=[process.memory_mb(peak=True)],
            red=_MEMORY_RED_MB,
            goal=_MEMORY_GOAL_MB,
            better=Better.LOWER,
        )
    ]
    if bench.scale < 1:
        # After few events a process has not yet as much memory as it will keep: nothing follows from what it gains.
        return figures
    figures.append(
        Figure(
            stage=stage,
            name="its growth per 100,000 events",
            unit="%",
            rounds=[(after - before) / before * 100],
            red=_GROWTH_RED,
            goal=_GROWTH_GOAL,
            better=Better.LOWER,
            notes={"before_mb": round(before, 1), "after_mb": round(after, 1)},
        )
    )
    return figures
