"""Growth: the same batch of events, by the services' own handlers, over tables of a thousand to ten million rows.

Measured is CPU time, of this process and of its one session of PostgreSQL: the handlers run here, and the same work has
to take the same time however full the tables are. Statements are counted at the driver.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4
from zoneinfo import ZoneInfo

import asyncpg
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text

from bench import streams
from bench.company import hire
from bench.figures import Better, Figure
from bench.filling import ROWS, fill
from libs.events import inbox
from libs.events.contracts.cases import CaseAssigned, Employee
from libs.events.contracts.responses import Instrument
from libs.events.database import Database
from libs.events.event import Event, EventId
from services.casework.handlers import handle_scores
from services.ingest.arrivals import DeliveryIds, webhook_arrival
from services.ingest.domain.fields import FieldMap
from services.ingest.domain.sources import Source
from services.ingest.intake import record_in
from services.ingest.sources import ReadySource
from services.ingest.vendors import VENDORS
from services.notify.handlers import cases_handler
from services.portal.handlers import EventsHandler
from services.scoring.handlers import score_responses

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bench.bench import Bench
    from services.ingest.domain.deliveries import Arrival

    Handle = Callable[..., Awaitable[None]]
    Make = Callable[[range], Sequence[Any]]
    """The batch with these numbers."""
    Take = Callable[[Database, Sequence[Any]], Awaitable[None]]
    """Handle a batch."""

_SIZES: Final = (1_000, 100_000, 1_000_000)
_LARGEST: Final = 10_000_000
_LARGEST_OF: Final = ("portal",)
"""Whose tables can be filled to ten million rows in a minute or two; the inbox, which all have, is one of them."""
_QUICK_SIZES: Final = (1_000, 30_000)
_BATCH: Final = 500
_SMALL_BATCH: Final = 50
_BATCHES: Final = 4
_FORGET_OUTBOX: Final = text("TRUNCATE outbox")
_OWN_SESSION: Final = text("SELECT pg_backend_pid() AS pid")


async def run(bench: Bench) -> list[Figure]:
    """CPU time per event at the largest size beside that at the smallest, and statements per batch, by service."""
    measured = []
    for service, (make, take) in _WORK.items():
        ground = await _Ground.of(bench, service, make, take)
        try:
            measured.append(await ground.measure())
        finally:
            await ground.database.close()
    return [figure for each in measured for figure in each.figures()]


@dataclass(slots=True)
class _Measured:
    """What one service's batches took, by how many rows there were."""

    service: str
    cpu_us: dict[int, list[float]] = field(default_factory=dict)
    """Per event, round by round."""
    statements: dict[tuple[int, int], int] = field(default_factory=dict)
    """Per batch, by rows and by the batch's size."""

    def figures(self) -> list[Figure]:
        """Both ratios, with all that they rest on."""
        smallest, largest = min(self.cpu_us), max(self.cpu_us)
        counts = list(self.statements.values())
        return [
            Figure(
                stage="growth",
                name=f"{self.service}: CPU per event, {_words(largest)} rows over {_words(smallest)}",
                unit="×",
                rounds=[
                    after / before for before, after in zip(self.cpu_us[smallest], self.cpu_us[largest], strict=True)
                ],
                red=2.0,
                goal=1.25,
                better=Better.LOWER,
                floor_name=f"{_words(smallest)} rows",
                floor=self.cpu_us[smallest],
                ours=self.cpu_us[largest],
                measured_in="µs/event",
                detail={"growth": {rows: round(median(rounds), 1) for rows, rounds in self.cpu_us.items()}},
            ),
            Figure(
                stage="growth",
                name=f"{self.service}: statements per batch, most over fewest",
                unit="×",
                rounds=[max(counts) / min(counts)],
                goal=1.0,
                better=Better.LOWER,
                floor=[min(counts)],
                ours=[max(counts)],
                measured_in="statements",
                notes={f"{rows} rows, batch of {batch}": n for (rows, batch), n in self.statements.items()},
            ),
        ]


@dataclass(slots=True)
class _Ground:
    """One service's tables and its handler."""

    bench: Bench
    service: str
    make: Make
    take: Take
    database: Database
    url: str
    session: int
    """The process of PostgreSQL that works for us."""
    _next: int = 1

    @classmethod
    async def of(cls, bench: Bench, service: str, make: Make, take: Take) -> _Ground:
        url = await bench.service_database(service)
        if service == "casework":
            connection = await asyncpg.connect(url)
            await hire(connection)
            await connection.close()
        database = Database.connect(url, pool_size=1, name="growth")
        async with database.reading() as tx:
            [row] = await tx.fetch(_OWN_SESSION)
        return cls(bench, service, make, take, database, url, row.pid)

    async def measure(self) -> _Measured:
        measured = _Measured(self.service)
        filled = 0
        for rows in self._sizes():
            self.bench.say(f"{self.service}: {_words(rows)} rows")
            await fill(self.url, ROWS[self.service], first=filled + 1, last=rows)
            filled = rows
            await self._batches(_BATCH, 2)  # plans and caches of the new size
            measured.cpu_us[rows] = [await self._batches(_BATCH, _BATCHES) for _ in range(self.bench.rounds)]
            for batch in (_SMALL_BATCH, _BATCH):
                measured.statements[rows, batch] = await self._count(batch)
        return measured

    def _sizes(self) -> Sequence[int]:
        if self.bench.scale < 1:
            return _QUICK_SIZES
        return (*_SIZES, _LARGEST) if self.service in _LARGEST_OF else _SIZES

    async def _batches(self, size: int, amount: int) -> float:
        """CPU time per event, in microseconds."""
        async with self.database.transaction() as tx:
            await tx.execute(_FORGET_OUTBOX)
        batches = [self._next_batch(size) for _ in range(amount)]
        before = self._cpu()
        for batch in batches:
            await self.take(self.database, batch)
        return (self._cpu() - before) / (size * amount) * 1e6

    def _next_batch(self, size: int) -> Sequence[Any]:
        first, self._next = self._next, self._next + size
        return self.make(range(first, self._next))

    def _cpu(self) -> float:
        # The kernel's own accounting, in nanoseconds; ticks of ten milliseconds are too coarse here.
        session = int(Path(f"/proc/{self.session}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9
        return time.process_time() + session

    async def _count(self, size: int) -> int:
        statements = 0

        def count(*_: Any) -> None:  # noqa: ANN401 - what SQLAlchemy says of a statement does not matter here
            nonlocal statements
            statements += 1

        batch = self._next_batch(size)
        engine = self.database.engine.sync_engine
        sqlalchemy_event.listen(engine, "before_cursor_execute", count)
        try:
            await self.take(self.database, batch)
        finally:
            sqlalchemy_event.remove(engine, "before_cursor_execute", count)
        return statements


def _consumed(consumer: str, handle: Handle) -> Take:
    """A batch as a consumer takes it: the inbox first, then the handler, in one transaction."""

    async def take(database: Database, batch: Sequence[Event[Any]]) -> None:
        async with database.transaction() as tx:
            new = await inbox.mark(tx, consumer, [(event.id, uuid4()) for event in batch])
            if len(new) != len(batch):
                raise RuntimeError("the batch was not new")
            await handle(tx, batch)

    return take


def _assigned(numbers: range) -> list[Event[CaseAssigned]]:
    return [_assignment(number) for number in numbers]


def _assignment(number: int) -> Event[CaseAssigned]:
    now = datetime.now(UTC)
    payload = CaseAssigned(
        case_id=str(uuid4()),
        customer_id=f"customer-{number}",
        version=2,
        owner=Employee(
            employee_id=f"agent-{number % 50}", name="Анна Воронова", email="agent@bank.example", language="ru"
        ),
        previous_owner_id=None,
        reason="least_loaded",
        tier="standard",
        score=3,
        first_contact_due_at=now,
    )
    return Event.root(EventId(uuid4()), payload, subject=payload.case_id, time=now, source="/casework")


_SHOP: Final = ReadySource.of(
    Source(
        name="shop",
        vendor="generic",
        program="retail",
        instrument=Instrument(
            metric="nps",
            question="Would you recommend us?",
            scale_min=0,
            scale_max=10,
            kind="transactional",
            channel="email",
        ),
        touchpoint=None,
        language=None,
        time_zone="UTC",
        fields=FieldMap(),
        enabled=True,
        version=1,
    ),
    VENDORS["generic"],
)
_IDS: Final = DeliveryIds()


def _arriving(numbers: range) -> list[Arrival]:
    """Deliveries that come at the same time, understood."""
    now = datetime.now(UTC)
    body = b'{"response_id":"new-%d","answered_at":"2026-03-02T12:00:00Z","score":%d,"customer_id":"c-%d"}'
    return [
        webhook_arrival(
            _SHOP, {b"webhook-id": b"msg-new-%d" % number}, body % (number, number % 11, number), now, _IDS.new(now)
        )
        for number in numbers
    ]


async def _arrive(database: Database, batch: Sequence[Arrival]) -> None:
    """What ingest does with deliveries that share a transaction."""
    outcomes = await record_in(database, batch)
    if any(outcome.status != "accepted" for outcome in outcomes):
        raise RuntimeError(f"the batch was not accepted: {outcomes[0]}")


_WORK: Final[dict[str, tuple[Make, Take]]] = {
    "ingest": (_arriving, _arrive),
    "scoring": (streams.received, _consumed("scoring.responses", score_responses)),
    "casework": (streams.scored, _consumed("casework.scores", handle_scores)),
    "notify": (_assigned, _consumed("notify.cases", cases_handler())),
    "portal": (streams.scored, _consumed("portal.events", EventsHandler(ZoneInfo("Europe/Moscow")))),
}
"""For each service, how a batch is made (not measured) and handled."""


def _words(rows: int) -> str:
    return f"{rows:,}".replace(",", "\u202f")
