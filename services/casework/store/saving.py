"""What a transaction decided about cases, saved set-wise: rows, timeline, loads of their owners, and events.

Nothing else writes a case, so no change goes without its line in the timeline and its event.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from libs.events.event import Event
from services.casework.domain.errors import CustomerHasOpenCase
from services.casework.store import cells

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from libs.events.contracts.scores import PriorityPart
    from libs.events.database import Tx
    from services.casework.domain.casebook import Casebook, Change
    from services.casework.domain.cases import Case, Waiting
    from services.casework.domain.clocks import Deadline
    from services.casework.domain.names import AgentId
    from services.casework.domain.timeline import Step

SOURCE: Final = "/casework"

_INSERT: Final = text("""
    INSERT INTO cases (
           id, event_key, customer_id, opening_response_id, program, touchpoint, language, score, tier, status,
           outcome, level, owner_id, owner_reason, owner_reason_details, responsible_id, round, reopenings, version,
           answered_at, opened_at, first_contact_due_at, first_contact_warn_at, first_contact_stage,
           first_contacted_at, resolution_due_at, resolution_warn_at, resolution_stage, resolved_at, root_cause_id,
           confirm_by, closed_at, escalated_at, escalation_due_at, escalation_warn_at, escalation_stage,
           first_contact_later, resolution_later, escalation_later, fires_at, listed_at, priority, priority_parts,
           signals)
    SELECT id, event_key, customer_id, opening_response_id, program, touchpoint, language, score, tier, status,
           outcome, level, owner_id, owner_reason, CAST(owner_reason_details AS json), responsible_id, round,
           reopenings, version, answered_at, opened_at, first_contact_due_at, first_contact_warn_at,
           first_contact_stage, first_contacted_at, resolution_due_at, resolution_warn_at, resolution_stage,
           resolved_at, root_cause_id, confirm_by, closed_at, escalated_at, escalation_due_at, escalation_warn_at,
           escalation_stage, first_contact_later, resolution_later, escalation_later, fires_at, listed_at, priority,
           CAST(priority_parts AS json), signals
      FROM unnest(CAST(:rows AS signalled_opened_case[]))
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
           clocks_since = changed.clocks_since, escalated_at = changed.escalated_at,
           escalation_due_at = changed.escalation_due_at, escalation_warn_at = changed.escalation_warn_at,
           escalation_stage = changed.escalation_stage, waiting_since = changed.waiting_since,
           waiting_until = changed.waiting_until, waiting_reason = changed.waiting_reason, pauses = changed.pauses,
           first_contact_later = changed.first_contact_later, resolution_later = changed.resolution_later,
           escalation_later = changed.escalation_later,
           fires_at = changed.fires_at, listed_at = changed.listed_at, priority = changed.priority,
           priority_parts = CAST(changed.priority_parts AS json), signals = changed.signals
      FROM unnest(CAST(:rows AS signalled_changed_case[])) AS changed
     WHERE cases.id = changed.id AND cases.version = changed.seen
""")

_APPEND: Final = text("""
    INSERT INTO timeline (case_id, version, kind, at, actor_kind, actor_id, details, text)
    SELECT case_id, version, kind, at, actor_kind, actor_id, CAST(details AS json), text
      FROM unnest(CAST(:rows AS timeline_row[]))
""")

# The arrays come sorted, so that transactions that count for the same people do it in one order.
_COUNT: Final = text("""
    INSERT INTO agent_loads (agent_id, running_cases)
    SELECT agent_id, change
      FROM unnest(CAST(:agents AS text[]), CAST(:changes AS integer[])) AS counted (agent_id, change)
        ON CONFLICT (agent_id) DO UPDATE SET running_cases = agent_loads.running_cases + excluded.running_cases
""")

_json = msgspec.json.Encoder().encode


# Light cases are few, so that what makes them so is said beside the statements that all cases share.
_KINDS: Final = text("""
    UPDATE cases
       SET kind = said.kind
      FROM unnest(CAST(:ids AS uuid[]), CAST(:kinds AS text[])) AS said (id, kind)
     WHERE cases.id = said.id
""")


class StaleCase(RuntimeError):
    """A case was saved by somebody who did not hold its row: a bug, found before it overwrote anything."""


async def save(tx: Tx, book: Casebook) -> None:
    """Write what the book decided, with its timeline, and publish its events: at most five statements.

    The last thing that a transaction does: the loads of the few agents are rows that everybody wants.
    """
    changes = book.changes
    opened = [change.after for change in changes if change.before is None]
    changed = [(change.before, change.after) for change in changes if change.before is not None]
    if changed:
        try:
            count = await tx.execute(_UPDATE, {"rows": [_changed(before, after) for before, after in changed]})
        except IntegrityError as error:
            # Reopened in the moment in which an answer opened another case. A command is told; a batch is tried anew.
            if len(changed) == 1 and "one_open_case_per_customer" in str(error.orig):
                raise CustomerHasOpenCase(changed[0][1].id) from error
            raise
        if count != len(changed):
            raise StaleCase(f"{len(changed) - count} of {len(changed)} cases changed under our hands")
    if opened:
        # After the changes: a case that one answer of a batch ended leaves room for the one that the next opens.
        await tx.execute(_INSERT, {"rows": [_opened(case) for case in opened]})
    kinds = [
        change.after
        for change in changes
        if change.after.kind != ("full" if change.before is None else change.before.kind)
    ]
    if kinds:
        await tx.execute(_KINDS, {"ids": [case.id for case in kinds], "kinds": [case.kind for case in kinds]})
    moved = [after.id for before, after in changed if before.owner_id != after.owner_id]
    if moved:
        await cells.follow_owners(tx, moved)
    if book.steps:
        await tx.execute(_APPEND, {"rows": [_line(step) for step in book.steps]})
    counts = _load_changes(changes)
    if counts:
        agents = sorted(counts)
        await tx.execute(_COUNT, {"agents": agents, "changes": [counts[agent] for agent in agents]})
    _tell(tx, book)


def _tell(tx: Tx, book: Casebook) -> None:
    case: Case | None = None
    subject = ""
    for step in book.steps:
        if step.payload is None:
            continue
        if case is None or case.id is not step.entry.case_id:
            case = book[step.entry.case_id]
            subject = str(case.id)
        event = Event.caused_by_command(
            step.cause.id,
            step.payload,
            subject=subject,
            time=step.entry.at,
            source=SOURCE,
            traceparent=step.cause.traceparent,
        )
        tx.emit(event, key=case.event_key)


def _opened(case: Case) -> tuple[object, ...]:
    """The case in the order of `signalled_opened_case`."""
    first_contact, resolution = case.first_contact, case.resolution
    return (
        case.id,
        case.event_key,
        case.customer_id,
        case.opening_response_id,
        case.program,
        case.touchpoint,
        case.language,
        case.score,
        case.tier,
        case.status.value,
        case.outcome,
        case.level,
        case.owner_id,
        case.owner_reason,
        _text(case.owner_reason_details),
        case.responsible_id,
        case.round,
        case.reopenings,
        case.version,
        case.answered_at,
        case.opened_at,
        first_contact.due_at,
        first_contact.warn_at,
        first_contact.stage.value,
        case.first_contacted_at,
        resolution.due_at,
        resolution.warn_at,
        resolution.stage.value,
        case.resolved_at,
        case.root_cause_id,
        case.confirm_by,
        case.closed_at,
        case.escalated_at,
        *_escalation(case.escalation),
        first_contact.later or None,
        resolution.later or None,
        None if case.escalation is None else case.escalation.later or None,
        case.fires_at,
        case.listed_at,
        case.priority,
        _parts(case.priority_parts),
        case.signals or None,
    )


def _changed(before: Case, case: Case) -> tuple[object, ...]:
    """What may have changed of the case, in the order of `signalled_changed_case`."""
    first_contact, resolution = case.first_contact, case.resolution
    return (
        case.id,
        before.version,
        case.customer_id,
        case.score,
        case.status.value,
        case.outcome,
        case.level,
        case.owner_id,
        case.owner_reason,
        _text(case.owner_reason_details),
        case.responsible_id,
        case.round,
        case.reopenings,
        case.version,
        first_contact.due_at,
        first_contact.warn_at,
        first_contact.stage.value,
        case.first_contacted_at,
        resolution.due_at,
        resolution.warn_at,
        resolution.stage.value,
        case.resolved_at,
        case.root_cause_id,
        case.confirm_by,
        case.closed_at,
        case.clocks_since,
        case.escalated_at,
        *_escalation(case.escalation),
        *_waiting(case.waiting),
        [instant for pause in case.pauses for instant in pause] or None,
        first_contact.later or None,
        resolution.later or None,
        None if case.escalation is None else case.escalation.later or None,
        case.fires_at,
        case.listed_at,
        case.priority,
        _parts(case.priority_parts),
        case.signals or None,
    )


def _escalation(clock: Deadline | None) -> tuple[object, ...]:
    return (None, None, None) if clock is None else (clock.due_at, clock.warn_at, clock.stage.value)


def _waiting(waiting: Waiting | None) -> tuple[object, ...]:
    return (None, None, None) if waiting is None else (waiting.since, waiting.until, waiting.reason)


def _line(step: Step) -> tuple[object, ...]:
    """The line of the timeline in the order of `timeline_row`."""
    entry = step.entry
    return (
        entry.case_id,
        entry.version,
        entry.kind,
        entry.at,
        entry.actor.kind,
        entry.actor.id,
        _text(entry.details),
        entry.text,
    )


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


@lru_cache(maxsize=1024)
def _parts(parts: tuple[PriorityPart, ...]) -> str | None:
    return _json(parts).decode() if parts else None
