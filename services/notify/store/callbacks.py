"""Callbacks as casework tells them, and the reminders that are due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from libs.events.contracts.cases import Employee
from services.notify.domain.callbacks import Callback
from services.notify.store.ledger import entries

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import timedelta
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.notify.domain.messages import Entry

# Not every change says how many there were: what is known counts, and one more.
_PUT: Final = text("""
    INSERT INTO callbacks (callback_id, case_id, customer_id, case_version, at, sequence, state, agent_id, agent_name,
                           agent_email, agent_language, remind_at, changed_at, traceparent)
    SELECT callback_id, case_id, customer_id, case_version, at, sequence, state, agent_id, agent_name, agent_email,
           agent_language, remind_at, :now, traceparent
      FROM unnest(CAST(:callback_ids AS uuid[]), CAST(:case_ids AS text[]), CAST(:customer_ids AS text[]),
                  CAST(:case_versions AS integer[]), CAST(:ats AS timestamptz[]), CAST(:sequences AS integer[]),
                  CAST(:states AS text[]), CAST(:agent_ids AS text[]), CAST(:agent_names AS text[]),
                  CAST(:agent_emails AS text[]), CAST(:agent_languages AS text[]), CAST(:remind_ats AS timestamptz[]),
                  CAST(:traceparents AS text[]))
           AS told (callback_id, case_id, customer_id, case_version, at, sequence, state, agent_id, agent_name,
                    agent_email, agent_language, remind_at, traceparent)
        ON CONFLICT (callback_id) DO UPDATE
       SET case_version = excluded.case_version, at = excluded.at, state = excluded.state,
           sequence = CASE WHEN excluded.state = 'agreed' THEN greatest(callbacks.sequence + 1, excluded.sequence)
                           ELSE callbacks.sequence + 1 END,
           agent_id = excluded.agent_id, agent_name = excluded.agent_name, agent_email = excluded.agent_email,
           agent_language = excluded.agent_language, remind_at = excluded.remind_at, changed_at = excluded.changed_at,
           traceparent = excluded.traceparent
     WHERE callbacks.case_version < excluded.case_version
 RETURNING callback_id, case_id, customer_id, case_version, at, sequence, state, agent_id, agent_name, agent_email,
           agent_language, remind_at, traceparent
""")
# In one order, so that two processes that take the same events anew cannot wait for each other.
_KNOWN: Final = text("""
    SELECT callback_id, case_id, customer_id, case_version, at, sequence, state, agent_id, agent_name, agent_email,
           agent_language, remind_at, traceparent
      FROM callbacks
     WHERE state = 'agreed' AND case_id = ANY(CAST(:case_ids AS text[]))
     ORDER BY callback_id
       FOR UPDATE
""")
_REMIND: Final = text("""
    WITH due AS MATERIALIZED (
        SELECT callback_id FROM callbacks WHERE remind_at <= :now
         ORDER BY remind_at LIMIT :limit FOR UPDATE SKIP LOCKED)
    UPDATE callbacks c SET remind_at = NULL FROM due WHERE c.callback_id = due.callback_id
 RETURNING c.callback_id, c.case_id, c.customer_id, c.case_version, c.at, c.sequence, c.state, c.agent_id, c.agent_name,
           c.agent_email, c.agent_language, c.remind_at, c.traceparent
""")
# What tells a time that holds no longer must not go out after what tells the one that does.
_OUTDATE: Final = text("""
    UPDATE messages m SET status = 'suppressed', reason = 'outdated', sender = NULL, changed_at = :now
      FROM unnest(CAST(:case_ids AS text[]), CAST(:versions AS integer[])) AS moved (case_id, version)
     WHERE m.case_id = moved.case_id AND m.case_version < moved.version
       AND m.kind IN ('callback', 'callback_duty') AND m.status IN ('waiting', 'queued', 'sending')
 RETURNING m.id, m.cause_id, m.kind, m.case_id, m.customer_id, m.employee_id, m.attempt, m.traceparent
""")
_FORGET: Final = text("DELETE FROM callbacks WHERE customer_id = ANY(CAST(:customer_ids AS text[]))")
_PRUNE: Final = text("""
    DELETE FROM callbacks WHERE callback_id IN (
        SELECT callback_id FROM callbacks WHERE changed_at < :before ORDER BY changed_at LIMIT :limit)
""")
_PRUNE_ROWS: Final = 2_000


async def agreed_of(tx: Tx, case_ids: Collection[str]) -> dict[UUID, Callback]:
    """The agreed callbacks of these cases, held until the end of `tx`."""
    rows = await tx.fetch(_KNOWN, {"case_ids": list(case_ids)})
    return {row.callback_id: _callback(row) for row in rows}


async def put(tx: Tx, callbacks: Sequence[Callback]) -> list[Callback]:
    """Keep these, one per callback, where they are newer than what is known; those, as they are now."""
    rows = await tx.fetch(
        _PUT,
        {
            "callback_ids": [each.callback_id for each in callbacks],
            "case_ids": [each.case_id for each in callbacks],
            "customer_ids": [each.customer_id for each in callbacks],
            "case_versions": [each.case_version for each in callbacks],
            "ats": [each.at for each in callbacks],
            "sequences": [each.sequence for each in callbacks],
            "states": [each.state for each in callbacks],
            "agent_ids": [each.agent.employee_id for each in callbacks],
            "agent_names": [each.agent.name for each in callbacks],
            "agent_emails": [each.agent.email for each in callbacks],
            "agent_languages": [each.agent.language for each in callbacks],
            "remind_ats": [each.remind_at for each in callbacks],
            "traceparents": [each.traceparent for each in callbacks],
            "now": tx.now,
        },
    )
    return [_callback(row) for row in rows]


async def due_for_reminder(tx: Tx, *, limit: int) -> list[Callback]:
    """Up to `limit` callbacks of which people are reminded now, and not again."""
    return [_callback(row) for row in await tx.fetch(_REMIND, {"now": tx.now, "limit": limit})]


async def outdate(tx: Tx, callbacks: Sequence[Callback]) -> list[Entry]:
    """Hold back unsent messages about what these were before."""
    parameters = {
        "case_ids": [each.case_id for each in callbacks],
        "versions": [each.case_version for each in callbacks],
    }
    return entries(await tx.fetch(_OUTDATE, {**parameters, "now": tx.now}))


async def forget(tx: Tx, customer_ids: Collection[str]) -> None:
    """Remove the callbacks of these customers."""
    await tx.execute(_FORGET, {"customer_ids": sorted(customer_ids)})


async def prune(tx: Tx, *, kept: timedelta) -> bool:
    """Forget some of what has not changed for `kept`; whether there may be more."""
    return await tx.execute(_PRUNE, {"before": tx.now - kept, "limit": _PRUNE_ROWS}) == _PRUNE_ROWS


def _callback(row: Row[Any]) -> Callback:
    return Callback(
        callback_id=row.callback_id,
        case_id=row.case_id,
        customer_id=row.customer_id,
        case_version=row.case_version,
        at=row.at,
        sequence=row.sequence,
        state=row.state,
        agent=Employee(
            employee_id=row.agent_id, name=row.agent_name, email=row.agent_email, language=row.agent_language
        ),
        remind_at=row.remind_at,
        traceparent=row.traceparent,
    )
