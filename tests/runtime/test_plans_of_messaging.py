"""The statements of the guarantee read what they need, however large inbox and outbox have grown."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import text

from libs.events import inbox, outbox
from libs.events.database import Database
from libs.events.event import EventId
from libs.events.testing.factories import NOON

ReadRows = Callable[[], Awaitable[dict[str, int]]]

GROW_INBOX = text("""
    INSERT INTO inbox SELECT gen_random_uuid(), 'test.answers', CAST(:at AS timestamptz) FROM generate_series(1, 50000)
""")
GROW_OUTBOX = text(r"""
    INSERT INTO outbox (topic, key, headers, value, emitted_at)
    SELECT 'answers', n, CAST('\x90' AS bytea), '', now() FROM generate_series(1, 20000) AS n
""")
READ = """
    SELECT relname, seq_tup_read + coalesce(idx_tup_fetch, 0) AS rows
      FROM pg_stat_user_tables WHERE relname IN ('inbox', 'outbox')
"""


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """One connection, so that every statement is prepared on empty tables, and used on large ones."""
    database = Database.connect(url, pool_size=1)
    yield database
    await database.close()


@pytest.fixture
async def read_rows(database: Database) -> ReadRows:
    """How many rows were read so far, by table."""

    async def read() -> dict[str, int]:
        async with database.connection() as connection:
            for statement in ("SELECT pg_stat_force_next_flush()", "SELECT 1"):
                await connection.execute(text(statement))
                await connection.commit()
            rows = (await connection.execute(text(READ))).all()
            await connection.commit()
        return {row.relname: row.rows for row in rows}

    return read


async def work(database: Database, *, marks: int = 100, published: int = 100) -> None:
    """What a consumer and a relay do for a batch."""
    async with database.transaction() as tx:
        events = [(EventId(uuid4()), uuid4()) for _ in range(marks)]
        assert len(await inbox.mark(tx, "test.answers", events)) == marks
        assert await inbox.set_aside(tx, "test.answers", [uuid4()])
        assert await inbox.is_handled(tx, "test.answers", events[0][0])
    async with database.connection() as connection, connection.begin():
        await outbox.delete(connection, await outbox.oldest(connection, published))


async def test_a_batch_reads_as_little_of_large_tables_as_of_small_ones(
    database: Database, read_rows: ReadRows
) -> None:
    for _ in range(6):
        await work(database)
    async with database.transaction() as tx:
        await tx.execute(GROW_INBOX, {"at": NOON})
        await tx.execute(GROW_OUTBOX)
    before = await read_rows()
    await work(database)
    after = await read_rows()

    assert after["inbox"] - before["inbox"] <= 10
    # Read, and found again to be deleted.
    assert after["outbox"] - before["outbox"] == 200


async def test_the_outbox_is_emptied_from_its_old_end_without_a_look_at_the_rest(
    database: Database, read_rows: ReadRows
) -> None:
    async with database.transaction() as tx:
        await tx.execute(GROW_OUTBOX)
    for _ in range(10):
        before = await read_rows()
        await work(database, marks=1, published=1_000)
        after = await read_rows()
        assert after["outbox"] - before["outbox"] == 2_000


async def test_the_plan_of_the_oldest_rows_follows_the_primary_key(database: Database, url: str) -> None:
    async with database.transaction() as tx:
        await tx.execute(GROW_OUTBOX)
    connection = await asyncpg.connect(url)
    plan = await connection.fetch(f"EXPLAIN {outbox._OLDEST.text.replace(':limit', '2000')}")
    await connection.close()
    assert any("outbox_pkey" in line[0] for line in plan)
    assert not any("Sort" in line[0] or "Seq Scan" in line[0] for line in plan)


async def test_pruning_takes_a_bounded_number_of_rows(url: str) -> None:
    later = Database.connect(url, clock=lambda: NOON + timedelta(days=400))
    async with later.transaction() as tx:
        await tx.execute(GROW_INBOX, {"at": NOON})
        assert await inbox.prune(tx)
        left = await tx.fetch_one(text("SELECT count(*) AS rows FROM inbox"))
    await later.close()
    assert left is not None
    assert left.rows == 40_000
