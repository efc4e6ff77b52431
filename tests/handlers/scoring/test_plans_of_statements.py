"""Statements that were prepared on an empty system do not read whole tables when these have grown."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import Any

import pytest
from sqlalchemy import text

from libs.events.database import Database
from libs.events.event import Event

GROW = text("""
    INSERT INTO responses
    SELECT 'grown-' || n, 1, 's', NULL, 'p', NULL, 'transactional', 'nps', 1, 'detractor', NULL, false, NULL,
           'grown-' || n, 'standard', 'x', NULL, '00000000-0000-0000-0000-000000000000', 1, now(), now(), false, now(),
           false, 1
      FROM generate_series(1, 30000) AS n
""")
GROW_CUSTOMERS = text("""
    INSERT INTO customers
    SELECT 'grown-' || n, 1, 'x', NULL, NULL, 'ru', 'Europe/Moscow', NULL, NULL, NULL, NULL, '{}', true,
           'standard', 'x', 1, now(), now()
      FROM generate_series(1, 30000) AS n
""")
READ = """
    SELECT pg_stat_force_next_flush(), relname, seq_tup_read
      FROM pg_stat_user_tables WHERE relname IN ('responses', 'customers') ORDER BY relname
"""


@pytest.fixture
async def database(service_database: Callable[[str], str]) -> AsyncIterator[Database]:
    # One connection, so that every statement is prepared where it is used again.
    database = Database.connect(service_database("scoring"), pool_size=1)
    yield database
    await database.close()


async def test_a_table_that_grew_is_not_read_as_a_whole(
    database: Database,
    an_answer: Callable[..., Event[Any]],
    deliver: Callable[..., Coroutine[None, None, None]],
    rows: Callable[..., Awaitable[Sequence[Any]]],
) -> None:
    async def read_in_sequence() -> dict[str, int]:
        for _ in range(2):  # the first one only asks for the numbers to be brought up to date
            found = await rows(READ)
        return {row.relname: row.seq_tup_read for row in found}

    for revision in range(1, 12):
        await deliver(*(an_answer(f"r-{n}", revision, customer_id=f"c-{n}") for n in range(20)))
    async with database.transaction() as tx:
        await tx.execute(GROW)
        await tx.execute(GROW_CUSTOMERS)
    before = await read_in_sequence()
    await deliver(*(an_answer(f"r-{n}", 12, customer_id=f"c-{n}") for n in range(20)))
    after = await read_in_sequence()
    assert {name: after[name] - before[name] for name in after} == {"customers": 0, "responses": 0}
