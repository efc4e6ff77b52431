"""The rules of contact, what customers said to it, what was sent to them lately, and what had to wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import text

from services.notify.domain.contacts import Rules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.contracts.messages import MessageKind
    from libs.events.database import Tx
    from services.notify.domain.contacts import Waits
    from services.notify.domain.messages import Entry, MessageId

_RULES: Final = text("""
    SELECT revision, CAST(document AS text) AS document, by, at FROM contact_rules ORDER BY revision DESC LIMIT 1
""")
_PUT_RULES: Final = text("""
    INSERT INTO contact_rules (revision, document, by, at)
    VALUES (:revision, CAST(:document AS jsonb), :by, :now) ON CONFLICT DO NOTHING
""")
_CHOICES: Final = text("SELECT CAST(choices AS text) AS choices FROM contact_choices WHERE customer_id = :customer_id")
_READER: Final = text("""
    SELECT m.id, m.customer_id, m.address_mark, coalesce(p.language, m.language) AS language
      FROM messages m LEFT JOIN profiles p ON p.customer_id = m.customer_id
     WHERE m.id = :id
""")
_CHOOSE: Final = text("""
    INSERT INTO contact_choices (customer_id, choices) VALUES (:customer_id, CAST(:choice AS jsonb))
    ON CONFLICT (customer_id) DO UPDATE SET choices = contact_choices.choices || excluded.choices
""")
# Who was told to be written to again is, unless they refused since then.
_LIFT: Final = text("""
    UPDATE contact_choices AS c
       SET choices = coalesce((SELECT jsonb_object_agg(said.key, said.value) FROM jsonb_each(c.choices) AS said
                                WHERE NOT (said.key LIKE 'email/%' AND NOT CAST(said.value ->> 'granted' AS boolean)
                                           AND CAST(said.value ->> 'at' AS timestamptz) < told.at)), '{}')
      FROM (SELECT customer_id, at
              FROM unnest(CAST(:customer_ids AS text[]), CAST(:times AS timestamptz[])) AS told (customer_id, at)
             ORDER BY customer_id) AS told
     WHERE c.customer_id = told.customer_id
""")
# In one order, so that two senders that hold several of the same customers do not wait for each other.
_ONE_AT_A_TIME: Final = text("""
    SELECT pg_advisory_xact_lock(hashtextextended(customer_id, 7))
      FROM (SELECT DISTINCT customer_id FROM unnest(CAST(:customer_ids AS text[])) AS of (customer_id)
             ORDER BY customer_id) AS ordered
""")
_SENT_LATELY: Final = text("""
    SELECT m.customer_id, m.kind, coalesce(m.transmitting_at, m.changed_at) AS at
      FROM messages m
     WHERE m.customer_id = ANY(CAST(:customer_ids AS text[])) AND m.kind = ANY(CAST(:kinds AS text[]))
       AND m.status IN ('sending', 'transmitting', 'sent', 'doubtful')
       AND m.created_at > :since AND m.id <> ALL(CAST(:besides AS uuid[]))
""")
_WAIT: Final = text("""
    WITH waiting AS (
             SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:reasons AS text[]), CAST(:channels AS text[]),
                                  CAST(:untils AS timestamptz[]), CAST(:attempts AS integer[]))
                           AS waiting (id, reason, channel, until, attempt)),
         put_off AS (
             UPDATE messages m SET status = 'queued', reason = w.reason, sender = NULL, changed_at = :now,
                    due_at = w.until
               FROM waiting w WHERE m.id = w.id AND m.attempt = w.attempt AND m.status = 'sending'
          RETURNING m.id, m.attempt)
    INSERT INTO waits (message_id, attempt, reason, channel, until, at)
    SELECT p.id, p.attempt, w.reason, w.channel, w.until, :now FROM put_off p JOIN waiting w ON w.id = p.id
 RETURNING message_id AS id
""")
_HELD: Final = text("""
    SELECT * FROM (
        SELECT w.message_id AS id, w.at, w.reason, w.until, w.channel, m.kind, m.status, m.case_id, m.customer_id,
               m.employee_id
          FROM waits w JOIN messages m ON m.id = w.message_id
         UNION ALL
        SELECT m.id, m.changed_at, m.reason, NULL, m.channel, m.kind, m.status, m.case_id, m.customer_id, m.employee_id
          FROM messages m WHERE m.status = 'suppressed') AS held
     WHERE (reason = :reason OR CAST(:reason AS text) IS NULL)
       AND (customer_id = :recipient OR employee_id = :recipient OR CAST(:recipient AS text) IS NULL)
       AND ((at, id) < (:before, CAST(:before_id AS uuid)) OR CAST(:before AS timestamptz) IS NULL)
     ORDER BY at DESC, id DESC
     LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class Reader:
    """Who got a message."""

    message_id: UUID
    customer_id: str | None
    mark: str | None
    """Of the address, where no customer was told."""
    language: str | None


async def reader(tx: Tx, message_id: MessageId) -> Reader | None:
    """Who got this message; None where the ledger does not know it any more."""
    row = await tx.fetch_one(_READER, {"id": message_id})
    return None if row is None else Reader(row.id, row.customer_id, row.address_mark, row.language)


async def rules(tx: Tx) -> tuple[int, Rules, Row[Any] | None]:
    """The rules in force and their revision, 0 where the company has set none; and their row."""
    row = await tx.fetch_one(_RULES)
    if row is None:
        return 0, Rules(), None
    return row.revision, msgspec.json.decode(row.document, type=Rules), row


async def put_rules(tx: Tx, changed: Rules, *, revision: int, by: str) -> bool:
    """Set the rules; False where somebody has set this revision already."""
    document = msgspec.json.encode(changed).decode()
    return await tx.execute(_PUT_RULES, {"revision": revision, "document": document, "by": by, "now": tx.now}) == 1


async def choices(tx: Tx, customer_id: str) -> dict[str, Any]:
    """What the customer said: `choice_key` → granted, at, by, why."""
    row = await tx.fetch_one(_CHOICES, {"customer_id": customer_id})
    found: dict[str, Any] = {} if row is None else msgspec.json.decode(row.choices)
    return found


async def choose(tx: Tx, customer_id: str, key: str, *, granted: bool, by: str, why: str) -> None:
    """Keep what the customer said last about one channel and purpose."""
    choice = {key: {"granted": granted, "at": tx.now, "by": by, "why": why}}
    await tx.execute(_CHOOSE, {"customer_id": customer_id, "choice": msgspec.json.encode(choice).decode()})


async def lift(tx: Tx, consented: Mapping[str, datetime]) -> None:
    """Forget what these customers refused by mail before they consented: customer → when."""
    await tx.execute(_LIFT, {"customer_ids": list(consented), "times": list(consented.values())})


async def sent_lately(
    tx: Tx, customer_ids: Sequence[str], kinds: Sequence[MessageKind], *, within: timedelta, besides: Sequence[UUID]
) -> dict[str, list[tuple[MessageKind, datetime]]]:
    """What these customers were sent, or may have been; until the transaction ends, no other sender counts for them."""
    await tx.fetch(_ONE_AT_A_TIME, {"customer_ids": list(customer_ids)})
    found: dict[str, list[tuple[MessageKind, datetime]]] = {}
    parameters = {
        "customer_ids": list(customer_ids),
        "kinds": list(kinds),
        "since": tx.now - within,
        "besides": list(besides),
    }
    for row in await tx.fetch(_SENT_LATELY, parameters):
        found.setdefault(row.customer_id, []).append((row.kind, row.at))
    return found


async def wait(tx: Tx, waiting: Mapping[Entry, Waits]) -> set[MessageId]:
    """Put off messages that were claimed, and keep why; those that were still ours."""
    rows = await tx.fetch(
        _WAIT,
        {
            "ids": [entry.id for entry in waiting],
            "attempts": [entry.attempt for entry in waiting],
            "reasons": [each.reason for each in waiting.values()],
            "channels": [each.channel for each in waiting.values()],
            "untils": [each.until for each in waiting.values()],
            "now": tx.now,
        },
    )
    return {row.id for row in rows}


async def held(
    tx: Tx, *, reason: str | None, recipient: str | None, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Row[Any]]:
    """Up to `limit` times that a message was held back, the newest first, after the position `after`."""
    before, before_id = after or (None, None)
    parameters = {"reason": reason, "recipient": recipient, "before": before, "before_id": before_id, "limit": limit}
    return await tx.fetch(_HELD, parameters)
