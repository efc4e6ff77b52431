"""Providers and employees' chats, as operators set them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import text

from services.notify.domain.providers import Provider

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from libs.events.contracts.messages import MessageChannel
    from libs.events.database import Tx

_COLUMNS: Final = "SELECT name, channel, CAST(document AS text) AS document, enabled, revision, by, at FROM providers"
_ALL: Final = text(f"{_COLUMNS} ORDER BY name LIMIT 100")
_ENABLED: Final = text(f"{_COLUMNS} WHERE enabled")
_ONE: Final = text(f"{_COLUMNS} WHERE name = :name")
_PUT: Final = text("""
    INSERT INTO providers (name, channel, document, enabled, revision, by, at)
    VALUES (:name, :channel, CAST(:document AS jsonb), :enabled, 1, :by, :now)
    ON CONFLICT (name) DO UPDATE
       SET channel = excluded.channel, document = excluded.document, enabled = excluded.enabled,
           revision = providers.revision + 1, by = excluded.by, at = excluded.at
""")
_SWITCH_OFF_OTHERS: Final = text("""
    UPDATE providers SET enabled = false, revision = revision + 1, by = :by, at = :now
     WHERE channel = :channel AND enabled AND name <> :name
""")
_CHAT: Final = text("SELECT employee_id, by, at FROM employee_chats WHERE employee_id = :employee_id")
_PUT_CHAT: Final = text("""
    INSERT INTO employee_chats (employee_id, address, by, at) VALUES (:employee_id, :address, :by, :now)
    ON CONFLICT (employee_id) DO UPDATE SET address = excluded.address, by = excluded.by, at = excluded.at
""")
_DELETE_CHAT: Final = text("DELETE FROM employee_chats WHERE employee_id = :employee_id")


async def listed(tx: Tx) -> Sequence[Row[Any]]:
    """All providers."""
    return await tx.fetch(_ALL)


async def one(tx: Tx, name: str) -> Row[Any] | None:
    """A provider."""
    return await tx.fetch_one(_ONE, {"name": name})


async def enabled(tx: Tx) -> dict[MessageChannel, Provider]:
    """The provider of each channel that has one."""
    return {row.channel: decoded(row) for row in await tx.fetch(_ENABLED)}


def decoded(row: Row[Any]) -> Provider:
    """A provider, its secrets included."""
    return msgspec.json.decode(row.document, type=Provider)


async def put(tx: Tx, provider: Provider, *, is_enabled: bool, by: str) -> None:
    """Set a provider; one that is switched on takes the place of the other of its channel."""
    whom = {"name": provider.name, "channel": provider.channel, "by": by, "now": tx.now}
    if is_enabled:
        await tx.execute(_SWITCH_OFF_OTHERS, whom)
    await tx.execute(_PUT, {**whom, "document": msgspec.json.encode(provider).decode(), "enabled": is_enabled})


async def chat(tx: Tx, employee_id: str) -> Row[Any] | None:
    """Who set an employee's chat, and when; never its address, which is a secret."""
    return await tx.fetch_one(_CHAT, {"employee_id": employee_id})


async def put_chat(tx: Tx, employee_id: str, address: str, *, by: str) -> None:
    """Tell an employee things in this chat from now on."""
    await tx.execute(_PUT_CHAT, {"employee_id": employee_id, "address": address, "by": by, "now": tx.now})


async def delete_chat(tx: Tx, employee_id: str) -> bool:
    """Write mails to an employee again; False where they had no chat."""
    return await tx.execute(_DELETE_CHAT, {"employee_id": employee_id}) == 1
