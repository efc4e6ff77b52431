"""Sources and their secrets. A secret's text is selected to verify or to compare with, never for an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import text

from libs.events.contracts.responses import Instrument
from services.ingest.domain.fields import Field, FieldMap, Place
from services.ingest.domain.sources import Source, StoredSecret, network_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.database import Tx

_instrument: Final = msgspec.json.Decoder(Instrument).decode
_field_map: Final = msgspec.json.Decoder(dict[Field, dict[Place, str]]).decode


@dataclass(frozen=True, slots=True)
class SecretNote:
    """What may be told about a secret."""

    id: UUID
    created_at: datetime
    valid_until: datetime | None


@dataclass(frozen=True, slots=True)
class SourceNote:
    """What may be told about a source: everything but its secrets."""

    source: Source
    created_at: datetime
    updated_at: datetime
    secrets: tuple[SecretNote, ...]


_ENABLED: Final = text("""
    SELECT name, vendor, program, CAST(instrument AS text) AS instrument, touchpoint, language, time_zone,
           CAST(field_map AS text) AS field_map, enabled, version, keep_days, networks,
           ARRAY(SELECT secret FROM source_secrets WHERE source = name ORDER BY created_at, id) AS secrets,
           ARRAY(SELECT valid_until FROM source_secrets WHERE source = name ORDER BY created_at, id) AS secrets_until
      FROM sources
     WHERE enabled AND deleted_at IS NULL
""")

_NOTES: Final = text("""
    SELECT name, vendor, program, CAST(instrument AS text) AS instrument, touchpoint, language, time_zone,
           CAST(field_map AS text) AS field_map, enabled, version, keep_days, networks, created_at,
           updated_at
      FROM sources
     WHERE deleted_at IS NULL
       AND (CAST(:name AS text) IS NULL OR name = :name)
       AND (CAST(:after AS text) IS NULL OR name > :after)
     ORDER BY name
     LIMIT :limit
""")

_SECRET_NOTES: Final = text("""
    SELECT id, source, created_at, valid_until
      FROM source_secrets
     WHERE source = ANY(CAST(:sources AS text[])) AND (valid_until IS NULL OR valid_until > :now)
     ORDER BY valid_until NULLS LAST, created_at, id
""")

# Created, changed, or brought back, in one statement; no row where `expected` is not the version that is there,
# or where there shall be none.
_PUT: Final = text("""
    INSERT INTO sources AS present
           (name, vendor, program, instrument, touchpoint, language, time_zone, field_map, enabled,
            keep_days, networks, version, created_at, updated_at)
    SELECT :name, :vendor, :program, CAST(:instrument AS jsonb), :touchpoint, :language, :time_zone,
           CAST(:field_map AS jsonb), :enabled, :keep_days, CAST(:networks AS text[]), 1, :now, :now
     WHERE CAST(:expected AS integer) IS NULL
        OR EXISTS (SELECT FROM sources WHERE name = :name AND deleted_at IS NULL)
        ON CONFLICT (name) DO UPDATE
       SET vendor = excluded.vendor, program = excluded.program, instrument = excluded.instrument,
           touchpoint = excluded.touchpoint, language = excluded.language, time_zone = excluded.time_zone,
           field_map = excluded.field_map, enabled = excluded.enabled, keep_days = excluded.keep_days,
           networks = excluded.networks, version = present.version + 1, updated_at = excluded.updated_at,
           deleted_at = NULL
     WHERE (CAST(:expected AS integer) IS NULL OR present.version = :expected)
       AND (NOT :only_new OR present.deleted_at IS NOT NULL)
    RETURNING version
""")

_HOLD: Final = text("SELECT vendor, version FROM sources WHERE name = :name AND deleted_at IS NULL FOR UPDATE")

_DELETE: Final = text("""
    UPDATE sources
       SET deleted_at = :now, updated_at = :now, version = version + 1
     WHERE name = :name AND deleted_at IS NULL
""")

_TEXTS: Final = text("""
    SELECT secret, valid_until FROM source_secrets
     WHERE source = :source AND (valid_until IS NULL OR valid_until > :now)
     ORDER BY created_at, id
""")

_FORGET_SECRETS: Final = text("DELETE FROM source_secrets WHERE source = :source")
_FORGET_EXPIRED: Final = text("DELETE FROM source_secrets WHERE source = :source AND valid_until <= :now")
_LIMIT_SECRETS: Final = text("UPDATE source_secrets SET valid_until = :until WHERE source = :source")
_ADD_SECRET: Final = text("""
    INSERT INTO source_secrets (id, source, secret, created_at) VALUES (:id, :source, :secret, :now)
""")


async def enabled_sources(tx: Tx) -> Sequence[Source]:
    """All sources that take deliveries, with their secrets, for the verifier."""
    return [
        _source(row, tuple(StoredSecret(*secret) for secret in zip(row.secrets, row.secrets_until, strict=True)))
        for row in await tx.fetch(_ENABLED)
    ]


async def notes(tx: Tx, *, after: str | None, limit: int) -> Sequence[SourceNote]:
    """A page of sources by name."""
    return await _notes(tx, name=None, after=after, limit=limit)


async def note(tx: Tx, name: str) -> SourceNote | None:
    """One source; None where it does not exist or was deleted."""
    found = await _notes(tx, name=name, after=None, limit=1)
    return found[0] if found else None


async def hold(tx: Tx, name: str) -> tuple[str, int] | None:
    """The vendor and version of a source, which nobody else changes until the transaction ends."""
    row = await tx.fetch_one(_HOLD, {"name": name})
    return None if row is None else (row.vendor, row.version)


async def put(tx: Tx, source: Source, *, expected: int | None, only_new: bool = False) -> int | None:
    """Store `source` (not its secrets); the new version, or None where another than `expected`, or any, is there."""
    row = await tx.fetch_one(
        _PUT,
        {
            "name": source.name,
            "vendor": source.vendor,
            "program": source.program,
            "instrument": msgspec.json.encode(source.instrument).decode(),
            "touchpoint": source.touchpoint,
            "language": source.language,
            "time_zone": source.time_zone,
            "field_map": msgspec.json.encode(source.fields.as_json()).decode(),
            "enabled": source.enabled,
            "keep_days": source.keep_days,
            "networks": [str(network) for network in source.networks],
            "expected": expected,
            "only_new": only_new,
            "now": tx.now,
        },
    )
    return None if row is None else int(row.version)


async def delete(tx: Tx, name: str) -> bool:
    """Take a source out of use, and forget its secrets; what it delivered stays."""
    found = await tx.execute(_DELETE, {"name": name, "now": tx.now}) > 0
    if found:
        await tx.execute(_FORGET_SECRETS, {"source": name})
    return found


async def active_secrets(tx: Tx, source: str) -> Sequence[str]:
    """The texts that are valid now, to compare a given one with. The source must be held."""
    return [row.secret for row in await tx.fetch(_TEXTS, {"source": source, "now": tx.now})]


async def replace_secrets(tx: Tx, source: str, *, id_: UUID, secret: str) -> None:
    """Make `secret` the only one, from now on."""
    await tx.execute(_FORGET_SECRETS, {"source": source})
    await tx.execute(_ADD_SECRET, {"id": id_, "source": source, "secret": secret, "now": tx.now})


async def rotate_secret(tx: Tx, source: str, *, id_: UUID, secret: str, old_until: datetime) -> None:
    """Add `secret`; what was valid stays so until `old_until`."""
    await tx.execute(_FORGET_EXPIRED, {"source": source, "now": tx.now})
    await tx.execute(_LIMIT_SECRETS, {"source": source, "until": old_until})
    await tx.execute(_ADD_SECRET, {"id": id_, "source": source, "secret": secret, "now": tx.now})


async def _notes(tx: Tx, *, name: str | None, after: str | None, limit: int) -> list[SourceNote]:
    rows = await tx.fetch(_NOTES, {"name": name, "after": after, "limit": limit})
    secrets: dict[str, list[SecretNote]] = {row.name: [] for row in rows}
    for row in await tx.fetch(_SECRET_NOTES, {"sources": list(secrets), "now": tx.now}):
        secrets[row.source].append(SecretNote(row.id, row.created_at, row.valid_until))
    return [SourceNote(_source(row, ()), row.created_at, row.updated_at, tuple(secrets[row.name])) for row in rows]


def _source(row: Row[Any], secrets: tuple[StoredSecret, ...]) -> Source:
    return Source(
        name=row.name,
        vendor=row.vendor,
        program=row.program,
        instrument=_instrument(row.instrument),
        touchpoint=row.touchpoint,
        language=row.language,
        time_zone=row.time_zone,
        fields=FieldMap.from_json(_field_map(row.field_map)),
        enabled=row.enabled,
        version=row.version,
        secrets=secrets,
        keep_days=row.keep_days,
        networks=tuple(map(network_of, row.networks)),
    )
