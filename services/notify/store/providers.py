"""Providers and employees' chats, as operators set them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import text

from services.notify.domain.providers import Provider

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

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
# What is not over says why; what went out in the end has only its failed attempts to tell.
_ANSWERS: Final = text("""
    SELECT p.name, count(*) FILTER (WHERE m.status = 'sent') AS delivered,
           coalesce(sum(m.failures), 0) AS later, count(*) FILTER (WHERE m.status = 'failed') AS never,
           count(*) FILTER (WHERE m.status = 'doubtful') AS doubtful,
           (array_agg(m.reason ORDER BY m.changed_at DESC)
              FILTER (WHERE m.reason IS NOT NULL AND m.status IN ('queued', 'failed', 'doubtful')))[1] AS trouble,
           max(m.changed_at) FILTER (WHERE m.reason IS NOT NULL AND m.status IN ('queued', 'failed', 'doubtful'))
               AS trouble_at
      FROM providers p
      LEFT JOIN messages m ON m.provider = p.name AND m.changed_at > :since
     GROUP BY p.name
     ORDER BY p.name
""")
# Of mails there may be a million: each number is counted to `enough`, by the index of states.
_MAILS: Final = text("""
    SELECT s.status, (SELECT count(*)
                        FROM (SELECT FROM messages m
                               WHERE m.status = s.status AND m.created_at > :since AND m.provider IS NULL
                                 AND m.channel IS DISTINCT FROM 'chat' AND (m.failures > 0 OR s.status <> 'queued')
                               LIMIT :enough) AS found) AS mails
      FROM unnest(CAST(:statuses AS text[])) AS s (status)
""")
_MAIL_TROUBLE: Final = text("""
    SELECT reason, changed_at FROM (
        (SELECT reason, changed_at FROM messages
          WHERE status = 'failed' AND created_at > :since AND provider IS NULL AND channel IS DISTINCT FROM 'chat'
          ORDER BY created_at DESC, id DESC LIMIT 1)
         UNION ALL
        (SELECT reason, changed_at FROM messages
          WHERE status = 'doubtful' AND created_at > :since AND provider IS NULL AND channel IS DISTINCT FROM 'chat'
          ORDER BY created_at DESC, id DESC LIMIT 1)) AS latest
     ORDER BY changed_at DESC LIMIT 1
""")
_COUNT_CHATS: Final = text("SELECT count(*) AS chats FROM employee_chats")
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


async def answers(tx: Tx, *, since: datetime) -> Sequence[Row[Any]]:
    """What came of the messages that each provider was asked to send since then, and the latest trouble with it."""
    return await tx.fetch(_ANSWERS, {"since": since})


async def mails(tx: Tx, *, since: datetime, enough: int) -> dict[str, int]:
    """Of mails written since then how many are in each state, `queued` only those that were tried; up to `enough`."""
    parameters = {"since": since, "enough": enough, "statuses": ["sent", "queued", "failed", "doubtful"]}
    return {row.status: row.mails for row in await tx.fetch(_MAILS, parameters)}


async def mail_trouble(tx: Tx, *, since: datetime) -> Row[Any] | None:
    """The latest mail since then that did not go out for certain: why, and when."""
    return await tx.fetch_one(_MAIL_TROUBLE, {"since": since})


async def count_chats(tx: Tx) -> int:
    """How many employees are told things in chat."""
    row = await tx.fetch_one(_COUNT_CHATS)
    return 0 if row is None else int(row.chats)
