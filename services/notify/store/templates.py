"""Templates: drafts, what was published, and what is in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from services.notify.templating import Source

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from sqlalchemy import Row

    from libs.events.contracts.customers import Language
    from libs.events.contracts.messages import MessageKind
    from libs.events.database import Tx
    from services.notify.letters import TemplateKey

# Two who make a draft at once take their numbers one after the other.
_LOCK: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_ADD: Final = text("""
    INSERT INTO templates (kind, language, version, subject, body, html, note, shipped, author, created_at, changed_at)
    SELECT :kind, :language, coalesce(max(version), 0) + 1, :subject, :body, :html, :note, :shipped, :author, :now, :now
      FROM templates WHERE kind = :kind AND language = :language
 RETURNING version
""")
_CHANGE: Final = text("""
    UPDATE templates
       SET subject = :subject, body = :body, html = :html, note = :note, author = :author, changed_at = :now,
           revision = revision + 1
     WHERE kind = :kind AND language = :language AND version = :version AND published_at IS NULL
""")
_PUBLISH: Final = text("""
    UPDATE templates SET published_at = :now, published_by = :by
     WHERE kind = :kind AND language = :language AND version = :version AND published_at IS NULL
""")
_USE: Final = text("""
    INSERT INTO templates_in_use (kind, language, version, since, by)
    VALUES (:kind, :language, :version, :now, :by)
    ON CONFLICT (kind, language) DO UPDATE SET version = excluded.version, since = excluded.since, by = excluded.by
""")
_VERSIONS: Final = text("""
    SELECT t.*, u.version IS NOT NULL AS in_use
      FROM templates t
      LEFT JOIN templates_in_use u ON u.kind = t.kind AND u.language = t.language AND u.version = t.version
     WHERE (t.kind = :kind OR CAST(:kind AS text) IS NULL)
       AND (t.language = :language OR CAST(:language AS text) IS NULL)
       AND (t.version = :version OR CAST(:version AS integer) IS NULL)
     ORDER BY t.kind, t.language, t.version DESC
     LIMIT 1000
""")
_SOURCES: Final = text("""
    SELECT t.kind, t.language, t.version, t.subject, t.body, t.html
      FROM templates t
      JOIN unnest(CAST(:kinds AS text[]), CAST(:languages AS text[]), CAST(:versions AS integer[]))
           AS wanted (kind, language, version)
        ON t.kind = wanted.kind AND t.language = wanted.language AND t.version = wanted.version
""")
_NEWEST_SHIPPED: Final = text("""
    SELECT DISTINCT ON (t.kind, t.language) t.kind, t.language, t.subject, t.body, t.html, u.shipped AS shipped_in_use
      FROM templates t
      LEFT JOIN (SELECT n.kind, n.language, m.shipped FROM templates_in_use n
                   JOIN templates m ON m.kind = n.kind AND m.language = n.language AND m.version = n.version) u
        ON u.kind = t.kind AND u.language = t.language
     WHERE t.shipped
     ORDER BY t.kind, t.language, t.version DESC
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a template."""

    kind: MessageKind
    language: Language
    version: int
    source: Source
    note: str
    shipped: bool
    revision: int
    author: str
    created_at: datetime
    changed_at: datetime
    published_at: datetime | None
    published_by: str | None
    in_use: bool


async def lock(tx: Tx) -> None:
    """Until the transaction ends, nobody else makes or publishes templates."""
    await tx.execute(_LOCK, {"name": "notify.templates"})


async def add(
    tx: Tx, kind: MessageKind, language: Language, source: Source, *, author: str, note: str = "", shipped: bool = False
) -> int:
    """Keep a new draft; its version. The transaction holds the lock."""
    row = await tx.fetch_one(_ADD, {**_identity(kind, language), **_parts(source), "note": note, "shipped": shipped,
                                    "author": author, "now": tx.now})  # fmt: skip
    assert row is not None  # noqa: S101 - it returns what it inserted
    version: int = row.version
    return version


async def change(tx: Tx, seen: Version, source: Source, *, author: str, note: str) -> bool:
    """Change a draft; False where it was published meanwhile."""
    parameters = {**_identity(seen.kind, seen.language), **_parts(source), "version": seen.version}
    return await tx.execute(_CHANGE, {**parameters, "note": note, "author": author, "now": tx.now}) == 1


async def publish(tx: Tx, kind: MessageKind, language: Language, version: int, *, by: str) -> None:
    """Let this version be used from now on; one that was published before is used again."""
    parameters = {**_identity(kind, language), "version": version, "by": by, "now": tx.now}
    await tx.execute(_PUBLISH, parameters)
    await tx.execute(_USE, parameters)


async def versions(
    tx: Tx, kind: MessageKind | None = None, language: Language | None = None, version: int | None = None
) -> list[Version]:
    """The versions of one kind and language, or of all, the newest first."""
    rows = await tx.fetch(_VERSIONS, {"kind": kind, "language": language, "version": version})
    return [
        Version(
            kind=row.kind,
            language=row.language,
            version=row.version,
            source=_source(row),
            note=row.note,
            shipped=row.shipped,
            revision=row.revision,
            author=row.author,
            created_at=row.created_at,
            changed_at=row.changed_at,
            published_at=row.published_at,
            published_by=row.published_by,
            in_use=row.in_use,
        )
        for row in rows
    ]


async def sources(tx: Tx, keys: Collection[TemplateKey]) -> dict[TemplateKey, Source]:
    """What these templates say."""
    wanted = list(keys)
    rows = await tx.fetch(
        _SOURCES,
        {
            "kinds": [kind for kind, _, _ in wanted],
            "languages": [language for _, language, _ in wanted],
            "versions": [version for _, _, version in wanted],
        },
    )
    return {(row.kind, row.language, row.version): _source(row) for row in rows}


async def ship(tx: Tx, release: Mapping[tuple[MessageKind, Language], Source]) -> int:
    """Keep the templates of this release where they are new, and use them unless the company has its own; how many."""
    await lock(tx)
    known = {(row.kind, row.language): row for row in await tx.fetch(_NEWEST_SHIPPED)}
    added = 0
    for (kind, language), source in release.items():
        before = known.get((kind, language))
        if before is not None and _source(before) == source:
            continue
        version = await add(tx, kind, language, source, author="otklik", note="", shipped=True)
        if before is None or before.shipped_in_use:
            await publish(tx, kind, language, version, by="otklik")
        added += 1
    return added


def _identity(kind: MessageKind, language: Language) -> dict[str, str]:
    return {"kind": kind, "language": language}


def _parts(source: Source) -> dict[str, str]:
    return {"subject": source.subject, "body": source.text, "html": source.html}


def _source(row: Row[Any]) -> Source:
    return Source(subject=row.subject, text=row.body, html=row.html)
