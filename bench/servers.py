"""HTTP servers under load: any that answers 202, and a running ingest with its database."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from bench.deliveries import make_source
from bench.load import write_requests
from deploy.local.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.bench import Bench, Process

CONNECTIONS: Final = 64
_DRAINED_S: Final = 120.0
_MILLION: Final = 1_000_000
_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of the load generator told; `cpu_us` is the loaded process's CPU time for each request."""

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    own_cpu_share: float
    cpu_us: float


@dataclass(slots=True)
class Server:
    """A server and the process that it is."""

    bench: Bench
    process: Process
    port: int

    async def load(self, requests: Sequence[bytes], seconds: float, *, rate: float | None = None) -> Run:
        """Send `requests`, over and over, for `seconds`; RuntimeError where an answer was not 202."""
        file = self.bench.folder / f"requests-{self.port}.bin"
        write_requests(file, list(requests))
        arguments = [str(file), "--port", str(self.port), "--connections", str(CONNECTIONS), "--seconds", str(seconds)]
        if rate is not None:
            arguments += ["--rate", str(rate)]
        before = self.process.cpu_seconds()
        output = await asyncio.to_thread(self.bench.run, "-m", "bench.load", *arguments)
        used = self.process.cpu_seconds() - before
        said: dict[str, Any] = json.loads(output)
        if set(said["statuses"]) != {"202"}:
            raise RuntimeError(f"not all answers are 202: {said['statuses']}")
        return Run(
            requests=said["requests"],
            per_second=said["per_second"],
            p50_ms=said["p50_ms"],
            p99_ms=said["p99_ms"],
            own_cpu_share=said["own_cpu_share"],
            cpu_us=used / said["requests"] * _MILLION,
        )


@dataclass(slots=True)
class Ingest(Server):
    """A running ingest, its database, and how many deliveries it was the first time given and has accepted."""

    url: str
    accepted: int = 0

    @classmethod
    async def start(cls, bench: Bench, role: str, **environment: str) -> Ingest:
        """Start it over a fresh database and add the source."""
        url = await bench.service_database("ingest")
        [port] = free_ports(1)
        settings = {"INGEST_DATABASE_URL": url, "INGEST_PORT": str(port), **environment}
        process = await bench.start_serving(port, "-m", "services.ingest", role, environment=settings)
        await make_source(url, port)
        return cls(bench, process, port, url)

    async def accept(self, requests: Sequence[bytes], seconds: float, *, rate: float | None = None) -> Run:
        """Send deliveries that it does not know, each at most once."""
        done = await self.load(requests, seconds, rate=rate)
        if done.requests > len(requests):
            raise RuntimeError("faster than foreseen: deliveries were sent twice")
        self.accepted += done.requests
        return done

    async def check(self) -> None:
        """RuntimeError unless exactly the deliveries that it was told to accept are kept as accepted."""
        connection = await asyncpg.connect(self.url)
        try:
            kept = await connection.fetchval("SELECT count(*) FROM deliveries WHERE status = 'accepted'")
        finally:
            await connection.close()
        if kept != self.accepted:
            raise RuntimeError(f"{self.accepted} deliveries were accepted, and {kept} are kept")

    async def drained(self) -> None:
        """Wait until all is published."""
        connection = await asyncpg.connect(self.url)
        try:
            async with asyncio.timeout(_DRAINED_S):
                while await connection.fetchval("SELECT EXISTS (SELECT FROM outbox)"):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.05)
        finally:
            await connection.close()


def cpu_of_postgres(bench: Bench) -> float:
    """CPU seconds used so far by the server processes of the run's PostgreSQL that live."""
    master = (bench.postgres.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0]
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended just now
        if fields[1] == master:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS_PER_SECOND
