"""Projecting a batch takes as many statements whatever its size, and reads little of what was projected before."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text

from libs.events.contracts.customers import CustomerErased
from libs.events.contracts.scores import ResponseScored
from libs.events.database import Database
from libs.events.event import Event
from services.portal.handlers import EventsHandler, forget_customers

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
GROW = text("""
    INSERT INTO events (event_id, type, subject, happened_at, received_at, facts)
    SELECT gen_random_uuid(), 'survey.response.scored.v1', 'r-' || n, now(), now(),
           jsonb_build_object('customer_id', 'grown-' || n)
      FROM generate_series(1, 30000) AS n
""")
GROW_FORGOTTEN = text("""
    INSERT INTO forgotten_customers
    SELECT sha256(convert_to('x' || n, 'UTF8')), now() FROM generate_series(1, 30000) AS n
""")
READ = text("""
    SELECT relname, seq_tup_read AS rows FROM pg_stat_user_tables WHERE relname IN ('events', 'forgotten_customers')
""")


@pytest.fixture
async def database(service_database: Callable[[str], str]) -> AsyncIterator[Database]:
    """One connection, so that every statement is prepared on empty tables, and used on large ones."""
    database = Database.connect(service_database("portal"), pool_size=1)
    yield database
    await database.close()


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    engine = database.engine.sync_engine
    sqlalchemy_event.listen(engine, "before_cursor_execute", note)
    yield statements
    sqlalchemy_event.remove(engine, "before_cursor_execute", note)


def a_score(number: int) -> Event[Any]:
    payload = ResponseScored(
        response_id=f"r-{number}",
        revision=1,
        program="support",
        touchpoint=None,
        kind="transactional",
        metric="nps",
        score=number % 11,
        nps_class="detractor",
        comment=None,
        customer_id=f"c-{number}",
        account_id=None,
        tier="standard",
        tier_reason="default",
        language="ru",
        instrument_id="i",
        instrument_version=1,
        answered_at=NOON,
    )
    time = NOON + timedelta(days=number % 3)
    return Event.root(uuid4(), payload, subject=payload.response_id, time=time, source="/scoring")


async def project(database: Database, size: int) -> None:
    async with database.transaction() as tx:
        await EventsHandler(ZoneInfo("Europe/Moscow"))(tx, [a_score(number) for number in range(size)])


async def rows_read_in_sequence(database: Database) -> dict[str, int]:
    async with database.transaction() as tx:
        await tx.fetch(text("SELECT pg_stat_force_next_flush()"))
    async with database.transaction() as tx:
        return {row.relname: row.rows for row in await tx.fetch(READ)}


async def test_one_event_and_a_thousand_take_as_many_statements(database: Database) -> None:
    counts = []
    for size in (1, 10, 1_000):
        with counted(database) as statements:
            await project(database, size)
        counts.append(len(statements))
    # Keep erasures out, who was forgotten, the events, the counts of their days.
    assert counts == [4, 4, 4]


async def test_neither_projecting_nor_forgetting_reads_what_was_projected_before(database: Database) -> None:
    async def forget(customer: str) -> None:
        erased = Event.root(
            uuid4(), CustomerErased(customer_id=customer), subject=customer, time=NOON, source="/scoring"
        )
        async with database.transaction() as tx:
            await forget_customers(tx, [erased])

    for number in range(6):
        await project(database, 20)
        await forget(f"c-{number}")
    async with database.transaction() as tx:
        await tx.execute(GROW)
        await tx.execute(GROW_FORGOTTEN)
        await tx.execute(text("ANALYZE events"))
    before = await rows_read_in_sequence(database)
    await project(database, 20)
    await forget("grown-17")
    after = await rows_read_in_sequence(database)
    assert {table: after[table] - before[table] for table in after} == {"events": 0, "forgotten_customers": 0}
