"""What happens to PostgreSQL and Kafka themselves."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Final

import asyncpg

from faults.catalogue import Fault
from faults.disk import can_mount
from faults.servers import MAX_CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from faults.catalogue import Strike
    from faults.processes import Process
    from faults.trial import Trial

FULL: Final = "full@postgres"
_TERMINATE: Final = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> '' AND random() < $1
"""
_LOCKS: Final = {
    "ingest": "LOCK TABLE ingest.deliveries, ingest.outbox IN ACCESS EXCLUSIVE MODE",
    "scoring": "LOCK TABLE scoring.responses, scoring.inbox IN ACCESS EXCLUSIVE MODE",
    "casework": "LOCK TABLE casework.cases, casework.agent_loads IN ACCESS EXCLUSIVE MODE",
    "notify": "LOCK TABLE notify.messages, notify.outbox IN ACCESS EXCLUSIVE MODE",
    "portal": "LOCK TABLE portal.events, portal.inbox IN ACCESS EXCLUSIVE MODE",
}


def server_faults(services: Sequence[str]) -> list[Fault]:
    """Faults of the two servers."""
    return [
        Fault("stop.immediate@postgres", _restarted("postgres", signal.SIGQUIT)),
        Fault("stop.fast@postgres", _restarted("postgres", signal.SIGINT)),
        Fault("terminate@postgres", _terminated),
        Fault("exhausted@postgres", _exhausted),
        *([Fault(FULL, _filled)] if can_mount() else []),
        *(Fault(f"locked@{service}", _locked(_LOCKS[service])) for service in services),
        Fault("kill@kafka", _restarted("kafka", signal.SIGKILL)),
        Fault("stop@kafka", _restarted("kafka", signal.SIGTERM)),
        Fault("flapping@kafka", _flapping),
        Fault("pause@kafka", _paused_broker),
    ]


def _restarted(which: str, number: signal.Signals) -> Strike:
    async def strike(trial: Trial, random: Random) -> str:
        away = random.uniform(0.0, 4.0)
        server = _server(trial, which)
        await server.down(number)
        await asyncio.sleep(away)
        await server.start()
        return f"{number.name}, {away:.1f} s away"

    return strike


async def _flapping(trial: Trial, random: Random) -> str:
    for _ in range(2):
        await trial.stage.servers.kafka.down(signal.SIGKILL)
        await trial.stage.servers.kafka.start()
        await asyncio.sleep(random.uniform(0.0, 1.0))
    return "killed twice, the second time as soon as it was back"


async def _paused_broker(trial: Trial, random: Random) -> str:
    seconds = random.uniform(4.0, 14.0)
    broker = trial.stage.servers.kafka
    broker.send(signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        broker.send(signal.SIGCONT)
    return f"accepting TCP and nothing else for {seconds:.1f} s"


async def _terminated(trial: Trial, random: Random) -> str:
    count = 0
    connection = await asyncpg.connect(trial.stage.admin_dsn)
    try:
        for _ in range(3):
            count += await connection.fetchval(_TERMINATE, random.uniform(0.2, 0.8))
            await asyncio.sleep(random.uniform(0.1, 1.0))
    finally:
        await connection.close()
    return f"pg_terminate_backend of {count}"


async def _exhausted(trial: Trial, random: Random) -> str:
    """Others take all connections; then the services lose theirs and get no new ones for a while."""
    seconds = random.uniform(2.0, 5.0)
    admin = await asyncpg.connect(trial.stage.admin_dsn)
    greedy: list[asyncpg.Connection[asyncpg.Record]] = []
    try:
        with contextlib.suppress(asyncpg.TooManyConnectionsError):
            while len(greedy) < MAX_CONNECTIONS:
                greedy.append(
                    await asyncpg.connect(trial.stage.dsn("ingest"), server_settings={"application_name": ""})
                )
        lost = await admin.fetchval(_TERMINATE, 1.0)
        with contextlib.suppress(asyncpg.TooManyConnectionsError):
            while len(greedy) < MAX_CONNECTIONS:
                greedy.append(
                    await asyncpg.connect(trial.stage.dsn("ingest"), server_settings={"application_name": ""})
                )
        await asyncio.sleep(seconds)
    finally:
        for connection in greedy:
            connection.terminate()
        await admin.close()
    return f"{len(greedy)} connections taken, {lost} lost, for {seconds:.1f} s"


async def _filled(trial: Trial, random: Random) -> str:
    """Not a block is left on PostgreSQL's disk; it says so, or falls down where its log of writes cannot grow."""
    seconds = random.uniform(4.0, 10.0)
    disk = trial.stage.servers.disk
    if disk is None:
        raise OSError("PostgreSQL has no disk of its own")
    starts = trial.stage.servers.postgres.starts
    filled = await asyncio.to_thread(disk.fill)
    try:
        await asyncio.sleep(seconds)
    finally:
        disk.make_room()
    await trial.stage.servers.postgres.until_ready()
    fell = trial.stage.servers.postgres.starts - starts
    return f"the last {filled // 1_000_000} MB taken for {seconds:.1f} s; it fell down {fell} times"


def _locked(statement: str) -> Strike:
    async def strike(trial: Trial, random: Random) -> str:
        seconds = random.uniform(2.0, 6.0)
        connection = await asyncpg.connect(trial.stage.admin_dsn)
        try:
            async with connection.transaction():
                await connection.execute(statement)
                await asyncio.sleep(seconds)
        finally:
            await connection.close()
        return f"{statement.partition(' IN ')[0]} for {seconds:.1f} s"

    return strike


def _server(trial: Trial, which: str) -> Process:
    servers = trial.stage.servers
    return servers.postgres if which == "postgres" else servers.kafka
