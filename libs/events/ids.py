"""UUIDs of the database driver's class: a `uuid.UUID` in C, made, written and compared several times as fast.

Ids that are derived from one of these are of its class too (see `libs.events.event.named`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncpg.pgproto import pgproto

if TYPE_CHECKING:
    from uuid import UUID


def of_bytes(number: bytes) -> UUID:
    """The UUID of these 16 bytes."""
    return pgproto.UUID(number)  # type: ignore[no-any-return]  # asyncpg publishes no types


def parse(text: str) -> UUID:
    """The UUID that is written there; raises ValueError."""
    return pgproto.UUID(text)  # type: ignore[no-any-return]  # asyncpg publishes no types
