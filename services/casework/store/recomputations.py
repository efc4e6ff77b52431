"""Recomputations of clocks: asked for, done set by set, and what each of them made breach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sqlalchemy import text

from services.casework.domain.recomputing import Recomputation
from services.casework.domain.timeline import Actor
from services.casework.store.cases import case_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.casework.domain.cases import Case
    from services.casework.domain.names import CaseId

_FIRST: Final = UUID(int=0)

_ASK: Final = text("""
    INSERT INTO recomputations (id, program, tier, level, calendar_id, dry_run, actor_kind, actor_id, asked_at)
    VALUES (:id, :program, :tier, :level, :calendar_id, :dry_run, :actor_kind, :actor_id, :asked_at)
""")

_FIND: Final = text("""
    SELECT id, program, tier, level, calendar_id, dry_run, actor_kind, actor_id, asked_at, status, seen, changed,
           breached, failure, ended_at
      FROM recomputations
     WHERE id = :id
""")

_LIST: Final = text("""
    SELECT id, program, tier, level, calendar_id, dry_run, actor_kind, actor_id, asked_at, status, seen, changed,
           breached, failure, ended_at
      FROM recomputations
     WHERE (asked_at, id) < (:before, :id)
     ORDER BY asked_at DESC, id DESC
     LIMIT :limit
""")

_CLAIM: Final = text("""
    SELECT id, program, tier, level, calendar_id, dry_run, actor_kind, actor_id, reached
      FROM recomputations
     WHERE status = 'running'
     ORDER BY asked_at, id
     LIMIT 1
       FOR UPDATE SKIP LOCKED
""")

# In the order in which sets of cases are locked everywhere.
_SET: Final = text("""
    SELECT id, event_key, customer_id, opening_response_id, program, touchpoint, language, score, tier, status, outcome,
           level, owner_id, owner_reason, CAST(owner_reason_details AS text) AS owner_reason_details, responsible_id,
           round, reopenings, version, answered_at, opened_at, first_contact_due_at, first_contact_warn_at,
           first_contact_stage, first_contacted_at, resolution_due_at, resolution_warn_at, resolution_stage,
           resolved_at, root_cause_id, confirm_by, closed_at, clocks_since, escalated_at, escalation_due_at,
           escalation_warn_at, escalation_stage, waiting_since, waiting_until, waiting_reason, pauses,
           first_contact_later, resolution_later, escalation_later, priority,
           CAST(priority_parts AS text) AS priority_parts, signals, kind
      FROM cases
     WHERE status IN ('open', 'contacted') AND id > :after
       AND (CAST(:program AS text) IS NULL OR program = :program)
       AND (CAST(:tier AS text) IS NULL OR tier = :tier)
       AND (CAST(:level AS text) IS NULL OR level = :level)
     ORDER BY id
     LIMIT :limit
       FOR UPDATE
""")

_ADVANCE: Final = text("""
    UPDATE recomputations
       SET reached = :reached, seen = seen + :seen, changed = changed + :changed, breached = breached + :breached,
           status = CASE WHEN :done THEN 'done' ELSE 'running' END,
           ended_at = CASE WHEN :done THEN CAST(:now AS timestamptz) END
     WHERE id = :id
""")

_FAIL: Final = text("""
    UPDATE recomputations SET status = 'failed', failure = :failure, ended_at = :now WHERE id = :id
""")

_NOTE_BREACHES: Final = text("""
    INSERT INTO recomputed_breaches (recomputation_id, case_id, clocks)
    SELECT :id, case_id, string_to_array(clocks, ',')
      FROM unnest(CAST(:cases AS uuid[]), CAST(:clocks AS text[])) AS breached (case_id, clocks)
""")

_BREACHES: Final = text("""
    SELECT case_id, clocks
      FROM recomputed_breaches
     WHERE recomputation_id = :id AND case_id > :after
     ORDER BY case_id
     LIMIT :limit
""")


async def ask(tx: Tx, asked: Recomputation) -> None:
    """Take it up; the loop does it."""
    await tx.execute(
        _ASK,
        {
            "id": asked.id,
            "program": asked.program,
            "tier": asked.tier,
            "level": asked.level,
            "calendar_id": asked.calendar_id,
            "dry_run": asked.dry_run,
            "actor_kind": asked.actor.kind,
            "actor_id": asked.actor.id,
            "asked_at": tx.now,
        },
    )


async def find(tx: Tx, id_: UUID) -> Row[Any] | None:
    """How far it has come."""
    return await tx.fetch_one(_FIND, {"id": id_})


async def list_latest(tx: Tx, *, before: tuple[object, UUID], limit: int) -> Sequence[Row[Any]]:
    """The latest first, asked for before this place."""
    return await tx.fetch(_LIST, {"before": before[0], "id": before[1], "limit": limit})


async def claim(tx: Tx) -> tuple[Recomputation, UUID] | None:
    """The one that has waited longest and is in no other hands, and the case that it has reached."""
    row = await tx.fetch_one(_CLAIM)
    if row is None:
        return None
    asked = Recomputation(
        id=row.id,
        program=row.program,
        tier=row.tier,
        level=row.level,
        calendar_id=row.calendar_id,
        dry_run=row.dry_run,
        actor=Actor(row.actor_kind, row.actor_id),
    )
    return asked, row.reached or _FIRST


async def lock_set(tx: Tx, asked: Recomputation, after: UUID, limit: int) -> list[Case]:
    """The next open cases that it concerns, locked."""
    parameters = {
        "after": after,
        "limit": limit,
        "program": asked.program,
        "tier": asked.tier,
        "level": asked.level,
    }
    return [case_of(row) for row in await tx.fetch(_SET, parameters)]


async def advance(
    tx: Tx,
    asked: Recomputation,
    *,
    reached: UUID,
    seen: int,
    changed: int,
    breached: Sequence[tuple[CaseId, Sequence[str]]],
    done: bool,
) -> None:
    """Say how far it has come, and what breached or would."""
    if breached:
        cases = [case for case, _ in breached]
        await tx.execute(
            _NOTE_BREACHES, {"id": asked.id, "cases": cases, "clocks": [",".join(clocks) for _, clocks in breached]}
        )
    await tx.execute(
        _ADVANCE,
        {
            "id": asked.id,
            "reached": reached,
            "seen": seen,
            "changed": changed,
            "breached": len(breached),
            "done": done,
            "now": tx.now,
        },
    )


async def fail(tx: Tx, id_: UUID, failure: str) -> None:
    """It ends where it is, with the name of the error; what was done stays done."""
    await tx.execute(_FAIL, {"id": id_, "failure": failure, "now": tx.now})


async def breaches(tx: Tx, id_: UUID, *, after: UUID | None, limit: int) -> Sequence[Row[Any]]:
    """The cases that it made breach, or would, after this one."""
    return await tx.fetch(_BREACHES, {"id": id_, "after": after or _FIRST, "limit": limit})
