"""What is committed and not yet published: rows in, oldest first out."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
from sqlalchemy import text

from libs.events.codec import Headers
from libs.events.connections import taken
from libs.events.statements import Statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import TextClause
    from sqlalchemy.ext.asyncio import AsyncConnection


CHANNEL_PREFIX: Final = "outbox_"
"""PostgreSQL channels are per database and schemas are not: the channel is this and the schema's name."""


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """One record to be published."""

    topic: str
    key: str
    value: bytes | None
    headers: Headers


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """One stored record with its place in the outbox."""

    id: int
    record: Outgoing
    emitted_at: datetime


_STORE: Final = text("""
    INSERT INTO outbox (topic, key, value, headers, emitted_at)
    SELECT topic, key, value, headers, :emitted_at
      FROM unnest(CAST(:topics AS text[]), CAST(:partition_keys AS text[]),
                  CAST(:values AS bytea[]), CAST(:headers AS bytea[])) WITH ORDINALITY
           AS emitted (topic, key, value, headers, place)
     ORDER BY place
""")
_OLDEST: Final = text("SELECT id, topic, key, value, headers, emitted_at FROM outbox ORDER BY id LIMIT :limit")
_DELETE: Final = text("DELETE FROM outbox WHERE id = ANY(CAST(:ids AS bigint[]))")

pack_headers = msgspec.msgpack.Encoder().encode
"""The headers of a record as the outbox keeps them."""
_unpack = msgspec.msgpack.Decoder(tuple[tuple[str, bytes], ...]).decode


class Writer(Protocol):
    """Whatever runs a statement in the caller's transaction."""

    async def execute(self, statement: TextClause, parameters: dict[str, Any], /) -> object:
        """Run it."""


async def store(writer: Writer, outgoing: Sequence[Outgoing], *, now: datetime) -> None:
    """Write `outgoing` in order, in the caller's transaction."""
    await writer.execute(_STORE, _columns(outgoing, now))


def _columns(outgoing: Sequence[Outgoing], now: datetime) -> dict[str, Any]:
    return {
        "topics": [record.topic for record in outgoing],
        "partition_keys": [record.key for record in outgoing],
        "values": [record.value for record in outgoing],
        "headers": [pack_headers(record.headers) for record in outgoing],
        "emitted_at": now,
    }


async def oldest(connection: AsyncConnection, limit: int) -> list[Waiting]:
    """The oldest rows in the order in which they were written.

    A row that committed late with a low id is among the oldest next time: rows leave by deletion and not by passing
    a mark, so none is skipped.
    """
    rows: Sequence[Any] = await Statements(await taken(connection)).fetch(_OLDEST, {"limit": limit})
    return [
        Waiting(id_, Outgoing(topic, key, value, _unpack(headers)), emitted_at)
        for id_, topic, key, value, headers, emitted_at in rows
    ]


async def delete(connection: AsyncConnection, published: Sequence[Waiting]) -> None:
    """Remove what the broker has acknowledged."""
    await Statements(await taken(connection)).execute(_DELETE, {"ids": [row.id for row in published]})
