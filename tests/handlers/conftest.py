"""What can be seen of a service's database from outside: what it published, what it asked, who waits for whom.

Each folder says which database that is: its own fixture `database`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text

from libs.events import outbox
from libs.events.codec import Record, decode
from libs.events.database import Database
from libs.events.event import Event

_WAITING = text("""
    SELECT count(*) AS sessions FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock'
""")


@pytest.fixture
def published(database: Database) -> Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]:
    """What is in the outbox, oldest first: (key, event)."""

    async def read() -> list[tuple[str, Event[Any]]]:
        async with database.engine.connect() as connection:
            waiting = await outbox.oldest(connection, 100_000)
        found = []
        for row in waiting:
            record = row.record
            event = decode(Record(record.topic, 0, row.id, record.key.encode(), record.value, record.headers))
            assert event is not None
            found.append((record.key, event))
        return found

    return read


@pytest.fixture
def statements(database: Database) -> Callable[[], AbstractContextManager[list[str]]]:
    """The statements that were executed inside the block."""

    @contextmanager
    def count() -> Iterator[list[str]]:
        seen: list[str] = []

        def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
            seen.append(statement)

        engine = database.engine.sync_engine
        sqlalchemy_event.listen(engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            sqlalchemy_event.remove(engine, "before_cursor_execute", note)

    return count


@pytest.fixture
def somebody_waits(database: Database) -> Callable[[], Awaitable[None]]:
    """Return as soon as a session waits for another one's lock."""

    async def wait() -> None:
        async with asyncio.timeout(60), database.engine.connect() as connection:
            while True:
                row = (await connection.execute(_WAITING)).one()
                await connection.rollback()
                if row.sessions:
                    return
                await asyncio.sleep(0.01)

    return wait


@pytest.fixture
def rows(database: Database) -> Callable[..., Awaitable[Sequence[Any]]]:
    async def fetch(statement: str, **parameters: object) -> Sequence[Any]:
        async with database.reading() as tx:
            return await tx.fetch(text(statement), parameters)

    return fetch
