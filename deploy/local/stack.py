"""The whole of Otklik on one machine, as one object: servers, schemas, topics, services.

    async with LocalStack(data_dir, ports=Ports.random()) as stack:
        httpx.get(stack.urls["portal"])

Servers that are given by address are used instead of our own. Leaving the block stops everything in order.
"""

import asyncio
import fcntl
import functools
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from deploy.local import parts
from deploy.local.children import ChildError, clear_remains
from deploy.local.kafka import KafkaBroker
from deploy.local.kafka_jars import KafkaUnavailableError, find_java, require_jars_or_maven
from deploy.local.memory_broker import BANNER
from deploy.local.ports import holder, is_free
from deploy.local.postgres import PostgresServer
from deploy.local.preparation import PreparationError, prepare_database, prepare_keys, prepare_topics
from deploy.local.running import Addresses, forget, write_down
from deploy.local.schemas import as_role
from deploy.local.secrets_file import StackSecrets, load_or_make
from deploy.local.settings import SERVICES, Ports, StackSettings, inherited_environment
from deploy.local.supervisor import Part, PartFailedError, Supervisor, Tell

_PRIVATE: Final = ("kafka", "logs", "mail", "run")
"""Folders with what customers wrote or with addresses; PostgreSQL closes its own, maybe as another user."""


class StackError(Exception):
    """The stack cannot start; the message says why and what to do."""


class LocalStack:
    """PostgreSQL, Kafka, a mailbox and the services over one data folder."""

    def __init__(
        self,
        data_dir: Path,
        *,
        ports: Ports | None = None,
        given: StackSettings | None = None,
        services: Sequence[str] = SERVICES,
        environment: Mapping[str, Mapping[str, str]] | None = None,
        tell: Tell = lambda _line: None,
    ) -> None:
        """Describe a stack. `environment` adds to that of single services, `tell` gets lines for a person."""
        self.data_dir: Final = data_dir.absolute()
        self.ports: Final = ports or Ports()
        self.services: Final = tuple(services)
        self._given: Final = given or StackSettings()
        self._environment: Final = environment or {}
        self._tell: Final = tell
        self._supervisor: Final = Supervisor(tell)
        self._lock: IO[str] | None = None
        self._secrets: StackSecrets | None = None
        self._admin_dsn = ""
        self._kafka_in_memory = False

    # What it offers once it runs.

    @property
    def urls(self) -> dict[str, str]:
        """The address of each service, and of the mailbox's pages where it is ours."""
        names = (*self.services, *(("mailbox",) if self._given.smtp_url is None else ()))
        return {name: f"http://127.0.0.1:{self.ports.of(name)}" for name in names}

    @property
    def bootstrap_servers(self) -> str:
        """Where Kafka is."""
        if self._given.kafka_bootstrap_servers is not None:
            return self._given.kafka_bootstrap_servers
        if self._kafka_in_memory:
            return parts.memory_broker_address(self.data_dir).read_text(encoding="ascii")
        return f"127.0.0.1:{self.ports.kafka}"

    @property
    def smtp_url(self) -> str:
        """Where mail is sent."""
        return self._given.smtp_url or f"smtp://127.0.0.1:{self.ports.smtp}"

    @property
    def kafka_in_memory(self) -> bool:
        """Whether streams are in memory only, because there is no Java here."""
        return self._kafka_in_memory

    @property
    def admin_dsn(self) -> str:
        """The administrator in Otklik's database."""
        return self._admin_dsn

    def database_url(self, service: str) -> str:
        """How a service reaches its schema."""
        return as_role(self._admin_dsn, service, self.secrets.roles[service])

    @property
    def secrets(self) -> StackSecrets:
        """The stack's secrets, read when it starts."""
        if self._secrets is None:
            raise StackError("the stack has not been started")
        return self._secrets

    def addresses(self) -> Addresses:
        """Say where everything is, as the command line beside a running stack finds it."""
        return Addresses(
            urls=self.urls,
            databases={service: self.database_url(service) for service in SERVICES},
            bootstrap_servers=self.bootstrap_servers,
            smtp_url=self.smtp_url,
            kafka_in_memory=self.kafka_in_memory,
        )

    @property
    def running(self) -> tuple[str, ...]:
        """The parts that the stack runs."""
        return self._supervisor.names

    def pid(self, name: str) -> int:
        """The process id of a part's present run."""
        return self._supervisor.child(name).pid

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a part. One that ends of it is started again; `until_ready` waits for that."""
        self._supervisor.kill(name, number)

    async def until_ready(self, *names: str) -> None:
        """Return when these parts, or all, are up and ready, after a restart too."""
        await self._supervisor.until_ready(names or self._supervisor.names)

    def wipe_out(self) -> None:
        """Kill all parts at once instead of stopping them in order."""
        self._supervisor.wipe_out()

    # Its life.

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start everything and return when it serves; whatever was started is stopped again on failure."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._lock = _exclusive(self.data_dir / "lock")
        try:
            for private in _PRIVATE:
                (self.data_dir / private).mkdir(exist_ok=True)
                (self.data_dir / private).chmod(0o700)
            self._secrets = load_or_make(self.data_dir / "secrets.json", roles=SERVICES)
            self._kafka_in_memory = self._without_kafka()
            await self._clear_remains()
            self._require_free_ports()
            await self._start_servers()
            await self._start_services()
            write_down(self.data_dir, self.addresses())
        except BaseException as error:
            await self.stop()
            if reasons := tuple(_reasons(error)):
                raise StackError("\n".join(reasons)) from error
            raise

    async def stop(self) -> None:
        """Stop the services, then the mailbox and the broker, then the database."""
        if self._lock is not None:
            forget(self.data_dir)
        for names in (self.services, ("mailbox", "kafka"), ("postgres",)):
            await self._supervisor.stop(names)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _without_kafka(self) -> bool:
        if self._given.kafka_bootstrap_servers is not None:
            return False
        try:
            find_java()
            require_jars_or_maven()
        except KafkaUnavailableError as error:
            self._tell(f"{BANNER}\n{error}")
            return True
        return False

    async def _clear_remains(self) -> None:
        names = (*SERVICES, *parts.SERVERS)
        locks = {name: parts.lock(self.data_dir, name) for name in names}
        await asyncio.gather(*(asyncio.to_thread(clear_remains, name, lock) for name, lock in locks.items()))

    def _require_free_ports(self) -> None:
        wanted = list(self.services)
        if self._given.smtp_url is None:
            wanted += ["smtp", "mailbox"]
        if self._given.kafka_bootstrap_servers is None and not self._kafka_in_memory:
            wanted += ["kafka", "kafka_controller"]
        taken = [name for name in wanted if not is_free(self.ports.of(name))]
        if taken:
            raise StackError("\n".join(_taken(name, self.ports.of(name)) for name in taken))

    async def _start_servers(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._start_database())
            group.create_task(self._start_broker())
            if self._given.smtp_url is None:
                group.create_task(self._start_part(parts.mailbox(self.data_dir, self.ports)))

    async def _start_database(self) -> None:
        admin_dsn = self._given.database_url
        if admin_dsn is None:
            server = PostgresServer(
                folder=self.data_dir / "postgres",
                password=self.secrets.postgres,
                log=parts.log(self.data_dir, "postgres"),
            )
            await asyncio.to_thread(server.prepare)
            await self._start_part(parts.postgres(server))
            admin_dsn = server.dsn("postgres")
        began = time.monotonic()
        self._admin_dsn = await prepare_database(admin_dsn, self.secrets.roles, services=self.services)
        await prepare_keys(self._admin_dsn, self.secrets, services=self.services)
        self._tell(f"database is ready: schemas and migrations ({time.monotonic() - began:.1f} s)")

    async def _start_broker(self) -> None:
        if self._kafka_in_memory:
            part = parts.memory_broker(self.data_dir, after_restart=lambda: self._supervisor.renew(self.services))
            await self._start_part(part)
            return
        if self._given.kafka_bootstrap_servers is None:
            broker = KafkaBroker(
                folder=self.data_dir / "kafka",
                log=parts.log(self.data_dir, "kafka"),
                port=self.ports.kafka,
                controller_port=self.ports.kafka_controller,
            )
            await asyncio.to_thread(broker.prepare)
            await self._start_part(parts.kafka(broker))
        await prepare_topics(self.bootstrap_servers)

    async def _start_services(self) -> None:
        async with asyncio.TaskGroup() as group:
            for service in self.services:
                settings = functools.partial(self._settings_of, service)
                part = parts.service(service, self.data_dir, self.ports, settings)
                group.create_task(self._start_part(part))

    def _settings_of(self, service: str) -> dict[str, str]:
        """The environment of a service: where everything is, our secrets where none are set, its additions."""
        secrets = self.secrets
        # Only our own mailbox can be asked what arrived; it takes mail in a moment, so a doubt settles in one, too.
        receipts = {
            "NOTIFY_RECEIPTS_URL": f"http://127.0.0.1:{self.ports.mailbox}/api/messages",
            "NOTIFY_SMTP_TIMEOUT_SECONDS": "10",
            "NOTIFY_DOUBT_SETTLES_SECONDS": "15",
        }
        return {
            **(receipts if self._given.smtp_url is None else {}),
            "NOTIFY_LINK_SECRET": secrets.notify_link,
            "NOTIFY_PUBLIC_URL": f"http://127.0.0.1:{self.ports.notify}",
            "NOTIFY_PORTAL_URL": f"http://127.0.0.1:{self.ports.portal}",
            "NOTIFY_SENDER": "Отклик <otklik@localhost>",
            # Whoever tries web hooks on this machine receives them on this machine.
            "NOTIFY_HOOKS_ALLOWED_NETWORKS": "127.0.0.0/8",
            "NOTIFY_HOOKS_PLAIN_HTTP": "true",
            "PORTAL_SESSION_SECRET": secrets.portal_session,
            "PORTAL_SECURE_COOKIES": "false",
            "PORTAL_INGEST_PUBLIC_URL": f"http://127.0.0.1:{self.ports.ingest}",
            "CASEWORK_ATTACHMENTS_DIR": str(self.data_dir / "attachments"),
            **inherited_environment(),
            "OTKLIK_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "OTKLIK_SMTP_URL": self.smtp_url,
            f"{service.upper()}_DATABASE_URL": self.database_url(service),
            f"{service.upper()}_PORT": str(self.ports.of(service)),
            "NOTIFY_CASEWORK_URL": f"http://127.0.0.1:{self.ports.casework}",
            "NOTIFY_CASEWORK_KEY": secrets.notify_casework_key,
            "NOTIFY_SCORING_URL": f"http://127.0.0.1:{self.ports.scoring}",
            "NOTIFY_SCORING_KEY": secrets.notify_scoring_key,
            "PORTAL_CASEWORK_URL": f"http://127.0.0.1:{self.ports.casework}",
            "PORTAL_CASEWORK_KEY": secrets.portal_casework_key,
            "PORTAL_SCORING_URL": f"http://127.0.0.1:{self.ports.scoring}",
            "PORTAL_SCORING_KEY": secrets.portal_scoring_key,
            "PORTAL_INGEST_URL": f"http://127.0.0.1:{self.ports.ingest}",
            "PORTAL_INGEST_KEY": secrets.portal_ingest_key,
            "PORTAL_NOTIFY_URL": f"http://127.0.0.1:{self.ports.notify}",
            "PORTAL_NOTIFY_KEY": secrets.portal_notify_key,
            **self._environment.get(service, {}),
        }

    async def _start_part(self, part: Part) -> None:
        began = time.monotonic()
        await self._supervisor.start(part)
        self._tell(f"{part.name} is ready ({time.monotonic() - began:.1f} s)")


def _exclusive(path: Path) -> IO[str]:
    """Take the folder for this process alone; the system gives it back however the process ends."""
    lock = path.open("a+", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        owner = lock.read().strip()
        lock.close()
        raise StackError(
            f"Otklik already runs over {path.parent}, as process {owner or 'unknown'}: stop that one (Ctrl-C where it "
            f"runs, or `kill {owner or 'PID'}`), or set OTKLIK_DATA_DIR to another folder"
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _taken(name: str, port: int) -> str:
    who = holder(port) or "another process"
    setting = Ports.setting(name)
    return f"Port {port} ({name}) is taken by {who}. Stop it, or choose another port, say {setting}={port + 100}"


def _reasons(error: BaseException) -> Iterator[str]:
    """Find the expected troubles in what came out of a group of tasks; nothing if it was something else."""
    match error:
        case BaseExceptionGroup():
            for inner in error.exceptions:
                yield from _reasons(inner)
        case StackError() | PartFailedError() | ChildError() | KafkaUnavailableError() | PreparationError():
            yield str(error)
        case _:
            pass
