"""One build under load and under faults: strike, heal, recover, look; at the end rest and the whole ledger."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Final, Self

import asyncpg
from confluent_kafka import KafkaException

from faults import ledger
from faults.bounds import beyond_bounds
from faults.deliveries import Vendor
from faults.evidence import Said, gather
from faults.files import Files
from faults.ledger_of_cases import LATE_AT_MOST
from faults.load import Sender
from faults.people import People
from faults.processes import ProcessFailed
from faults.streams import Streams
from faults.tables import Tables
from faults.thin import ThinVendor
from faults.verdicts import Broken
from faults.watch import NotRecovered, Watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from faults.catalogue import Fault
    from faults.stage import Stage

PROGRESS: Final = 25
"""So many deliveries must have been answered since the last fault healed before the next one strikes."""
_PROGRESS_S: Final = 120.0
_REST_S: Final = 600.0
_TROUBLE: Final = (OSError, TimeoutError, asyncpg.PostgresError, KafkaException, ProcessFailed)


@dataclass(slots=True)
class Row:
    """One fault, and what came of it."""

    number: int
    fault: str
    seed: int
    struck_after: int = 0
    """How many deliveries had been answered."""
    happened: str = ""
    """What exactly was done, or why nothing was."""
    lasted_s: float = 0.0
    recovered_s: float = 0.0
    """From the healing until nothing older waits."""
    longest: str = ""
    """What it waited for most of that time."""
    broken: list[Broken] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        return {
            "number": self.number,
            "fault": self.fault,
            "seed": self.seed,
            "struck_after_deliveries": self.struck_after,
            "happened": self.happened,
            "lasted_s": round(self.lasted_s, 2),
            "recovered_s": round(self.recovered_s, 2),
            "waited_longest": self.longest,
            "kept": not self.broken,
            "broken": [str(broken) for broken in self.broken],
            "replay": f"make faults N=1 SEED={self.seed} ONLY={self.fault}",
        }


class Trial:
    """A stage with its load; `async with` starts and ends both."""

    people: People
    sender: Sender
    files: Files
    watch: Watch

    def __init__(
        self,
        stage: Stage,
        *,
        seed: int,
        per_second: float = 30.0,
        recovery_s: float = 75.0,
        climbs_after: timedelta = timedelta(minutes=1),
        run: str = "run",
    ) -> None:
        """`run` begins the vendor's ids, `per_second` is how much is sent, `climbs_after` bounds missed callbacks."""
        self.stage: Final = stage
        self._random: Final = Random(f"load {seed}")  # noqa: S311 - it is to be repeatable
        self._random_of_people: Final = Random(f"people {seed}")  # noqa: S311 - likewise
        self._rate = per_second
        self._recovery_s = recovery_s
        self._climbs_after = climbs_after
        self.sizes: Final[dict[str, int]] = {}
        self._skew_s = 0
        self._put_off_s = 0
        self.thin: Final = ThinVendor(self._random, f"{run}-{seed}", stage.vendor_apis)
        self.vendor: Final = Vendor(self._random, f"{run}-{seed}", self.thin)
        self._run = f"{run}-{seed}"
        self.tables: Final = Tables(stage)
        self.streams: Final = Streams(stage.servers.bootstrap_servers, stage.names)
        self._known: set[tuple[int, str]] = set()

    async def __aenter__(self) -> Self:
        try:
            await self.stage.prepare()
            self.people = People(
                self.stage, self.tables, self._random_of_people, self._run, climbs_after=self._climbs_after
            )
            self.sender = Sender(
                self.vendor,
                self._random,
                url=self.stage.url("ingest"),
                secret=self.stage.source_secret,
                per_second=self._rate,
            )
            self.files = Files(self.stage, Random(f"files {self._run}"), self._run)  # noqa: S311 - likewise
            self.watch = Watch(self.stage, self.tables, self.streams, self.sender, self.people, self.files)
            # Before any group has a member: the groups begin where this trial begins.
            await self.streams.open()
            await self.stage.start()
            await self.people.set_up()
        except BaseException:
            await self.stage.stop()
            raise
        self.sender.start()
        self.people.start()
        self.files.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.files.close()
        await self.people.close()
        await self.sender.close()
        await self.stage.stop()
        await self.streams.close()
        await self.tables.close()

    async def strike(self, fault: Fault, number: int, seed: int) -> Row:
        """One fault: progress, strike, heal, recovery, the quick look."""
        row = Row(number, fault.name, seed)
        progressed = await self.sender.until_answered(self.sender.answered + PROGRESS, _PROGRESS_S)
        if not progressed:
            row.broken.append(Broken(2, "no progress before the fault", (fault.name,), 1))
        row.struck_after = self.sender.answered
        began = time.monotonic()
        try:
            row.happened = await fault.strike(self, Random(f"fault {seed}"))  # noqa: S311 - it is to be repeatable
        except _TROUBLE as error:
            # The trial goes on: one fault that could not be made is no reason to lose what the others show.
            row.broken.append(Broken(0, "the fault could not be made", (f"{type(error).__name__}: {error}",), 1))
        finally:
            self.stage.heal_links()
        healed = time.monotonic()
        row.lasted_s = healed - began
        try:
            row.longest = await self.watch.recovered(self._recovery_s, mails=fault.mails)
        except (NotRecovered, ProcessFailed, KafkaException) as error:
            row.broken.append(Broken(4, f"not recovered within {self._recovery_s:.0f} s", (str(error),), 1))
        row.recovered_s = time.monotonic() - healed
        try:
            row.broken += self._news(await self.watch.quick())
        except _TROUBLE as error:
            row.broken.append(Broken(0, "nobody could look", (f"{type(error).__name__}: {error}",), 1))
        return row

    def skewed_by(self, seconds: int) -> None:
        """A clock was wrong by so much: what was put off by it, and clocks of cases, may be late by as much more."""
        self._skew_s = max(self._skew_s, seconds)

    def put_off_by(self, seconds: int) -> None:
        """Something may have been put off for so long, and rightly: rest comes later by as much."""
        self._put_off_s = max(self._put_off_s, seconds)

    async def end(self, tell: Callable[[str], None] = lambda _line: None) -> list[Broken]:
        """Stop the load, wait for rest, and check everything."""
        tell("waiting for rest")
        await self.people.rest()
        broken: list[Broken] = []
        if not await self.sender.rest(_REST_S):
            broken.append(
                Broken(2, "deliveries that are never answered", ("see the log of ingest",), self.sender.waiting)
            )
        if not await self.files.rest(_REST_S):
            broken.append(Broken(2, "a file that is never read to its end", (str(self.files.imported[-1].state),), 1))
        if not await self.people.operators.reconciled(_REST_S):
            broken.append(Broken(2, "the vendor's API is not asked any more", ("see the log of ingest",), 1))
        # What a part put off while its clock was ahead waits for that much longer.
        bound_s = _REST_S + self._skew_s + self._put_off_s
        async with asyncio.TaskGroup() as group:
            hurrying = group.create_task(self.people.subscribers.hurry(), name="hurry")
            waiting = await self.watch.rest(bound_s)
            hurrying.cancel()
        if waiting:
            broken.append(Broken(4, f"not at rest after {bound_s:.0f} s", tuple(waiting), len(waiting)))
        tell("checking the ledger")
        broken += await self.watch.quick()
        said = Said(self.sender.log, self.people, self.thin, self.files)
        evidence = await gather(self.stage, self.tables, self.streams, said)
        broken += ledger.check(evidence, self.streams, late_at_most=LATE_AT_MOST + timedelta(seconds=self._skew_s))
        if held := await beyond_bounds(self.stage):
            broken.append(Broken(8, "more held at rest than may be", tuple(held), len(held)))
        self.sizes.update(ledger.sizes(evidence))
        return self._news(broken)

    def _news(self, broken: list[Broken]) -> list[Broken]:
        """What was not broken before: each is told with the fault after which it was first seen."""
        found = [each for each in broken if (each.invariant, each.what) not in self._known]
        self._known |= {(each.invariant, each.what) for each in found}
        return found
