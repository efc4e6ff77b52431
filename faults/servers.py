"""PostgreSQL and Kafka as the faults need them: over TCP, each service on a link of its own that can be broken.

PostgreSQL gets a port, Kafka a listener per service whose advertised address is the service's link, so that whatever
a client learns about the cluster leads it through the link again. The harness itself goes in by doors without a link.
"""

from __future__ import annotations

import dataclasses
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from deploy.local import parts
from deploy.local.kafka import KafkaBroker
from deploy.local.ports import free_ports
from deploy.local.postgres import ADMINISTRATOR, DURABLE, PostgresServer
from deploy.local.settings import SERVICES
from deploy.local.supervisor import Part
from faults.disk import Disk
from faults.processes import Process
from faults.proxy import LOOPBACK, Link

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from deploy.local.children import Child, ChildSpec

MAX_CONNECTIONS: Final = 120
_SETTINGS: Final = {
    **DURABLE,
    "max_connections": str(MAX_CONNECTIONS),
    "shared_buffers": "128MB",
    # What a broken link leaves behind must be gone within the bounds that the ledger waits.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _ManyDoors(KafkaBroker):
    """A broker with one more listener per service, each advertised at another port than it listens on."""

    doors: Mapping[str, tuple[int, int]]
    """By service: where the broker listens, and where it says that it does."""

    def _write_properties(self, data: Path) -> None:
        KafkaBroker._write_properties(self, data)  # noqa: SLF001 - ours: zero-argument super() does not know slots
        path = self.folder.absolute() / "server.properties"
        names = {service: service.upper() for service in self.doors}
        listening = "".join(f",{names[each]}://{LOOPBACK}:{port}" for each, (port, _) in self.doors.items())
        told = "".join(f",{names[each]}://{LOOPBACK}:{port}" for each, (_, port) in self.doors.items())
        protocols = "".join(f",{name}:PLAINTEXT" for name in names.values())
        lines = []
        for line in path.read_text(encoding="utf-8").splitlines():
            key = line.partition("=")[0]
            added = {
                "listeners": listening,
                "advertised.listeners": told,
                "listener.security.protocol.map": protocols,
            }.get(key, "")
            lines.append(line + added)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


class Servers:
    """One PostgreSQL, one Kafka, and the links to them; several builds can be tried on them one after another."""

    def __init__(self, folder: Path, *, own_disk: bool = False) -> None:
        """`own_disk`: PostgreSQL gets one, which can be full."""
        self.folder: Final = folder.absolute()
        self.disk: Final = Disk(self.folder / "disk.img", self.folder / "postgres") if own_disk else None
        count = 3 + 3 * len(SERVICES)
        self._postgres_port, broker_port, controller_port, *rest = free_ports(count)
        to_postgres, behind_kafka, to_kafka = (rest[each::3] for each in range(3))
        self.database_links: Final = {
            service: Link(f"{service} to PostgreSQL", port=port, upstream=self._postgres_port)
            for service, port in zip(SERVICES, to_postgres, strict=True)
        }
        self.kafka_links: Final = {
            service: Link(f"{service} to Kafka", port=port, upstream=behind)
            for service, port, behind in zip(SERVICES, to_kafka, behind_kafka, strict=True)
        }
        self._cluster: Final = PostgresServer(
            folder=self.folder / "postgres",
            password=secrets.token_urlsafe(16),
            log=parts.log(self.folder, "postgres"),
            settings=_SETTINGS,
        )
        self._broker: Final = _ManyDoors(
            folder=self.folder / "kafka",
            log=parts.log(self.folder, "kafka"),
            port=broker_port,
            controller_port=controller_port,
            quick_start=True,
            doors={
                service: (behind, port) for service, behind, port in zip(SERVICES, behind_kafka, to_kafka, strict=True)
            },
        )
        self.postgres: Final = Process(Part(name="postgres", spec=self._postgres_spec, ready=self._postgres_ready))
        self.kafka: Final = Process(parts.kafka(self._broker))

    @property
    def bootstrap_servers(self) -> str:
        """The broker's door without a link."""
        return self._broker.bootstrap_servers

    def admin_dsn(self, database: str = "postgres") -> str:
        """The administrator's way to a database, without a link."""
        return self.dsn(database, ADMINISTRATOR, self._cluster.password, self._postgres_port)

    def service_dsn(self, service: str, database: str, password: str, *, linked: bool) -> str:
        """A service's way to its schema, through its link or beside it."""
        port = self.database_links[service].port if linked else self._postgres_port
        return self.dsn(database, service, password, port)

    @staticmethod
    def dsn(database: str, role: str, password: str, port: int) -> str:
        """A way into a database over TCP."""
        return f"postgresql://{quote(role, safe='')}:{quote(password, safe='')}@{LOOPBACK}:{port}/{database}"

    async def start(self) -> None:
        """Start both servers and listen on the links."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.disk is not None:
            self.disk.mount()
        self._cluster.prepare()
        self._broker.prepare()
        for link in (*self.database_links.values(), *self.kafka_links.values()):
            await link.start()
        await self.postgres.start()
        await self.kafka.start()

    async def stop(self) -> None:
        """Stop everything."""
        for link in (*self.database_links.values(), *self.kafka_links.values()):
            await link.stop()
        await self.kafka.close()
        await self.postgres.close()
        if self.disk is not None:
            self.disk.unmount()

    def _postgres_spec(self) -> ChildSpec:
        spec = self._cluster.spec()
        options = {"listen_addresses": LOOPBACK, "port": str(self._postgres_port), "unix_socket_directories": ""}
        words = (word for name, value in options.items() for word in ("-c", f"{name}={value}"))
        return dataclasses.replace(spec, argv=(*spec.argv, *words))

    async def _postgres_ready(self, child: Child) -> bool:
        return self._cluster.ready(child)
