"""A process of a service: signals, its deadline, health, readiness, metrics, and what happens when a part fails."""

import asyncio
import contextlib
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from deploy.local.ports import free_ports
from libs.events.database import Database, Tx
from libs.events.health import STUCK_AFTER_SECONDS
from libs.events.runtime import Runtime
from libs.events.testing import eventually
from libs.events.topics import CASEWORK_CASES, SURVEY_SCORES

PROCESS = Path(__file__).with_name("process.py")
NOWHERE = "127.0.0.1:1"
ROW = text("INSERT INTO effects (customer) VALUES ('anna')")
CLOSED = text("SELECT 1 FROM effects WHERE customer = 'closed'")


class Process:
    """A running process of a service."""

    def __init__(self, process: asyncio.subprocess.Process, address: str) -> None:
        self.process = process
        self.http = httpx.AsyncClient(base_url=address)

    async def status(self, path: str) -> int:
        try:
            return (await self.http.get(path)).status_code
        except httpx.TransportError:
            return 0

    async def is_live(self) -> bool:
        return await self.status("/livez") == 200

    async def is_ready(self) -> bool:
        return await self.status("/readyz") == 200

    async def ended(self) -> int:
        async with asyncio.timeout(60):
            return await self.process.wait()

    async def said(self) -> str:
        assert self.process.stdout is not None
        return (await self.process.stdout.read()).decode()


@asynccontextmanager
async def a_process(url: str, kafka: str, scenario: str, *, port: int | None = None) -> AsyncIterator[Process]:
    port = port or free_ports(1)[0]
    arguments = (str(PROCESS), url, kafka, str(port), scenario)
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    running = Process(process, f"http://127.0.0.1:{port}")
    try:
        yield running
    finally:
        await running.http.aclose()
        with contextlib.suppress(ProcessLookupError):  # it has ended: what most tests want
            process.kill()
        # Read to the end, so that the pipe is closed in this loop.
        await process.communicate()


async def closers_ran(database: Database) -> bool:
    async with database.reading() as tx:
        return bool(await tx.fetch(CLOSED))


@pytest.mark.kafka
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_the_process_in_order(
    url: str, kafka: str, database: Database, number: signal.Signals
) -> None:
    async with a_process(url, kafka, "healthy") as process:
        await eventually(process.is_ready)
        process.process.send_signal(number)
        assert await process.ended() == 0
    assert await closers_ran(database)


async def test_it_stops_within_the_deadline_though_a_part_does_not(url: str, database: Database) -> None:
    async with a_process(url, NOWHERE, "late") as process:
        await eventually(process.is_live)
        process.process.send_signal(signal.SIGTERM)
        assert await process.ended() == 1
        assert "service.part_late" in await process.said()
    assert await closers_ran(database)


async def test_a_part_that_fails_stops_the_others_and_the_process_with_status_1(url: str, database: Database) -> None:
    async with a_process(url, NOWHERE, "failing") as process:
        await eventually(process.is_live)
        async with database.transaction() as tx:
            await tx.execute(ROW)
        assert await process.ended() == 1
        said = await process.said()
    assert "test.watching" in said
    assert "there is a row" in said
    assert await closers_ran(database)


async def test_a_port_that_is_taken_is_said_clearly_and_ends_the_process(url: str) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        async with a_process(url, NOWHERE, "idle", port=port) as process:
            assert await process.ended() == 1
            assert f"cannot serve on 127.0.0.1:{port}: is the port taken?" in await process.said()


async def test_the_broker_away_makes_it_unready_but_leaves_it_alive(url: str) -> None:
    async with a_process(url, NOWHERE, "healthy") as process:
        await eventually(process.is_live)
        answer = await process.http.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["not_ready"].keys() <= {"test.relay", "test.inbox_pruning"}
        await eventually(lambda: readiness_names_the_broker(process))
        assert await process.is_live()


async def readiness_names_the_broker(process: Process) -> bool:
    not_ready: dict[str, str] = (await process.http.get("/readyz")).json()["not_ready"]
    return not_ready == {"test.relay": "Unavailable: database or broker away"}


async def test_metrics_are_served(url: str) -> None:
    async with a_process(url, NOWHERE, "healthy") as process:
        await eventually(process.is_live)
        answer = await process.http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    for name in ("otklik_records_total", "otklik_outages_total", "otklik_outbox_age_seconds"):
        assert f"# TYPE {name}" in answer.text or f"# TYPE {name.removesuffix('_total')}" in answer.text


class Ports:
    """Runtimes in this process, asked without a network."""

    def __init__(self, database: Database) -> None:
        self.app = FastAPI()
        self.runtime = Runtime("test", database, bootstrap_servers=NOWHERE, host="127.0.0.1", port=0)
        self.runtime._add_health_routes(self.app)

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://test") as client:
            return await client.get(path)


async def test_a_loop_that_stops_beating_turns_livez_red(database: Database) -> None:
    here = Ports(database)
    now = time.monotonic()
    here.runtime.health._now = lambda: now
    here.runtime.health.beat("test.clocks")
    assert (await here.get("/livez")).status_code == 200
    now += STUCK_AFTER_SECONDS + 1
    answer = await here.get("/livez")
    assert answer.status_code == 503
    assert answer.json() == {"stuck": {"test.clocks": "no beat for 61 s"}}


async def test_readyz_is_red_while_a_loop_waits_and_while_the_database_is_away(database: Database) -> None:
    here = Ports(database)
    assert (await here.get("/readyz")).status_code == 200
    here.runtime.health.trouble("test.relay", "broker away")
    assert (await here.get("/readyz")).json() == {"not_ready": {"test.relay": "broker away"}}
    here.runtime.health.well("test.relay")
    assert (await here.get("/readyz")).status_code == 200

    nowhere = Database.connect("postgresql://a:b@127.0.0.1:1/nobody")
    answer = await Ports(nowhere).get("/readyz")
    await nowhere.close()
    assert answer.status_code == 503
    assert answer.json() == {"not_ready": {"database": "Unavailable"}}


async def handle(_: Tx, __: object) -> None:
    """Do nothing."""


async def test_only_consumers_of_the_registry_are_composed(database: Database) -> None:
    runtime = Ports(database).runtime
    with pytest.raises(ValueError, match="not among the consumers of"):
        runtime.add_consumer("casework.unheard_of", SURVEY_SCORES, handle)


async def test_a_group_that_reads_several_topics_has_a_pulse_for_each(database: Database) -> None:
    runtime = Ports(database).runtime
    runtime.add_consumer("portal.events", SURVEY_SCORES, handle)
    runtime.add_consumer("portal.events", CASEWORK_CASES, handle)
    assert [part.name for part in runtime._parts] == ["portal.events:survey.scores", "portal.events:casework.cases"]
