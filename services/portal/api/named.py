"""Who did something at another service, as a name: its callers are keys, and the people whom these spoke for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.portal import store

if TYPE_CHECKING:
    from collections.abc import Collection

    from libs.events.database import Database


async def named(database: Database, subjects: Collection[str]) -> dict[str, str]:
    """Names by subject ("portal/olga": a key, then a person); a key without a person is called by its own name."""
    people = {subject: subject.partition("/")[2] for subject in subjects}
    async with database.reading() as tx:
        names = await store.names_of(tx, {id_ for id_ in people.values() if id_})
    return {subject: names.get(id_, id_) or subject for subject, id_ in people.items()}
