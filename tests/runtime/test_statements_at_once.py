"""A statement that is a transaction by itself: committed when it is answered, and whole or not at all."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from libs.events.database import Database
from libs.events.errors import is_unavailable

_STORE = text("""
    WITH stored AS (
        INSERT INTO outbox (topic, key, headers, emitted_at)
        SELECT 'customers', key, '', now() FROM unnest(CAST(:keys AS text[])) AS emitted (key)
    ), marked AS (
        INSERT INTO inbox (event_id, consumer, handled_at)
        SELECT '00000000-0000-4000-8000-000000000000', key, now() FROM unnest(CAST(:keys AS text[])) AS emitted (key)
    )
    SELECT pg_backend_pid() AS process
""")
_KEYS = text("SELECT key FROM outbox ORDER BY id")
_TERMINATE = text("SELECT pg_terminate_backend(:process)")


@asynccontextmanager
async def connected(url: str, pool_size: int) -> AsyncIterator[Database]:
    database = Database.connect(url, pool_size=pool_size)
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
def url(service_database: Callable[[str], str]) -> str:
    return service_database("ingest")


async def keys(database: Database) -> list[str]:
    async with database.reading() as tx:
        return [row.key for row in await tx.fetch(_KEYS)]


@pytest.mark.parametrize("pool_size", [2, 8])
async def test_what_is_answered_is_committed_and_an_error_leaves_nothing(url: str, pool_size: int) -> None:
    async with connected(url, pool_size) as database:
        for number in range(3):
            await database.at_once(_STORE, {"keys": [f"k-{number}"]})
        with pytest.raises(IntegrityError):
            await database.at_once(_STORE, {"keys": ["k-new", "k-1"]})
        await database.at_once(_STORE, {"keys": ["k-3"]})
        assert await keys(database) == ["k-0", "k-1", "k-2", "k-3"]
        assert database.committed.is_set()


async def test_many_at_once_take_turns(url: str) -> None:
    async with connected(url, 4) as database:
        await asyncio.gather(*(database.at_once(_STORE, {"keys": [f"k-{number:02d}"]}) for number in range(40)))
        assert sorted(await keys(database)) == [f"k-{number:02d}" for number in range(40)]


async def test_a_connection_that_was_cut_is_an_outage_once(url: str) -> None:
    async with connected(url, 8) as database:
        [row] = await database.at_once(_STORE, {"keys": ["before"]})
        async with database.transaction() as tx:
            await tx.fetch(_TERMINATE, {"process": row.process})
        cut: list[Any] = []
        for number in range(3):
            try:
                await database.at_once(_STORE, {"keys": [f"after-{number}"]})
            except (DBAPIError, asyncpg.PostgresError, OSError) as error:
                cut.append(error)
        assert all(map(is_unavailable, cut))
        assert len(cut) <= 1
        assert (await keys(database))[-1] == "after-2"


async def test_a_relay_in_another_process_is_woken(url: str) -> None:
    async with connected(url, 8) as database:
        woken = asyncio.Event()
        listening = await asyncpg.connect(url)
        await listening.add_listener("outbox_ingest", lambda *_: woken.set())
        await database.at_once(_STORE, {"keys": ["k"]})
        async with asyncio.timeout(60):
            await woken.wait()
        await listening.close()
