"""Has the drivers of the NPS computed: what was asked for, and each night anew; each run in a short-lived process."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from services.scoring.domain.drivers import Findings, Refusal, Scope, nightly
from services.scoring.store import driver_runs

if TYPE_CHECKING:
    from asyncio.subprocess import Process

    from libs.events.database import Database
    from services.scoring.store.driver_runs import Claimed

log: Final = structlog.get_logger()

AT_MOST: Final = timedelta(minutes=10)
"""How long a run may take."""
LOAN: Final = AT_MOST + timedelta(minutes=5)
ATTEMPTS: Final = 3
PAUSE: Final = timedelta(minutes=2)
KEPT: Final = timedelta(days=400)
NIGHTLY: Final = "nightly"
_NIGHT_BEGINS: Final = time(2, tzinfo=UTC)

_check: Final = msgspec.json.Decoder(Findings).decode
_failed: Final = msgspec.json.Encoder().encode(Findings(n=0, answers=0, refused=Refusal("failed")))


class DriverRuns:
    """One run at a time. A step begins one, or looks after the one that goes on; it never waits for it."""

    def __init__(self, database: Database, database_url: str) -> None:
        self._database = database
        # One thread: the machine is there for the services.
        self._environment = os.environ | {"SCORING_DATABASE_URL": database_url, "OPENBLAS_NUM_THREADS": "1"}
        self._going_on: asyncio.Task[None] | None = None

    async def step(self) -> bool:
        """Begin the next run, if none goes on; whether there may be more to begin at once."""
        if self._going_on is not None:
            if not self._going_on.done():
                return False
            done, self._going_on = self._going_on, None
            done.result()
        async with self._database.reading() as tx:
            if not await driver_runs.any_waiting(tx):
                return False
        async with self._database.transaction() as tx:
            claimed = await driver_runs.claim(tx, LOAN)
            run = None if claimed is None else await driver_runs.find(tx, claimed.id)
        if claimed is not None and run is not None:
            self._going_on = asyncio.create_task(self._run(claimed, run.scope))
        return False

    async def _run(self, claimed: Claimed, scope: Scope) -> None:
        output = await self._computed(claimed, scope)
        async with self._database.transaction() as tx:
            if output is not None:
                await driver_runs.finish(tx, claimed.id, output)
            elif claimed.attempts >= ATTEMPTS:
                await driver_runs.finish(tx, claimed.id, _failed)
            else:
                await driver_runs.put_off(tx, claimed.id, tx.now + PAUSE)

    async def _computed(self, claimed: Claimed, scope: Scope) -> bytes | None:
        """What the process found; None where it did not get so far."""
        seed = claimed.id.int % 2**32
        arguments = (scope.program, scope.kind, scope.since.isoformat(), scope.until.isoformat(), str(seed))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.scoring.driver_process",
            *arguments,
            env=self._environment,
            # Open as long as we live, and its end tells the child that we do not.
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(AT_MOST.total_seconds()):
                assert process.stdout is not None  # noqa: S101 - a pipe, for the type checker
                output = await process.stdout.read()
                status = await process.wait()
        except TimeoutError:
            log.warning("drivers.too_slow", run=str(claimed.id), attempt=claimed.attempts)
            return None
        finally:
            await _end(process)
        if status != 0:
            log.warning("drivers.failed", run=str(claimed.id), attempt=claimed.attempts, status=status)
            return None
        found = _check(output)
        log.info("drivers.found", run=str(claimed.id), n=found.n, drivers=len(found.drivers))
        return output


async def ask_nightly(database: Database) -> bool:
    """After two in the night ask for one run of each program and survey kind; forget those of long ago."""
    now = database.clock().astimezone(UTC)
    if now.timetz() < _NIGHT_BEGINS:
        return False
    midnight = datetime.combine(now.date(), time(), UTC)
    async with database.reading() as tx:
        if await driver_runs.were_asked(tx, NIGHTLY, midnight):
            return False
        programs = await driver_runs.programs(tx)
    async with database.transaction() as tx:
        if programs:
            await driver_runs.ask(tx, [nightly(program, kind, midnight) for program, kind in programs], NIGHTLY)
        await driver_runs.forget(tx, tx.now - KEPT)
    return False


async def _end(process: Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
