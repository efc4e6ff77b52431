"""UUIDs of the database driver's class: a `uuid.UUID` in C, made, written and compared several times as fast."""

from __future__ import annotations

from hashlib import sha1
from typing import TYPE_CHECKING

from asyncpg.pgproto import pgproto

if TYPE_CHECKING:
    from uuid import UUID


def parse(text: str) -> UUID:
    """The UUID that is written there; raises ValueError."""
    return pgproto.UUID(text)  # type: ignore[no-any-return]  # asyncpg publishes no types


def named(namespace: UUID, name: str) -> UUID:
    """The same as `uuid.uuid5`."""
    digest = bytearray(sha1(namespace.bytes + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return pgproto.UUID(bytes(digest))  # type: ignore[no-any-return]  # asyncpg publishes no types
