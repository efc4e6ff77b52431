"""What stages run on: real servers with durable settings, started when first asked for, and processes to measure."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

import asyncpg
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.local.kafka import KafkaBroker
from deploy.local.ports import free_ports, is_open
from deploy.local.postgres import PostgresServer
from deploy.local.schemas import as_role, bootstrap
from deploy.local.settings import ROOT, inherited_environment
from libs.events.kafka import create_topics
from libs.events.migrate import upgrade

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bench.system import System
    from deploy.local.children import Child

_PASSWORD: Final = "bench"  # noqa: S105 - of a server that nobody else reaches, and that is thrown away
_READY_S: Final = 60.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Process:
    """A process under measurement."""

    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.popen.pid

    def cpu_seconds(self) -> float:
        """CPU time used so far, user and system."""
        return cpu_seconds(self.pid)

    def memory_mb(self, *, peak: bool = False) -> float:
        """Resident memory in megabytes of a million bytes, now or at its highest."""
        name = "VmHWM:" if peak else "VmRSS:"
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024 / 1_000_000
        raise LookupError(name)

    def forget_peak(self) -> None:
        """Let the peak of memory begin anew."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5", encoding="ascii")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, in order or not."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
            try:
                self.popen.wait(30)
            except subprocess.TimeoutExpired:
                self.popen.kill()
        self.popen.wait()


@dataclass(slots=True)
class Bench:
    """The servers and the measure of one run: how many rounds, and what share of the full amounts."""

    rounds: int
    scale: float
    """1.0 in a full run; a quick one does less of everything, and its figures are rougher."""
    say: Callable[[str], None]
    """Tells what is being done; shown beside the progress bar."""
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="otklik-bench-")))
    _postgres: tuple[PostgresServer, Child] | None = None
    _kafka: tuple[KafkaBroker, Child] | None = None
    _has_registry_topics: bool = False
    _system: System | None = None
    _processes: list[Process] = field(default_factory=list)
    _closers: list[Callable[[], None]] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def amount(self, full: int, *, at_least: int = 1) -> int:
        """How much of something to do in this run, where a full run does `full`."""
        return max(at_least, int(full * self.scale))

    # Servers

    @property
    def postgres(self) -> PostgresServer:
        """A durable PostgreSQL of this run's own."""
        if self._postgres is None:
            self.say("starting PostgreSQL")
            server = PostgresServer(
                folder=self.folder / "postgres", password=_PASSWORD, log=self.folder / "postgres.log"
            )
            self._postgres = (server, server.start())
        return self._postgres[0]

    @property
    def kafka(self) -> str:
        """The bootstrap servers of a Kafka of this run's own."""
        if self._kafka is None:
            self.say("starting Kafka")
            port, controller_port = free_ports(2)
            broker = KafkaBroker(
                folder=self.folder / "kafka", log=self.folder / "kafka.log", port=port, controller_port=controller_port
            )
            self._kafka = (broker, broker.start())
        return self._kafka[0].bootstrap_servers

    async def database(self) -> str:
        """The superuser's URL of a fresh database."""
        name = f"bench_{next(self._numbers)}"
        connection = await asyncpg.connect(self.postgres.dsn("postgres"))
        try:
            await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close()
        return self.postgres.dsn(name)

    async def service_database(self, service: str) -> str:
        """The URL of a fresh database with a service's role, schema and tables, as that role."""
        administrator = await self.database()
        await bootstrap(administrator, {service: service})
        url = as_role(administrator, service, service)
        await upgrade(url, ROOT / "services" / service / "migrations")
        return url

    def topic(self, name: str, *, partitions: int = 1) -> str:
        """A new topic whose name begins with `name`."""
        full = f"{name}.{next(self._numbers)}"
        admin = AdminClient({"bootstrap.servers": self.kafka})
        for made in admin.create_topics([NewTopic(full, num_partitions=partitions, replication_factor=1)]).values():
            made.result(30)
        return full

    async def make_registry_topics(self) -> None:
        """The topics of the registry, empty: a new broker, where an earlier stage left its events in the last one."""
        if self._kafka is not None and self._has_registry_topics:
            self._kafka[1].stop()
            self._kafka = None
            shutil.rmtree(self.folder / "kafka")
        await create_topics(self.kafka)
        self._has_registry_topics = True

    async def system(self) -> System:
        """The whole of Otklik, started when first asked for; stages share it."""
        if self._system is None:
            from bench.system import System  # noqa: PLC0415 - it stands on this module

            self._system = await System.start(self)
        return self._system

    # Processes

    def start(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Process:
        """`python arguments…` in the project's folder."""
        log = self.folder / f"process-{next(self._numbers)}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(
                (sys.executable, *arguments),
                cwd=ROOT,
                env={**inherited_environment(), "PYTHONUNBUFFERED": "1", **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        process = Process(popen, log)
        self._processes.append(process)
        return process

    async def start_serving(self, port: int, *arguments: str, environment: Mapping[str, str] | None = None) -> Process:
        """Like `start`, and wait until it listens on `port`."""
        process = self.start(*arguments, environment=environment)
        await self.until(process, lambda: is_open(port))
        return process

    async def until(self, process: Process, ready: Callable[[], bool], *, bound_s: float = _READY_S) -> None:
        """Wait for `ready` while `process` lives."""
        deadline = time.monotonic() + bound_s
        while not ready():
            if process.popen.poll() is not None or time.monotonic() > deadline:
                output = process.log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise RuntimeError(f"{process.popen.args!r} did not get ready:\n{output}")
            await asyncio.sleep(0.02)

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """`python arguments…` to its end; what it printed. Raises RuntimeError with its errors where it fails."""
        done = subprocess.run(
            (sys.executable, *arguments),
            cwd=ROOT,
            env={**inherited_environment(), **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{arguments!r} failed:\n{done.stderr[-2000:]}")
        return done.stdout

    async def in_turns(self, *contestants: Callable[[], Awaitable[float]]) -> list[list[float]]:
        """A B A B …: each contestant once a round, in turns who begins; what each measured, by contestant."""
        measured: list[list[float]] = [[] for _ in contestants]
        order = list(range(len(contestants)))
        for number in range(self.rounds):
            self.say(f"round {number + 1} of {self.rounds}")
            for place in order if number % 2 == 0 else reversed(order):
                measured[place].append(await contestants[place]())
        return measured

    def on_close(self, close: Callable[[], None]) -> None:
        """Call `close` at the end, before what still runs is killed."""
        self._closers.append(close)

    def close(self) -> None:
        """End everything, and remove what was written."""
        for close in self._closers:
            close()
        for process in self._processes:
            process.stop(signal.SIGKILL)
        for started in (self._kafka, self._postgres):
            if started is not None:
                started[1].stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def last_number(output: str) -> float:
    """The number on the last line that a floor printed."""
    lines: Sequence[str] = output.strip().splitlines()
    return float(lines[-1])
