"""Deliveries to subscriptions: one row per event and subscription; written, claimed, settled, replayed, forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy import text

from services.notify.domain.subscriptions import SubscriptionId

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.notify.domain.hook_outcomes import Attempt, DeliveryStatus, Verdict

_ERASURES_LOCK: Final = 0x686F6F6B
# Who writes waits for an erasure that is under way, and an erasure for those who write; writers share the lock.
_WRITING: Final = text("SELECT pg_advisory_xact_lock_shared(:lock)")
_ERASING: Final = text("SELECT pg_advisory_xact_lock(:lock)")
_ERASED: Final = text("""
    SELECT customer_id, erased_at FROM hook_erasures WHERE customer_id = ANY(CAST(:customer_ids AS text[]))
""")
_WRITE_BODIES: Final = text("""
    INSERT INTO hook_bodies (event_id, sees, customer_id, body, created_at)
    SELECT event_id, sees, customer_id, body, :now
      FROM unnest(CAST(:event_ids AS uuid[]), CAST(:sees AS text[]), CAST(:customer_ids AS text[]),
                  CAST(:bodies AS bytea[])) AS told (event_id, sees, customer_id, body)
        ON CONFLICT DO NOTHING
""")
_WRITE: Final = text("""
    INSERT INTO hook_deliveries (subscription_id, event_id, type, sees, status, due_at, created_at, changed_at)
    SELECT subscription_id, event_id, type, sees, 'pending', :now, :now, :now
      FROM unnest(CAST(:subscription_ids AS uuid[]), CAST(:event_ids AS uuid[]), CAST(:types AS text[]),
                  CAST(:sees AS text[])) AS wanted (subscription_id, event_id, type, sees)
        ON CONFLICT DO NOTHING
""")
_ANY_DUE: Final = text("""
    SELECT EXISTS (
        SELECT FROM subscriptions s
         WHERE s.disabled IS NULL AND coalesce(s.paused_until, '-infinity') <= :now
           AND EXISTS (SELECT FROM hook_deliveries d
                        WHERE d.subscription_id = s.id AND d.status = 'pending' AND d.due_at <= :now
                          AND coalesce(d.claimed_until, '-infinity') <= :now)) AS any_due
""")
# Each subscription has room of its own, so that one with a million rows takes nothing from one with a single row.
_CLAIM: Final = text("""
      WITH taken AS MATERIALIZED (
               SELECT due.subscription_id, due.event_id
                 FROM unnest(CAST(:ids AS uuid[]), CAST(:rooms AS integer[])) AS lane (id, room)
                CROSS JOIN LATERAL (
                      SELECT d.subscription_id, d.event_id FROM hook_deliveries d
                       WHERE d.subscription_id = lane.id AND d.status = 'pending' AND d.due_at <= :now
                         AND coalesce(d.claimed_until, '-infinity') <= :now
                       ORDER BY d.due_at, d.event_id
                       LIMIT lane.room
                         FOR UPDATE SKIP LOCKED) due)
    UPDATE hook_deliveries d SET attempt = d.attempt + 1, claimed_until = :until
      FROM taken t JOIN hook_bodies b ON b.event_id = t.event_id
     WHERE d.subscription_id = t.subscription_id AND d.event_id = t.event_id AND b.sees = d.sees
 RETURNING d.subscription_id, d.event_id, d.type, d.sees, d.attempt, d.failures, b.body
""")
_SETTLE: Final = text("""
    UPDATE hook_deliveries d
       SET status = known.status, due_at = coalesce(known.due_at, d.due_at), claimed_until = NULL, changed_at = :now,
           failures = d.failures + known.failed, status_code = known.status_code, took_ms = known.took_ms,
           trouble = known.trouble,
           history = CASE WHEN known.failed = 0 THEN d.history ELSE d.history || jsonb_build_object(
               'at', CAST(:now AS timestamptz), 'status_code', known.status_code,
               'trouble', known.trouble, 'took_ms', known.took_ms) END
      FROM unnest(CAST(:subscription_ids AS uuid[]), CAST(:event_ids AS uuid[]), CAST(:attempts AS integer[]),
                  CAST(:statuses AS text[]), CAST(:due_ats AS timestamptz[]), CAST(:failed AS integer[]),
                  CAST(:status_codes AS integer[]), CAST(:took_mss AS integer[]), CAST(:troubles AS text[]))
           AS known (subscription_id, event_id, attempt, status, due_at, failed, status_code, took_ms, trouble)
     WHERE d.subscription_id = known.subscription_id AND d.event_id = known.event_id
       AND d.attempt = known.attempt AND d.status = 'pending'
""")
_RELEASE: Final = text("""
    UPDATE hook_deliveries d SET claimed_until = NULL
      FROM unnest(CAST(:subscription_ids AS uuid[]), CAST(:event_ids AS uuid[]), CAST(:attempts AS integer[]))
           AS mine (subscription_id, event_id, attempt)
     WHERE d.subscription_id = mine.subscription_id AND d.event_id = mine.event_id
       AND d.attempt = mine.attempt AND d.status = 'pending'
""")
_NOTE_ERASURES: Final = text("""
    INSERT INTO hook_erasures (customer_id, erased_at)
    SELECT * FROM unnest(CAST(:customer_ids AS text[]), CAST(:erased_ats AS timestamptz[]))
        ON CONFLICT (customer_id) DO UPDATE SET erased_at = greatest(hook_erasures.erased_at, excluded.erased_at)
""")
# What tells of the erasure itself is no part of what is forgotten.
_ERASE: Final = text("""
      WITH gone AS (
               UPDATE hook_bodies SET body = NULL
                WHERE customer_id = ANY(CAST(:customer_ids AS text[])) AND body IS NOT NULL
            RETURNING event_id, sees)
    UPDATE hook_deliveries d SET status = 'erased', claimed_until = NULL, changed_at = :now
      FROM gone
     WHERE d.event_id = gone.event_id AND d.sees = gone.sees AND d.status = 'pending'
""")
_REPLAY_ONE: Final = text("""
    UPDATE hook_deliveries d
       SET status = 'pending', due_at = :now, claimed_until = NULL, failures = 0, changed_at = :now
      FROM hook_bodies b
     WHERE d.subscription_id = :subscription_id AND d.event_id = :event_id
       AND b.event_id = d.event_id AND b.sees = d.sees AND b.body IS NOT NULL
 RETURNING d.event_id
""")
_REPLAY: Final = text("""
      WITH chosen AS MATERIALIZED (
               SELECT d.event_id FROM hook_deliveries d
                 JOIN hook_bodies b ON b.event_id = d.event_id AND b.sees = d.sees AND b.body IS NOT NULL
                WHERE d.subscription_id = :subscription_id
                  AND d.created_at >= :since AND d.created_at < :until
                  AND d.status = ANY(CAST(:statuses AS text[])) AND d.type = coalesce(:type, d.type)
                ORDER BY d.created_at, d.event_id LIMIT :limit
                  FOR UPDATE OF d)
    UPDATE hook_deliveries d
       SET status = 'pending', due_at = :now, claimed_until = NULL, failures = 0, changed_at = :now
      FROM chosen
     WHERE d.subscription_id = :subscription_id AND d.event_id = chosen.event_id
""")
_DELETE: Final = text("DELETE FROM hook_deliveries WHERE subscription_id = :subscription_id")
_PRUNE: Final = text("""
      WITH old AS MATERIALIZED (
               SELECT event_id, sees FROM hook_bodies WHERE created_at < :before
                ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED),
           deliveries AS (
               DELETE FROM hook_deliveries d USING old WHERE d.event_id = old.event_id AND d.sees = old.sees)
    DELETE FROM hook_bodies b USING old WHERE b.event_id = old.event_id AND b.sees = old.sees
""")
_PRUNE_ERASURES: Final = text("DELETE FROM hook_erasures WHERE erased_at < :before")
_PRUNE_ROWS: Final = 2_000
_ONE: Final = text("""
    SELECT d.*, CAST(d.history AS text) AS attempts_failed, b.body
      FROM hook_deliveries d LEFT JOIN hook_bodies b ON b.event_id = d.event_id AND b.sees = d.sees
     WHERE d.subscription_id = :subscription_id AND d.event_id = :event_id
""")
_DELIVERIES: Final = sa.table(
    "hook_deliveries",
    *(
        sa.column(name)
        for name in (
            "subscription_id",
            "event_id",
            "type",
            "status",
            "attempt",
            "due_at",
            "status_code",
            "took_ms",
            "trouble",
            "created_at",
            "changed_at",
        )
    ),
)
_NEWEST: Final = sa.select(_DELIVERIES).order_by(_DELIVERIES.c.created_at.desc(), _DELIVERIES.c.event_id.desc())


class Told(msgspec.Struct, frozen=True, gc=False):
    """What subscriptions that see the same are told of an event."""

    event_id: UUID
    sees: str
    customer_id: str | None
    body: bytes


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """A delivery to be made."""

    subscription_id: SubscriptionId
    event_id: UUID
    type: str
    sees: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery in our hands."""

    subscription_id: SubscriptionId
    event_id: UUID
    type: str
    sees: str
    attempt: int
    failures: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one."""

    claimed: Claimed
    attempt: Attempt
    verdict: Verdict


async def erased_at(tx: Tx, customer_ids: Collection[str]) -> dict[str, datetime]:
    """When those among these customers who were erased were; until this transaction ends, nobody else is erased."""
    await tx.execute(_WRITING, {"lock": _ERASURES_LOCK})
    rows = await tx.fetch(_ERASED, {"customer_ids": sorted(customer_ids)})
    return {row.customer_id: row.erased_at for row in rows}


async def write(tx: Tx, told: Sequence[Told], wanted: Sequence[Wanted]) -> None:
    """Keep deliveries that are not there yet, and what they tell."""
    await tx.execute(
        _WRITE_BODIES,
        {
            "event_ids": [each.event_id for each in told],
            "sees": [each.sees for each in told],
            "customer_ids": [each.customer_id for each in told],
            "bodies": [each.body for each in told],
            "now": tx.now,
        },
    )
    await tx.execute(
        _WRITE,
        {
            "subscription_ids": [each.subscription_id for each in wanted],
            "event_ids": [each.event_id for each in wanted],
            "types": [each.type for each in wanted],
            "sees": [each.sees for each in wanted],
            "now": tx.now,
        },
    )


async def is_any_due(tx: Tx) -> bool:
    """Whether there is something to deliver that nobody has in hand."""
    row = await tx.fetch_one(_ANY_DUE, {"now": tx.now})
    return row is not None and bool(row.any_due)


async def claim(tx: Tx, rooms: Mapping[SubscriptionId, int], *, until: datetime) -> list[Claimed]:
    """Take what is due of each subscription, the oldest first, as much as there is room for; ours `until` then."""
    ids = sorted(rooms)
    parameters = {"ids": ids, "rooms": [rooms[id_] for id_ in ids], "now": tx.now, "until": until}
    rows: Sequence[Any] = await tx.fetch(_CLAIM, parameters)
    return [
        Claimed(SubscriptionId(id_), event_id, type_, sees, attempt, failures, body)
        for id_, event_id, type_, sees, attempt, failures, body in rows
    ]


async def settle(tx: Tx, settled: Sequence[Settled]) -> int:
    """Note what became of deliveries that are still ours; of how many that was so."""
    return await tx.execute(
        _SETTLE,
        {
            "subscription_ids": [each.claimed.subscription_id for each in settled],
            "event_ids": [each.claimed.event_id for each in settled],
            "attempts": [each.claimed.attempt for each in settled],
            "statuses": [str(each.verdict.status) for each in settled],
            "due_ats": [each.verdict.due_at for each in settled],
            "failed": [int(not each.attempt.is_success) for each in settled],
            "status_codes": [each.attempt.status_code for each in settled],
            "took_mss": [each.attempt.took_ms for each in settled],
            "troubles": [None if each.attempt.trouble is None else str(each.attempt.trouble) for each in settled],
            "now": tx.now,
        },
    )


async def release(tx: Tx, claimed: Sequence[Claimed]) -> None:
    """Give back what was claimed and not tried."""
    await tx.execute(
        _RELEASE,
        {
            "subscription_ids": [each.subscription_id for each in claimed],
            "event_ids": [each.event_id for each in claimed],
            "attempts": [each.attempt for each in claimed],
        },
    )


async def forget_customers(tx: Tx, erased: Mapping[str, datetime]) -> None:
    """Empty what was kept of these customers, and remember since when nothing of them is to be kept."""
    ids = sorted(erased)
    await tx.execute(_ERASING, {"lock": _ERASURES_LOCK})
    await tx.execute(_NOTE_ERASURES, {"customer_ids": ids, "erased_ats": [erased[id_] for id_ in ids]})
    await tx.execute(_ERASE, {"customer_ids": ids, "now": tx.now})


async def replay(tx: Tx, subscription_id: SubscriptionId, event_id: UUID) -> bool:
    """Deliver one anew; False where there is none, or nothing is left of it."""
    parameters = {"subscription_id": subscription_id, "event_id": event_id, "now": tx.now}
    return await tx.fetch_one(_REPLAY_ONE, parameters) is not None


async def replay_range(
    tx: Tx,
    subscription_id: SubscriptionId,
    *,
    since: datetime,
    until: datetime,
    statuses: Collection[DeliveryStatus],
    type_: str | None,
    limit: int,
) -> int:
    """Deliver anew the oldest `limit` that were written in this span; how many there were."""
    return await tx.execute(
        _REPLAY,
        {
            "subscription_id": subscription_id,
            "since": since,
            "until": until,
            "statuses": sorted(map(str, statuses)),
            "type": type_,
            "limit": limit,
            "now": tx.now,
        },
    )


async def delete_of(tx: Tx, subscription_id: SubscriptionId) -> None:
    """Remove all deliveries of a subscription."""
    await tx.execute(_DELETE, {"subscription_id": subscription_id})


async def prune(tx: Tx, *, kept: timedelta, erasures_kept: timedelta) -> bool:
    """Forget some of what is older than `kept`, delivered or not; whether there may be more."""
    await tx.execute(_PRUNE_ERASURES, {"before": tx.now - erasures_kept})
    return await tx.execute(_PRUNE, {"before": tx.now - kept, "limit": _PRUNE_ROWS}) == _PRUNE_ROWS


async def listed(
    tx: Tx,
    subscription_id: SubscriptionId,
    *,
    status: DeliveryStatus | None,
    type_: str | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Up to `limit` deliveries, the newest first, after the position `after`."""
    statement = _NEWEST.where(_DELIVERIES.c.subscription_id == subscription_id).limit(limit)
    if status is not None:
        statement = statement.where(_DELIVERIES.c.status == str(status))
    if type_ is not None:
        statement = statement.where(_DELIVERIES.c.type == type_)
    if after is not None:
        statement = statement.where(sa.tuple_(_DELIVERIES.c.created_at, _DELIVERIES.c.event_id) < after)
    return await tx.fetch(statement)


async def one(tx: Tx, subscription_id: SubscriptionId, event_id: UUID) -> Row[Any] | None:
    """A delivery with its failed attempts (as JSON) and its body."""
    return await tx.fetch_one(_ONE, {"subscription_id": subscription_id, "event_id": event_id})
