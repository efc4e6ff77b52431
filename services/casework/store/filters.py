"""Filters of the list of cases that people have saved, for themselves or for their team."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.database import Tx

_SEEN: Final = text("""
    SELECT filters.id, filters.owner_id, owners.name AS owner_name, filters.team_id, teams.name AS team_name,
           filters.name, CAST(filters.filter AS text) AS filter, filters.version
      FROM saved_filters AS filters
      LEFT JOIN agents AS owners ON owners.id = filters.owner_id
      LEFT JOIN teams ON teams.id = filters.team_id
     WHERE filters.owner_id = :person
        OR filters.team_id = (SELECT team_id FROM agents WHERE id = :person)
     ORDER BY filters.owner_id <> :person, filters.name, filters.id
""")

_ONE: Final = text("""
    SELECT filters.id, filters.owner_id, owners.name AS owner_name, filters.team_id, teams.name AS team_name,
           filters.name, CAST(filters.filter AS text) AS filter, filters.version
      FROM saved_filters AS filters
      LEFT JOIN agents AS owners ON owners.id = filters.owner_id
      LEFT JOIN teams ON teams.id = filters.team_id
     WHERE filters.id = :id
""")

_LOCK: Final = text("SELECT owner_id, version FROM saved_filters WHERE id = :id FOR UPDATE")

# Two at once may pass a number that is there to be sane, and not to be exact.
_COUNT: Final = text("SELECT count(*) AS filters FROM saved_filters WHERE owner_id = :person")

_PUT: Final = text("""
    INSERT INTO saved_filters (id, owner_id, team_id, name, filter, version)
    VALUES (:id, :owner_id, :team_id, :name, CAST(:filter AS json), 1)
        ON CONFLICT (id) DO UPDATE
       SET team_id = excluded.team_id, name = excluded.name, filter = excluded.filter,
           version = saved_filters.version + 1
""")

_DELETE: Final = text("DELETE FROM saved_filters WHERE id = :id")

_json: Final = msgspec.json.Encoder().encode


async def seen_by(tx: Tx, person: str) -> Sequence[Row[Any]]:
    """The person's own filters, then those that others share with their team."""
    return await tx.fetch(_SEEN, {"person": person})


async def find(tx: Tx, id_: UUID) -> Row[Any] | None:
    """The filter."""
    return await tx.fetch_one(_ONE, {"id": id_})


async def lock(tx: Tx, id_: UUID) -> Row[Any] | None:
    """Whose it is and its version, locked."""
    return await tx.fetch_one(_LOCK, {"id": id_})


async def count_of(tx: Tx, person: str) -> int:
    """How many filters the person has saved."""
    row = await tx.fetch_one(_COUNT, {"person": person})
    return 0 if row is None else int(row.filters)


async def put(
    tx: Tx, id_: UUID, *, owner_id: str, team_id: str | None, name: str, filter_: Mapping[str, object]
) -> None:
    """Create the filter or replace it; whose it is stays."""
    await tx.execute(
        _PUT,
        {
            "id": id_,
            "owner_id": owner_id,
            "team_id": team_id,
            "name": name,
            "filter": _json(filter_).decode(),
        },
    )


async def delete(tx: Tx, id_: UUID) -> None:
    """Take the filter away."""
    await tx.execute(_DELETE, {"id": id_})
