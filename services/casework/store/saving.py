"""What a transaction decided about cases, saved set-wise: rows, timeline, loads of their owners, and events.

Nothing else writes a case, so no change goes without its line in the timeline and its event.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from libs.events.event import Event
from services.casework.domain.errors import CustomerHasOpenCase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from libs.events.database import Tx
    from services.casework.domain.casebook import Casebook, Change
    from services.casework.domain.cases import Case
    from services.casework.domain.names import AgentId
    from services.casework.domain.timeline import Step

SOURCE: Final = "/casework"

_INSERT: Final = text("""
    INSERT INTO cases (
           id, event_key, customer_id, opening_response_id, program, touchpoint, language, score, tier, status,
           outcome, level, owner_id, owner_reason, owner_reason_details, responsible_id, round, reopenings, version,
           answered_at, opened_at, first_contact_due_at, first_contact_warn_at, first_contact_stage,
           first_contacted_at, resolution_due_at, resolution_warn_at, resolution_stage, resolved_at, root_cause_id,
           confirm_by, closed_at, fires_at, listed_at)
    SELECT id, event_key, customer_id, opening_response_id, program, touchpoint, language, score, tier, status,
           outcome, level, owner_id, owner_reason, CAST(owner_reason_details AS json), responsible_id, round,
           reopenings, version, answered_at, opened_at, first_contact_due_at, first_contact_warn_at,
           first_contact_stage, first_contacted_at, resolution_due_at, resolution_warn_at, resolution_stage,
           resolved_at, root_cause_id, confirm_by, closed_at, fires_at, listed_at
      FROM unnest(
           CAST(:id AS uuid[]), CAST(:event_key AS text[]), CAST(:customer_id AS text[]),
           CAST(:opening_response_id AS text[]), CAST(:program AS text[]), CAST(:touchpoint AS text[]),
           CAST(:language AS text[]), CAST(:score AS integer[]), CAST(:tier AS text[]), CAST(:status AS text[]),
           CAST(:outcome AS text[]), CAST(:level AS text[]), CAST(:owner_id AS text[]), CAST(:owner_reason AS text[]),
           CAST(:owner_reason_details AS text[]), CAST(:responsible_id AS text[]), CAST(:round AS integer[]),
           CAST(:reopenings AS integer[]), CAST(:version AS integer[]), CAST(:answered_at AS timestamptz[]),
           CAST(:opened_at AS timestamptz[]),
           CAST(:first_contact_due_at AS timestamptz[]), CAST(:first_contact_warn_at AS timestamptz[]),
           CAST(:first_contact_stage AS text[]), CAST(:first_contacted_at AS timestamptz[]),
           CAST(:resolution_due_at AS timestamptz[]), CAST(:resolution_warn_at AS timestamptz[]),
           CAST(:resolution_stage AS text[]), CAST(:resolved_at AS timestamptz[]), CAST(:root_cause_id AS text[]),
           CAST(:confirm_by AS timestamptz[]), CAST(:closed_at AS timestamptz[]), CAST(:fires_at AS timestamptz[]),
           CAST(:listed_at AS timestamptz[]))
        AS opened (
           id, event_key, customer_id, opening_response_id, program, touchpoint, language, score, tier, status,
           outcome, level, owner_id, owner_reason, owner_reason_details, responsible_id, round, reopenings, version,
           answered_at, opened_at, first_contact_due_at, first_contact_warn_at, first_contact_stage,
           first_contacted_at, resolution_due_at, resolution_warn_at, resolution_stage, resolved_at, root_cause_id,
           confirm_by, closed_at, fires_at, listed_at)
""")

# `seen` is the version under the lock. It always matches; a mistake in locking must not overwrite silently.
_UPDATE: Final = text("""
    UPDATE cases
       SET customer_id = changed.customer_id, score = changed.score, status = changed.status,
           outcome = changed.outcome, level = changed.level, owner_id = changed.owner_id,
           owner_reason = changed.owner_reason, owner_reason_details = CAST(changed.owner_reason_details AS json),
           responsible_id = changed.responsible_id, round = changed.round, reopenings = changed.reopenings,
           version = changed.version,
           first_contact_due_at = changed.first_contact_due_at, first_contact_warn_at = changed.first_contact_warn_at,
           first_contact_stage = changed.first_contact_stage, first_contacted_at = changed.first_contacted_at,
           resolution_due_at = changed.resolution_due_at, resolution_warn_at = changed.resolution_warn_at,
           resolution_stage = changed.resolution_stage, resolved_at = changed.resolved_at,
           root_cause_id = changed.root_cause_id, confirm_by = changed.confirm_by, closed_at = changed.closed_at,
           fires_at = changed.fires_at, listed_at = changed.listed_at
      FROM unnest(
           CAST(:id AS uuid[]), CAST(:seen AS integer[]), CAST(:customer_id AS text[]), CAST(:score AS integer[]),
           CAST(:status AS text[]), CAST(:outcome AS text[]), CAST(:level AS text[]), CAST(:owner_id AS text[]),
           CAST(:owner_reason AS text[]), CAST(:owner_reason_details AS text[]), CAST(:responsible_id AS text[]),
           CAST(:round AS integer[]), CAST(:reopenings AS integer[]), CAST(:version AS integer[]),
           CAST(:first_contact_due_at AS timestamptz[]), CAST(:first_contact_warn_at AS timestamptz[]),
           CAST(:first_contact_stage AS text[]), CAST(:first_contacted_at AS timestamptz[]),
           CAST(:resolution_due_at AS timestamptz[]), CAST(:resolution_warn_at AS timestamptz[]),
           CAST(:resolution_stage AS text[]), CAST(:resolved_at AS timestamptz[]), CAST(:root_cause_id AS text[]),
           CAST(:confirm_by AS timestamptz[]), CAST(:closed_at AS timestamptz[]), CAST(:fires_at AS timestamptz[]),
           CAST(:listed_at AS timestamptz[]))
        AS changed (
           id, seen, customer_id, score, status, outcome, level, owner_id, owner_reason, owner_reason_details,
           responsible_id, round, reopenings, version, first_contact_due_at, first_contact_warn_at, first_contact_stage,
           first_contacted_at, resolution_due_at, resolution_warn_at, resolution_stage, resolved_at, root_cause_id,
           confirm_by, closed_at, fires_at, listed_at)
     WHERE cases.id = changed.id AND cases.version = changed.seen
""")

_APPEND: Final = text("""
    INSERT INTO timeline (case_id, version, kind, at, actor_kind, actor_id, details, text)
    SELECT case_id, version, kind, at, actor_kind, actor_id, CAST(details AS json), text
      FROM unnest(CAST(:case_id AS uuid[]), CAST(:version AS integer[]), CAST(:kind AS text[]),
                  CAST(:at AS timestamptz[]), CAST(:actor_kind AS text[]), CAST(:actor_id AS text[]),
                  CAST(:details AS text[]), CAST(:text AS text[]))
           AS happened (case_id, version, kind, at, actor_kind, actor_id, details, text)
""")

# The arrays come sorted, so that transactions that count for the same people do it in one order.
_COUNT: Final = text("""
    INSERT INTO agent_loads (agent_id, running_cases)
    SELECT agent_id, change
      FROM unnest(CAST(:agents AS text[]), CAST(:changes AS integer[])) AS counted (agent_id, change)
        ON CONFLICT (agent_id) DO UPDATE SET running_cases = agent_loads.running_cases + excluded.running_cases
""")

_json = msgspec.json.Encoder().encode


class StaleCase(RuntimeError):
    """A case was saved by somebody who did not hold its row: a bug, found before it overwrote anything."""


async def save(tx: Tx, book: Casebook) -> None:
    """Write what the book decided, with its timeline, and publish its events: at most five statements.

    The last thing that a transaction does: the loads of the few agents are rows that everybody wants.
    """
    changes = book.changes
    opened = [change.after for change in changes if change.before is None]
    changed = [(change.before, change.after) for change in changes if change.before is not None]
    if opened:
        await tx.execute(_INSERT, _columns(opened))
    if changed:
        seen = {"seen": [before.version for before, _ in changed]}
        try:
            count = await tx.execute(_UPDATE, _columns([after for _, after in changed]) | seen)
        except IntegrityError as error:
            # Reopened in the moment in which an answer opened another case. A command is told; a batch is tried anew.
            if len(changed) == 1 and "one_open_case_per_customer" in str(error.orig):
                raise CustomerHasOpenCase(changed[0][1].id) from error
            raise
        if count != len(changed):
            raise StaleCase(f"{len(changed) - count} of {len(changed)} cases changed under our hands")
    if book.steps:
        await tx.execute(_APPEND, _lines(book.steps))
    counts = _load_changes(changes)
    if counts:
        agents = sorted(counts)
        await tx.execute(_COUNT, {"agents": agents, "changes": [counts[agent] for agent in agents]})
    for step in book.steps:
        if step.payload is not None:
            case = book[step.entry.case_id]
            event = Event.caused_by_command(
                step.cause.id,
                step.payload,
                subject=str(case.id),
                time=step.entry.at,
                source=SOURCE,
                traceparent=step.cause.traceparent,
            )
            tx.emit(event, key=case.event_key)


def _columns(cases: Sequence[Case]) -> dict[str, list[Any]]:
    return {
        "id": [case.id for case in cases],
        "event_key": [case.event_key for case in cases],
        "customer_id": [case.customer_id for case in cases],
        "opening_response_id": [case.opening_response_id for case in cases],
        "program": [case.program for case in cases],
        "touchpoint": [case.touchpoint for case in cases],
        "language": [case.language for case in cases],
        "score": [case.score for case in cases],
        "tier": [case.tier for case in cases],
        "status": [case.status.value for case in cases],
        "outcome": [case.outcome for case in cases],
        "level": [case.level for case in cases],
        "owner_id": [case.owner_id for case in cases],
        "owner_reason": [case.owner_reason for case in cases],
        "owner_reason_details": [_text(case.owner_reason_details) for case in cases],
        "responsible_id": [case.responsible_id for case in cases],
        "round": [case.round for case in cases],
        "reopenings": [case.reopenings for case in cases],
        "version": [case.version for case in cases],
        "answered_at": [case.answered_at for case in cases],
        "opened_at": [case.opened_at for case in cases],
        "first_contact_due_at": [case.first_contact.due_at for case in cases],
        "first_contact_warn_at": [case.first_contact.warn_at for case in cases],
        "first_contact_stage": [case.first_contact.stage.value for case in cases],
        "first_contacted_at": [case.first_contacted_at for case in cases],
        "resolution_due_at": [case.resolution.due_at for case in cases],
        "resolution_warn_at": [case.resolution.warn_at for case in cases],
        "resolution_stage": [case.resolution.stage.value for case in cases],
        "resolved_at": [case.resolved_at for case in cases],
        "root_cause_id": [case.root_cause_id for case in cases],
        "confirm_by": [case.confirm_by for case in cases],
        "closed_at": [case.closed_at for case in cases],
        "fires_at": [case.fires_at for case in cases],
        "listed_at": [case.listed_at for case in cases],
    }


def _lines(steps: Sequence[Step]) -> dict[str, list[Any]]:
    entries = [step.entry for step in steps]
    return {
        "case_id": [entry.case_id for entry in entries],
        "version": [entry.version for entry in entries],
        "kind": [entry.kind for entry in entries],
        "at": [entry.at for entry in entries],
        "actor_kind": [entry.actor.kind for entry in entries],
        "actor_id": [entry.actor.id for entry in entries],
        "details": [_text(entry.details) for entry in entries],
        "text": [entry.text for entry in entries],
    }


def _text(details: Mapping[str, object]) -> str:
    return _json(details).decode()


def _load_changes(changes: Sequence[Change]) -> dict[AgentId, int]:
    counts: Counter[AgentId] = Counter()
    for change in changes:
        if change.before is not None and change.before.is_running:
            counts[change.before.owner_id] -= 1
        if change.after.is_running:
            counts[change.after.owner_id] += 1
    return {agent: count for agent, count in counts.items() if count}
