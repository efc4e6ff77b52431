"""Real servers for all tests: started when the first test asks, thrown away at the end.

`make_database()` gives the URL of a fresh, empty database (as superuser), `service_database("casework")` one
with that service's role, schema and tables, as in production. Both are plain calls (nothing to await) that
work in any test, and what they made is dropped after it. `kafka` is the address of a broker (mark such tests).
With several workers (`make test`), each has servers of its own; workers.py says how they share the tests.
"""

import asyncio
import functools
import gc
import itertools
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from xdist.remote import Producer

from deploy.local.kafka import KafkaBroker
from deploy.local.kafka_jars import KafkaUnavailableError, find_java, require_jars_or_maven
from deploy.local.ports import free_ports
from deploy.local.postgres import THROW_AWAY, PostgresServer
from deploy.local.schemas import as_role, bootstrap
from tests.workers import BuildsInOneLot, keep_to_ports_of_its_own, order

KAFKA_ADDRESS = "OTKLIK_KAFKA_BOOTSTRAP_SERVERS"
ROOT = Path(__file__).parent.parent
MEMORY = Path("/dev/shm")  # noqa: S108 - for servers that are thrown away
MEMORY_BYTES = 4 << 30  # of each server, at most; containers often have 64 MB in all


class ThrowAwayPostgres:
    """A server whose databases are made in a moment, as copies of templates that are made once."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._numbers = itertools.count(1)
        self._templates: dict[str, str] = {}
        # A thread of its own: tests call from inside a running event loop.
        self._thread = ThreadPoolExecutor(max_workers=1)

    @property
    def admin_dsn(self) -> str:
        """The superuser in the database `postgres`."""
        return self._server.dsn("postgres")

    def admin_dsn_of(self, url: str) -> str:
        """The superuser in the database that a URL of ours names."""
        return self._server.dsn(database_name(url))

    def create(self, template: str = "template1") -> str:
        """Make a database; its superuser's URL."""
        name = f"test_{next(self._numbers)}"
        # Copying files is twice as fast here as the default, which goes through the log.
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return self._server.dsn(name)

    def create_for_service(self, service: str) -> str:
        """Make a database migrated by a service; the URL of that service's role."""
        return as_role(self.create(self._template_of(service)), service, service)

    def drop(self, url: str) -> None:
        """Drop a database of ours, cutting whoever is still connected."""
        self._execute(f"DROP DATABASE IF EXISTS {database_name(url)} WITH (FORCE)")

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    def _template_of(self, service: str) -> str:
        if service not in self._templates:
            name = f"template_{service}"
            self._execute(f"CREATE DATABASE {name}")
            admin_dsn = self._server.dsn(name)
            self._run(bootstrap(admin_dsn, {service: service}))
            self._run(_migrate(as_role(admin_dsn, service, service), service))
            self._templates[service] = name
        return self._templates[service]

    def _execute(self, statement: str) -> None:
        self._run(_execute(self.admin_dsn, statement))

    def _run(self, work: Coroutine[None, None, None]) -> None:
        self._thread.submit(asyncio.run, work).result()


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _migrate(url: str, service: str) -> None:
    from libs.events.migrate import upgrade  # noqa: PLC0415 - a test without a database needs no Alembic

    await upgrade(url, ROOT / "services" / service / "migrations")


def database_name(url: str) -> str:
    return url.split("@/", 1)[1].split("?", 1)[0]


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """The bootstrap servers of a real broker; topics are the test's own, under names of its own."""
    given = os.environ.get(KAFKA_ADDRESS)
    if given:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="otklik-"))
    port, controller_port = free_ports(2)
    broker = KafkaBroker(
        folder=folder / "kafka",
        log=folder / "kafka.log",
        port=port,
        controller_port=controller_port,
        quick_start=True,
    )
    child = broker.start()
    yield broker.bootstrap_servers
    child.stop()
    shutil.rmtree(folder)


def pytest_configure(config: pytest.Config) -> None:
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    if worker is not None:
        keep_to_ports_of_its_own(int(worker["workerid"].removeprefix("gw")), worker["workercount"])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> BuildsInOneLot:
    return BuildsInOneLot(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        order(items)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what needs a real broker where there can be none; that is a failure where CI says that it counts."""
    if item.get_closest_marker("kafka") is None:
        return
    missing = why_no_kafka()
    if missing is not None and os.environ.get("CI") == "true":
        pytest.fail(f"needs a real Kafka: {missing}", pytrace=False)
    if missing is not None:
        pytest.skip(f"needs a real Kafka: {missing}")


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what the collection made: some tests ask it to look at everything."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out, and why; from the reports, which come from all workers."""
    reasons = Counter(str(report.longrepr[2]) for report in terminalreporter.getreports("skipped"))
    if reasons:
        terminalreporter.section("left out", yellow=True)
        for reason, count in reasons.items():
            terminalreporter.line(f"{count} tests were not run: {reason.removeprefix('Skipped: ')}")


@functools.cache
def why_no_kafka() -> str | None:
    """What keeps a real broker from running here; nothing, if one can."""
    if os.environ.get(KAFKA_ADDRESS):
        return None
    try:
        find_java()
        require_jars_or_maven()
    except KafkaUnavailableError as error:
        return str(error)
    return None


def folder_of_postgres() -> Path:
    """In memory where there is plenty of it: there a database is made and dropped at a quarter of the cost."""
    plenty = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES
    return Path(tempfile.mkdtemp(prefix="otklik-", dir=MEMORY if plenty else None))


@pytest.fixture(scope="session")
def postgres() -> Iterator[ThrowAwayPostgres]:
    folder = folder_of_postgres()
    server = PostgresServer(
        folder=folder / "postgres", password="administrator", log=folder / "log", settings=THROW_AWAY
    )
    child = server.start()
    databases = ThrowAwayPostgres(server)
    yield databases
    databases.close()
    child.stop()
    shutil.rmtree(folder)


@pytest.fixture
def make_database(postgres: ThrowAwayPostgres) -> Iterator[Callable[[], str]]:
    made: list[str] = []

    def make() -> str:
        made.append(postgres.create())
        return made[-1]

    yield make
    for url in made:
        postgres.drop(url)


@pytest.fixture
def service_database(postgres: ThrowAwayPostgres) -> Iterator[Callable[[str], str]]:
    made: list[str] = []

    def make(service: str) -> str:
        made.append(postgres.create_for_service(service))
        return made[-1]

    yield make
    for url in made:
        postgres.drop(url)
