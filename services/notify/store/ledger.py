"""The ledger: one row per (cause, recipient), written once; what holds a row back before it is sent; who reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy import text

from libs.events.contracts.responses import address_mark
from services.notify.domain.messages import Entry, Status
from services.notify.domain.rounds import ANSWER_GRACE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.contracts.messages import MessageKind, SuppressionReason
    from libs.events.database import Tx
    from services.notify.domain.messages import MessageId, Notice
    from services.notify.domain.rounds import Ended

_WRITE: Final = text("""
    INSERT INTO messages (id, cause_id, recipient, kind, case_id, case_version, round, customer_id, employee_id,
                          address, address_mark, name, language, facts, status, reason, due_at, traceparent,
                          created_at, changed_at)
    SELECT id, cause_id, recipient, kind, case_id, case_version, round, customer_id, employee_id,
           address, address_mark, name, language, CAST(facts AS jsonb), status, reason, due_at, traceparent, :now, :now
      FROM unnest(CAST(:ids AS uuid[]), CAST(:cause_ids AS uuid[]), CAST(:recipients AS text[]),
                  CAST(:kinds AS text[]), CAST(:case_ids AS text[]), CAST(:case_versions AS integer[]),
                  CAST(:rounds AS integer[]), CAST(:customer_ids AS text[]), CAST(:employee_ids AS text[]),
                  CAST(:addresses AS text[]), CAST(:address_marks AS text[]), CAST(:names AS text[]),
                  CAST(:languages AS text[]), CAST(:facts AS text[]), CAST(:statuses AS text[]),
                  CAST(:reasons AS text[]), CAST(:due_ats AS timestamptz[]), CAST(:traceparents AS text[]))
           AS noted (id, cause_id, recipient, kind, case_id, case_version, round, customer_id, employee_id,
                     address, address_mark, name, language, facts, status, reason, due_at, traceparent)
        ON CONFLICT (cause_id, recipient) DO NOTHING
 RETURNING id
""")
_OUTDATE: Final = text("""
    UPDATE messages m
       SET status = 'suppressed', reason = 'outdated', sender = NULL, changed_at = :now
      FROM unnest(CAST(:case_ids AS text[]), CAST(:befores AS integer[])) AS ended (case_id, before)
     WHERE m.case_id = ended.case_id AND m.case_version < ended.before
       AND m.kind = 'confirmation_request' AND m.status IN ('waiting', 'queued', 'sending')
 RETURNING m.id, m.cause_id, m.kind, m.case_id, m.customer_id, m.employee_id, m.attempt, m.traceparent
""")
# A profile that came in while the case's own transaction was still open is found here, not by the profile's handler:
# that one could not see the row yet.
_PROMOTE: Final = text("""
    WITH arrived AS MATERIALIZED (
        SELECT m.id FROM messages m JOIN profiles p ON p.customer_id = m.customer_id
         WHERE m.status = 'waiting' ORDER BY m.due_at LIMIT :limit FOR UPDATE OF m SKIP LOCKED)
    UPDATE messages m SET status = 'queued', due_at = :now, changed_at = :now FROM arrived WHERE m.id = arrived.id
 RETURNING m.id, m.cause_id, m.kind, m.case_id, m.customer_id, m.employee_id, m.attempt, m.traceparent
""")
_EXPIRE: Final = text("""
    WITH late AS MATERIALIZED (
        SELECT m.id FROM messages m
         WHERE m.status = 'waiting' AND m.due_at <= :now
           AND NOT EXISTS (SELECT FROM profiles p WHERE p.customer_id = m.customer_id)
         ORDER BY m.due_at LIMIT :limit FOR UPDATE OF m SKIP LOCKED)
    UPDATE messages m SET status = 'suppressed', reason = 'no_profile', changed_at = :now
      FROM late WHERE m.id = late.id
 RETURNING m.id, m.cause_id, m.kind, m.case_id, m.customer_id, m.employee_id, m.attempt, m.traceparent
""")
# Oldest first by the index of the newest; of what is unsettled or in doubt nothing is forgotten, however old, nor a
# question that may still be answered.
_PRUNE: Final = text("""
      WITH old AS MATERIALIZED (
               SELECT m.id FROM messages m
                WHERE m.created_at < :before AND m.status IN ('sent', 'failed', 'suppressed')
                  AND NOT EXISTS (SELECT FROM confirmations c WHERE c.message_id = m.id AND c.confirm_by >= :answerable)
                ORDER BY m.created_at LIMIT :limit FOR UPDATE OF m SKIP LOCKED),
           rounds AS (DELETE FROM confirmations c USING old WHERE c.message_id = old.id)
    DELETE FROM messages m USING old WHERE m.id = old.id
""")
_PRUNE_ROWS: Final = 2_000


def entries(rows: Iterable[Row[Any]]) -> list[Entry]:
    """The identities in rows that return an entry's columns."""
    return [
        Entry(
            id=row.id,
            cause_id=row.cause_id,
            kind=row.kind,
            case_id=row.case_id,
            customer_id=row.customer_id,
            employee_id=row.employee_id,
            attempt=row.attempt,
            traceparent=row.traceparent,
        )
        for row in rows
    ]


async def write(
    tx: Tx, noted: Sequence[tuple[Notice, Status, SuppressionReason | None]], *, profile_by: datetime
) -> set[UUID]:
    """Write what is not in the ledger yet; its ids. A waiting row waits for a profile until `profile_by`."""
    rows = await tx.fetch(
        _WRITE,
        {
            "ids": [notice.id for notice, _, _ in noted],
            "cause_ids": [notice.cause_id for notice, _, _ in noted],
            "recipients": [notice.recipient for notice, _, _ in noted],
            "kinds": [notice.kind for notice, _, _ in noted],
            "case_ids": [notice.case_id for notice, _, _ in noted],
            "case_versions": [notice.case_version for notice, _, _ in noted],
            "rounds": [notice.round for notice, _, _ in noted],
            "customer_ids": [notice.customer_id for notice, _, _ in noted],
            "employee_ids": [notice.employee_id for notice, _, _ in noted],
            "addresses": [notice.employee.email if notice.employee else None for notice, _, _ in noted],
            "address_marks": [
                address_mark(notice.employee.email) if notice.employee else None for notice, _, _ in noted
            ],
            "names": [notice.employee.name if notice.employee else None for notice, _, _ in noted],
            "languages": [notice.employee.language if notice.employee else None for notice, _, _ in noted],
            "facts": [msgspec.json.encode(notice.facts).decode() for notice, _, _ in noted],
            "statuses": [str(status) for _, status, _ in noted],
            "reasons": [reason for _, _, reason in noted],
            "due_ats": [profile_by if status is Status.WAITING else tx.now for _, status, _ in noted],
            "traceparents": [notice.traceparent for notice, _, _ in noted],
            "now": tx.now,
        },
    )
    return {row.id for row in rows}


async def outdate(tx: Tx, ended: Sequence[Ended]) -> list[Entry]:
    """Hold back the unsent confirmation requests of rounds that are over."""
    parameters = {"case_ids": [each.case_id for each in ended], "befores": [each.before for each in ended]}
    return entries(await tx.fetch(_OUTDATE, {**parameters, "now": tx.now}))


async def promote(tx: Tx, *, limit: int) -> list[Entry]:
    """Queue up to `limit` waiting messages whose customer's profile has come."""
    return entries(await tx.fetch(_PROMOTE, {"now": tx.now, "limit": limit}))


async def expire(tx: Tx, *, limit: int) -> list[Entry]:
    """Give up on up to `limit` waiting messages whose customer's profile has not come in time."""
    return entries(await tx.fetch(_EXPIRE, {"now": tx.now, "limit": limit}))


async def prune(tx: Tx, *, kept: timedelta) -> bool:
    """Forget some settled messages older than `kept`, with the rounds they asked about; whether there may be more."""
    parameters = {"before": tx.now - kept, "answerable": tx.now - ANSWER_GRACE, "limit": _PRUNE_ROWS}
    return await tx.execute(_PRUNE, parameters) == _PRUNE_ROWS


_MESSAGES: Final = sa.table(
    "messages",
    *(
        sa.column(name)
        for name in (
            "id",
            "cause_id",
            "kind",
            "case_id",
            "round",
            "customer_id",
            "employee_id",
            "status",
            "reason",
            "channel",
            "bounce",
            "template_version",
            "attempt",
            "failures",
            "due_at",
            "created_at",
            "changed_at",
        )
    ),
)
_NEWEST: Final = sa.select(_MESSAGES).order_by(_MESSAGES.c.created_at.desc(), _MESSAGES.c.id.desc())

_COMMON_KINDS: Final = frozenset(("thanks", "confirmation_request", "changes_for_customers"))
# As the index of all others says it, so that it is used whatever the kind.
_RARE_KIND: Final = sa.text("messages.kind NOT IN ('thanks', 'confirmation_request', 'changes_for_customers')")


async def listed(
    tx: Tx,
    *,
    status: Status | None,
    case_id: str | None,
    recipient: str | None,
    kind: MessageKind | None = None,
    bounce: str | None = None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Up to `limit` messages, the newest first, after the position `after`."""
    statement = _NEWEST.limit(limit)
    for column, wanted in (
        (_MESSAGES.c.status, status and str(status)),
        (_MESSAGES.c.case_id, case_id),
        (_MESSAGES.c.kind, kind),
        (_MESSAGES.c.bounce, bounce),
    ):
        if wanted is not None:
            statement = statement.where(column == wanted)
    if kind is not None and kind not in _COMMON_KINDS:
        statement = statement.where(_RARE_KIND)
    if recipient is not None:
        statement = statement.where(sa.or_(_MESSAGES.c.customer_id == recipient, _MESSAGES.c.employee_id == recipient))
    if after is not None:
        statement = statement.where(sa.tuple_(_MESSAGES.c.created_at, _MESSAGES.c.id) < after)
    return await tx.fetch(statement)


async def one(tx: Tx, id_: MessageId) -> Row[Any] | None:
    """A message of the ledger."""
    return await tx.fetch_one(sa.select(_MESSAGES).where(_MESSAGES.c.id == id_))
