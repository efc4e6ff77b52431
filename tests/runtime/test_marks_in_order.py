"""Marks of a batch are set in one order, so that two processes that have the same events cannot wait for each other."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from sqlalchemy import text

from libs.events import inbox
from libs.events.database import Database
from libs.events.event import EventId

# In the order in which they were written, into a table that was empty.
WRITTEN = text("SELECT event_id FROM inbox ORDER BY ctid")


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """An empty database."""
    database = Database.connect(url)
    yield database
    await database.close()


async def test_events_are_marked_in_the_order_of_their_ids_however_they_come(database: Database) -> None:
    delivered = [(EventId(UUID(int=number * 7919 % 101)), UUID(int=number + 1000)) for number in range(1, 101)]

    async with database.transaction() as tx:
        new = await inbox.mark(tx, "test.answers", [*delivered, delivered[0]])
        written = [row.event_id for row in await tx.fetch(WRITTEN)]

    assert new == {event_id for event_id, _ in delivered}
    assert written == sorted(new)
    assert written != [event_id for event_id, _ in delivered]
