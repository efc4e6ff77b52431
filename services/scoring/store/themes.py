"""The taxonomy of comments in all its versions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import text

from services.scoring.domain.comments.reading import Reader
from services.scoring.domain.comments.taxonomy import Taxonomy, as_document, parse

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Row

    from libs.events.database import Tx

_CURRENT: Final = text("""
    SELECT version, CAST(document AS text) AS document, created_at, created_by, read_up_to, comments_read,
           comments_to_read
      FROM theme_taxonomies
     ORDER BY version DESC
     LIMIT 1
""")
_ADD: Final = text("""
    INSERT INTO theme_taxonomies (version, document, created_at, created_by, read_up_to)
    VALUES (:version, CAST(:document AS json), :now, :created_by, '')
""")
# Whoever reads stored comments holds the version; nobody else reads them meanwhile.
_CLAIM_UNREAD: Final = text("""
    SELECT version, CAST(document AS text) AS document, created_at, created_by, read_up_to, comments_read,
           comments_to_read
      FROM theme_taxonomies
     WHERE version = (SELECT max(version) FROM theme_taxonomies) AND read_up_to IS NOT NULL
       FOR UPDATE SKIP LOCKED
""")
_ANY_UNREAD: Final = text("""
    SELECT EXISTS (
        SELECT FROM theme_taxonomies
         WHERE version = (SELECT max(version) FROM theme_taxonomies) AND read_up_to IS NOT NULL
    ) AS unread
""")
_NOTE_READ: Final = text("""
    UPDATE theme_taxonomies SET read_up_to = :read_up_to, comments_read = comments_read + :read WHERE version = :version
""")
# Once for each version, in the loop that reads: seconds for millions, which nobody waits for.
_COUNT_TO_READ: Final = text("""
    UPDATE theme_taxonomies
       SET comments_to_read = (SELECT count(*) FROM responses WHERE comment IS NOT NULL)
     WHERE version = :version
""")
_VERSIONS: Final = text("""
    SELECT version, CAST(document AS text) AS document, created_at, created_by, read_up_to, comments_read,
           comments_to_read
      FROM theme_taxonomies
     WHERE version < :before
     ORDER BY version DESC
     LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class TaxonomyVersion:
    """A taxonomy as it was put into force."""

    version: int
    taxonomy: Taxonomy
    created_at: datetime
    created_by: str
    read_up_to: str | None = ""
    """The id of the last stored response whose comment was read by it; None when all were."""
    comments_read: int = 0
    comments_to_read: int | None = None
    """How many there were when the reading began; None before."""


async def current(tx: Tx) -> TaxonomyVersion:
    """The taxonomy in force; the migration laid down the first one."""
    (row,) = await tx.fetch(_CURRENT)
    return _version(row)


async def add(tx: Tx, new: TaxonomyVersion) -> None:
    """Put a version into force; under the lock `changing_themes`."""
    document = msgspec.json.encode(as_document(new.taxonomy)).decode()
    parameters = {"version": new.version, "document": document, "now": new.created_at, "created_by": new.created_by}
    await tx.execute(_ADD, parameters)


async def any_unread(tx: Tx) -> bool:
    """Whether there may be stored comments that the taxonomy in force has not read."""
    row = await tx.fetch_one(_ANY_UNREAD)
    return row is not None and bool(row.unread)


async def claim_unread(tx: Tx) -> tuple[TaxonomyVersion, Reader] | None:
    """The taxonomy in force, held until the end of `tx`, where stored comments have to be read by it."""
    row = await tx.fetch_one(_CLAIM_UNREAD)
    if row is None:
        return None
    return _version(row), reader_of(row.document)


async def count_to_read(tx: Tx, version: int) -> None:
    """Count the stored comments that this version has before it."""
    await tx.execute(_COUNT_TO_READ, {"version": version})


async def note_read(tx: Tx, version: int, read_up_to: str | None, read: int) -> None:
    """So many more stored comments are read by this version, up to the response with this id, or all (None)."""
    await tx.execute(_NOTE_READ, {"version": version, "read_up_to": read_up_to, "read": read})


async def versions(tx: Tx, *, before: int, limit: int) -> list[TaxonomyVersion]:
    """The versions before this one, the newest first."""
    rows = await tx.fetch(_VERSIONS, {"before": before, "limit": limit})
    # Not remembered: what is read once must not push out what every batch needs.
    return [_version(row, _parsed(row.document)) for row in rows]


def _version(row: Row[Any], taxonomy: Taxonomy | None = None) -> TaxonomyVersion:
    return TaxonomyVersion(
        row.version,
        _taxonomy(row.document) if taxonomy is None else taxonomy,
        row.created_at,
        row.created_by,
        row.read_up_to,
        row.comments_read,
        row.comments_to_read,
    )


def _parsed(document: str) -> Taxonomy:
    return parse(msgspec.json.decode(document))


@lru_cache(maxsize=2)
def _taxonomy(document: str) -> Taxonomy:
    return _parsed(document)


# Made ready once and not for every batch. The text is the key: versions of two databases have the same numbers.
@lru_cache(maxsize=2)
def reader_of(document: str) -> Reader:
    """Reads comments by the taxonomy of this document."""
    return Reader(_taxonomy(document))
