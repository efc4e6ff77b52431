"""Imports: files by their digests, how far each is read, and the rows that are errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import text

from services.ingest.domain.columns import ColumnMap
from services.ingest.domain.tables import Layout, Position
from services.ingest.store.reasons import stored, told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.ingest.domain.written_times import Times


@dataclass(frozen=True, slots=True)
class Written:
    """How a file is written, times included, and where its fields are."""

    layout: Layout
    times: Times
    columns: ColumnMap


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of rows; an error is one that is no row, or was not understood."""

    accepted: int = 0
    duplicates: int = 0
    ignored: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Import:
    """One file of one source. `given` is what was said of it; `written` None: nothing of it was seen yet."""

    id: UUID
    source: str
    name: str
    digest: bytes | None
    size: int | None
    given: Mapping[str, Any]
    written: Written | None
    position: Position
    counts: Counts
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """A row of a file that brought no response: where it is, why, and the delivery that keeps it, if it is a row."""

    line: int
    offset: int
    size: int
    reason: str
    delivery_id: UUID | None
    why: Mapping[str, Any] | None = None


_ADD: Final = text("""
    INSERT INTO imports
           (id, source, name, digest, size, given, read_bytes, read_lines, skipping, accepted, duplicates, ignored,
            errors, created_at, updated_at)
    VALUES (:id, :source, :name, :digest, :size, CAST(:given AS jsonb), 0, 0, FALSE, 0, 0, 0, 0, :now, :now)
        ON CONFLICT (source, digest, size) WHERE digest IS NOT NULL DO NOTHING
""")

_KNOWN: Final = text("""
    SELECT id, source, name, digest, size, CAST(given AS text) AS given, CAST(layout AS text) AS layout,
           CAST(column_map AS text) AS column_map, read_bytes, read_lines, skipping, accepted, duplicates, ignored,
           errors, created_at, updated_at, finished_at
      FROM imports
     WHERE source = :source AND digest = :digest AND size = :size
""")

_SOME: Final = text("""
    SELECT id, source, name, digest, size, CAST(given AS text) AS given, CAST(layout AS text) AS layout,
           CAST(column_map AS text) AS column_map, read_bytes, read_lines, skipping, accepted, duplicates, ignored,
           errors, created_at, updated_at, finished_at
      FROM imports
     WHERE id = ANY(CAST(:ids AS uuid[]))
""")

_PAGE: Final = text("""
    SELECT id, source, name, digest, size, CAST(given AS text) AS given, CAST(layout AS text) AS layout,
           CAST(column_map AS text) AS column_map, read_bytes, read_lines, skipping, accepted, duplicates, ignored,
           errors, created_at, updated_at, finished_at
      FROM imports
     WHERE (CAST(:source AS text) IS NULL OR source = :source)
       AND (CAST(:before AS uuid) IS NULL OR id < :before)
     ORDER BY id DESC
     LIMIT :limit
""")

_SAY_ANEW: Final = text("""
    UPDATE imports SET given = CAST(:given AS jsonb), updated_at = :now WHERE id = :id AND layout IS NULL
""")

_BEGIN: Final = text("""
    UPDATE imports
       SET layout = CAST(:layout AS jsonb), column_map = CAST(:column_map AS jsonb),
           read_bytes = :offset, read_lines = :line, updated_at = :now
     WHERE id = :id AND layout IS NULL
""")

_MAP_ANEW: Final = text("""
    UPDATE imports SET column_map = CAST(:column_map AS jsonb), updated_at = :now WHERE id = :id AND layout IS NOT NULL
""")

_ADVANCE: Final = text("""
    UPDATE imports
       SET read_bytes = :to_offset, read_lines = :to_line, skipping = :skipping,
           accepted = accepted + :accepted, duplicates = duplicates + :duplicates, ignored = ignored + :ignored,
           errors = errors + :errors, updated_at = :now,
           finished_at = CASE WHEN :finished THEN CAST(:now AS timestamptz) END
     WHERE id = :id AND read_bytes = :from_offset AND finished_at IS NULL
""")

_ADD_ERRORS: Final = text("""
    INSERT INTO import_errors (import_id, line, at_byte, size, reason, why, delivery_id)
    SELECT :id, line, at_byte, size, reason, CAST(why AS jsonb), delivery_id
      FROM unnest(CAST(:lines AS bigint[]), CAST(:offsets AS bigint[]), CAST(:sizes AS integer[]),
                  CAST(:reasons AS text[]), CAST(:whys AS text[]), CAST(:deliveries AS uuid[]))
           AS added (line, at_byte, size, reason, why, delivery_id)
""")

_ERRORS: Final = text("""
    SELECT line, at_byte, size, reason, CAST(why AS text) AS why, delivery_id
      FROM import_errors
     WHERE import_id = :id AND line > :after
     ORDER BY line
     LIMIT :limit
""")


async def find_or_add(
    tx: Tx, *, id_: UUID, source: str, name: str, digest: bytes | None, size: int | None, given: Mapping[str, Any]
) -> tuple[Import, bool]:
    """The import of this file, and whether it is new. Without a digest nobody knows whether the file is."""
    added = await tx.execute(
        _ADD,
        {
            "id": id_,
            "source": source,
            "name": name,
            "digest": digest,
            "size": size,
            "given": _json(given),
            "now": tx.now,
        },
    )
    if added:
        row = await tx.fetch_one(_SOME, {"ids": [id_]})
    else:
        row = await tx.fetch_one(_KNOWN, {"source": source, "digest": digest, "size": size})
    assert row is not None  # noqa: S101 - it was added, or was there; none is ever removed
    return _import(row), bool(added)


async def find(tx: Tx, id_: UUID) -> Import | None:
    """One import."""
    return (await some(tx, [id_])).get(id_)


async def some(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Import]:
    """Imports by their ids; those that there are."""
    return {row.id: _import(row) for row in await tx.fetch(_SOME, {"ids": list(ids)})}


async def page(tx: Tx, *, source: str | None, before: UUID | None, limit: int) -> list[Import]:
    """The newest imports, older than `before`."""
    return [_import(row) for row in await tx.fetch(_PAGE, {"source": source, "before": before, "limit": limit})]


async def say_anew(tx: Tx, id_: UUID, given: Mapping[str, Any]) -> bool:
    """Change what was said of a file of which nothing was seen yet; False where something was."""
    return bool(await tx.execute(_SAY_ANEW, {"id": id_, "given": _json(given), "now": tx.now}))


async def begin(tx: Tx, id_: UUID, written: Written, position: Position) -> bool:
    """How the file is written, and where its rows begin; False where that is known already."""
    layout = {**msgspec.to_builtins(written.layout), "times": written.times}
    return bool(
        await tx.execute(
            _BEGIN,
            {
                "id": id_,
                "layout": _json(layout),
                "column_map": _json(written.columns.as_json()),
                "offset": position.offset,
                "line": position.line,
                "now": tx.now,
            },
        )
    )


async def map_anew(tx: Tx, id_: UUID, columns: ColumnMap) -> bool:
    """The rest of the file, and what is replayed of it, is understood by this map; False where nothing was seen yet."""
    return bool(await tx.execute(_MAP_ANEW, {"id": id_, "column_map": _json(columns.as_json()), "now": tx.now}))


async def advance(
    tx: Tx,
    id_: UUID,
    *,
    seen: Position,
    to: Position,
    counts: Counts,
    errors: Sequence[ErrorRow],
    finished: bool,
) -> bool:
    """In the transaction that records the rows before `to`; False where the file is not read up to `seen` just now."""
    moved = await tx.execute(
        _ADVANCE,
        {
            "id": id_,
            "from_offset": seen.offset,
            "to_offset": to.offset,
            "to_line": to.line,
            "skipping": to.skipping,
            "accepted": counts.accepted,
            "duplicates": counts.duplicates,
            "ignored": counts.ignored,
            "errors": counts.errors,
            "finished": finished,
            "now": tx.now,
        },
    )
    if moved and errors:
        await tx.execute(
            _ADD_ERRORS,
            {
                "id": id_,
                "lines": [error.line for error in errors],
                "offsets": [error.offset for error in errors],
                "sizes": [error.size for error in errors],
                "reasons": [error.reason for error in errors],
                "whys": [stored(error.reason) for error in errors],
                "deliveries": [error.delivery_id for error in errors],
            },
        )
    return bool(moved)


async def errors_after(tx: Tx, id_: UUID, *, line: int, limit: int) -> list[ErrorRow]:
    """The errors after `line`, in the file's order."""
    rows = await tx.fetch(_ERRORS, {"id": id_, "after": line, "limit": limit})
    return [ErrorRow(row.line, row.at_byte, row.size, row.reason, row.delivery_id, told(row.why)) for row in rows]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _import(row: Row[Any]) -> Import:
    written = None
    if row.layout is not None:
        stored = msgspec.json.decode(row.layout)
        times = stored.pop("times")
        columns = ColumnMap.from_json(msgspec.json.decode(row.column_map))
        written = Written(msgspec.convert(stored, Layout), times, columns)
    return Import(
        id=row.id,
        source=row.source,
        name=row.name,
        digest=row.digest,
        size=row.size,
        given=msgspec.json.decode(row.given),
        written=written,
        position=Position(row.read_bytes, row.read_lines, row.skipping),
        counts=Counts(row.accepted, row.duplicates, row.ignored, row.errors),
        created_at=row.created_at,
        updated_at=row.updated_at,
        finished_at=row.finished_at,
    )
