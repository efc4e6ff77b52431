"""The whole of Otklik under measurement: `otklik up` over a folder of this run's own, seen from outside."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import httpx
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench.mail_sink import taken
from bench.processes import family_cpu_seconds
from deploy.local.ports import free_ports, is_open
from deploy.local.postgres import PostgresServer
from deploy.local.running import Addresses, of_running_stack
from deploy.local.schemas import DATABASE
from deploy.local.secrets_file import load_or_make
from deploy.local.settings import SERVICES, Ports
from libs.events.database import Database
from libs.webapi.keys import create_key

if TYPE_CHECKING:
    from pathlib import Path

    from bench.bench import Bench, Process

_START_S: Final = 120.0
_SCOPES: Final[dict[str, tuple[str, ...]]] = {
    "ingest": ("sources:read", "sources:write"),
    "scoring": ("customers:read", "customers:write", "rules:read", "rules:write"),
    "casework": ("cases:read", "settings:read", "settings:write"),
}
PARTS: Final = (*SERVICES, "postgres", "kafka")


@dataclass(slots=True)
class System:
    """A running system, its addresses, and keys to it."""

    folder: Path
    ports: Ports
    addresses: Addresses
    sink_port: int
    _supervisor: Process
    _clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)

    @classmethod
    async def start(cls, bench: Bench) -> System:
        """Start everything, with a mail server that counts, and wait until it serves."""
        bench.say("starting the whole system")
        ports, (sink_port,) = Ports.random(), free_ports(1)
        sink = bench.start("-m", "bench.mail_sink", str(sink_port))
        await bench.until(sink, lambda: is_open(sink_port))
        folder = bench.folder / "system"
        environment = {
            "OTKLIK_SMTP_URL": f"smtp://127.0.0.1:{sink_port}",
            "OTKLIK_DATABASE_URL": "",
            "OTKLIK_KAFKA_BOOTSTRAP_SERVERS": "",
            **{Ports.setting(name): str(ports.of(name)) for name in Ports.model_fields},
        }
        process = bench.start("-m", "deploy.cli", "up", "--data-dir", str(folder), environment=environment)
        bench.on_close(lambda: process.stop(signal.SIGTERM))
        await bench.until(process, lambda: of_running_stack(folder) is not None, bound_s=_START_S)
        addresses = of_running_stack(folder)
        assert addresses is not None  # noqa: S101 - it was there a moment ago
        return cls(folder, ports, addresses, sink_port, process)

    @property
    def administrator(self) -> str:
        """The superuser's URL, who sees all schemas."""
        password = load_or_make(self.folder / "secrets.json", roles=SERVICES).postgres
        return PostgresServer(folder=self.folder / "postgres", password=password, log=self.folder / "postgres.log").dsn(
            DATABASE
        )

    async def rows(self, statement: str) -> list[Any]:
        """What a statement finds, over all schemas."""
        connection = await asyncpg.connect(self.administrator)
        try:
            return list(await connection.fetch(statement))
        finally:
            await connection.close()

    async def key(self, service: str) -> str:
        """A new API key."""
        database = Database.connect(self.addresses.databases[service], pool_size=1)
        try:
            async with database.transaction() as tx:
                return await create_key(tx, name="bench", scopes=_SCOPES[service])
        finally:
            await database.close()

    async def client(self, service: str) -> httpx.AsyncClient:
        """Speaks to a service with a key of its own; close it."""
        headers = {"Authorization": f"Bearer {await self.key(service)}"}
        return httpx.AsyncClient(base_url=self.addresses.urls[service], headers=headers, timeout=60, trust_env=False)

    def make_topic(self, name: str) -> str:
        """A topic that no service knows."""
        admin = AdminClient({"bootstrap.servers": self.addresses.bootstrap_servers, "log_level": 0})
        for made in admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1)]).values():
            made.result(30)
        return name

    def mails(self) -> int:
        """How many mails arrived, by the receiving side's own count."""
        return taken(self.sink_port)

    def pid(self, part: str) -> int:
        """The process id of a part; of PostgreSQL the first process, which started the others."""
        lock = self.folder / part / "lock" if part in {"postgres", "kafka"} else self.folder / "run" / f"{part}.lock"
        return int(lock.read_text(encoding="ascii"))

    def signal(self, part: str, number: signal.Signals) -> None:
        """Send a signal to a part."""
        os.kill(self.pid(part), number)

    def cpu_seconds(self) -> dict[str, float]:
        """CPU time of each part so far."""
        return {part: family_cpu_seconds(self.pid(part)) for part in PARTS}
