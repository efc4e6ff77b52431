"""API keys: made, listed, revoked and looked up. Only the SHA-256 of a key is stored.

A fast hash is right here: a key holds 256 random bits, so there is nothing to guess that a slow hash would
have to slow down. Nor does the comparison need constant time: the *hash* is looked up in an index, and knowing
how long that took for one hash says nothing about a key that has another.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Row

    from libs.events.database import Database, Tx

PREFIX: Final = "otk_"
_SHAPE: Final = re.compile(r"otk_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored: everything but the key."""

    id: str
    """The first 16 hexadecimal digits of its hash: enough to name it, nothing to use."""
    name: str
    scopes: frozenset[str]
    created_at: datetime
    revoked_at: datetime | None
    last_used_on: date | None


_INSERT = text("""
    INSERT INTO api_keys (key_hash, name, scopes, created_at)
    VALUES (:key_hash, :name, :scopes, :now)
    ON CONFLICT (key_hash) DO UPDATE
       SET name = excluded.name, scopes = excluded.scopes, revoked_at = NULL
""")

_REVOKE = text("""
    UPDATE api_keys SET revoked_at = :now
     WHERE left(encode(key_hash, 'hex'), 16) = :id AND revoked_at IS NULL
""")

_LIST = text("""
    SELECT encode(key_hash, 'hex') AS key_hash, name, scopes, created_at, revoked_at, last_used_on
      FROM api_keys
     ORDER BY created_at, key_hash
""")

_FIND = text("""
    SELECT encode(key_hash, 'hex') AS key_hash, name, scopes, created_at, revoked_at, last_used_on
      FROM api_keys
     WHERE key_hash = :key_hash AND revoked_at IS NULL
""")

_USED = text("""
    UPDATE api_keys SET last_used_on = :today
     WHERE key_hash = :key_hash AND last_used_on IS DISTINCT FROM :today
""")


def new_key() -> str:
    """A fresh secret; shown once, to whoever asked for it."""
    return PREFIX + secrets.token_urlsafe(32)


def well_formed(key: str) -> bool:
    """Whether it could be a key at all: anything else is refused without asking the database."""
    return _SHAPE.fullmatch(key) is not None


def hash_of(key: str) -> bytes:
    """What is stored of a key."""
    return hashlib.sha256(key.encode()).digest()


async def create_key(tx: Tx, *, name: str, scopes: Collection[str], key: str | None = None) -> str:
    """Store a key and return it. A given `key` (the local stack keeps its own) is stored again with these rights."""
    secret = key or new_key()
    if not well_formed(secret):
        raise ValueError("an API key is otk_ and 43 url-safe characters")
    await tx.execute(_INSERT, {"key_hash": hash_of(secret), "name": name, "scopes": sorted(scopes), "now": tx.now})
    return secret


async def revoke_key(tx: Tx, *, key_id: str) -> bool:
    """Revoke by the id that `list_keys` shows; takes effect everywhere within `auth.KeyRing`'s few seconds."""
    return await tx.execute(_REVOKE, {"id": key_id, "now": tx.now}) > 0


async def list_keys(tx: Tx) -> Sequence[ApiKey]:
    """All keys, revoked ones too, oldest first."""
    return [_api_key(row) for row in await tx.fetch(_LIST, {})]


async def find_key(database: Database, key: str) -> ApiKey | None:
    """The key with its rights, unless it is unknown or revoked. Notes the day of use, once a day."""
    key_hash = hash_of(key)
    async with database.reading() as tx:
        row = await tx.fetch_one(_FIND, {"key_hash": key_hash})
        today = tx.now.astimezone(UTC).date()
    if row is None:
        return None
    found = _api_key(row)
    if found.last_used_on != today:
        async with database.transaction() as tx:
            await tx.execute(_USED, {"key_hash": key_hash, "today": today})
    return found


def _api_key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.key_hash[:16],
        name=row.name,
        scopes=frozenset(row.scopes),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        last_used_on=row.last_used_on,
    )
