"""Cases, locked and saved set-wise: rows, timeline, loads of their owners and events in one go.

Whoever changes a case holds its row. Sets of rows are always locked in the order of their ids, and the clock loop
never waits for one, so that no two transactions can wait for each other.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import ARRAY, DateTime, Integer, Text, Uuid, and_, any_, bindparam, literal_column, or_, select, text
from sqlalchemy.exc import IntegrityError

from libs.events.event import Event
from services.casework.domain.cases import Case, Status
from services.casework.domain.clocks import Deadline, Stage
from services.casework.domain.errors import CustomerHasOpenCase
from services.casework.store.tables import CASES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.casework.domain.casebook import Casebook, Change
    from services.casework.domain.names import AgentId, CaseId, CustomerId
    from services.casework.domain.timeline import Step

SOURCE: Final = "/casework"

_IDS: Final = bindparam("ids", type_=ARRAY(Uuid))
_CUSTOMERS: Final = bindparam("customers", type_=ARRAY(Text))
# A literal and not a parameter, as only so the planner may use the partial index.
_NOT_CLOSED: Final = CASES.c.status != literal_column("'closed'")

_LOCK: Final = (
    select(*CASES.c)
    .where(or_(CASES.c.id == any_(_IDS), and_(CASES.c.customer_id == any_(_CUSTOMERS), _NOT_CLOSED)))
    .order_by(CASES.c.id)
    .with_for_update()
)
_LOCK_ALL_OF_CUSTOMERS: Final = (
    select(*CASES.c).where(CASES.c.customer_id == any_(_CUSTOMERS)).order_by(CASES.c.id).with_for_update()
)
_CLAIM_FIRING: Final = (
    select(*CASES.c)
    .where(CASES.c.fires_at <= bindparam("now", type_=DateTime(timezone=True)))
    .order_by(CASES.c.fires_at)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(skip_locked=True)
)

_OLDEST_FIRING: Final = text("SELECT min(fires_at) AS fires_at FROM cases WHERE fires_at IS NOT NULL")

_PREVIOUS_OWNERS: Final = text("""
    SELECT DISTINCT ON (customer_id) customer_id, owner_id
      FROM cases
     WHERE customer_id = ANY(CAST(:customers AS text[]))
     ORDER BY customer_id, opened_at DESC, id
""")

_OTHER_OPEN_CASE: Final = text("""
    SELECT EXISTS (SELECT FROM cases WHERE customer_id = :customer_id AND status <> 'closed' AND id <> :id) AS found
""")

_INSERT: Final = text("""
    INSERT INTO cases (
           id, event_key, customer_id, opening_response_id, program, touchpoint, language, score, tier, status,
           outcome, level, owner_id, owner_reason, owner_reason_details, responsible_id, round, version, answered_at,
           opened_at, first_contact_due_at, first_contact_warn_at, first_contact_stage, first_contacted_at,
           resolution_due_at, resolution_warn_at, resolution_stage, resolved_at, root_cause_id, confirm_by, closed_at,
           fires_at, listed_at)
    SELECT id, event_key, customer_id, opening_response_id, program, touchpoint, language, score, tier, status,
           outcome, level, owner_id, owner_reason, CAST(owner_reason_details AS json), responsible_id, round, version,
           answered_at, opened_at, first_contact_due_at, first_contact_warn_at, first_contact_stage,
           first_contacted_at, resolution_due_at, resolution_warn_at, resolution_stage, resolved_at, root_cause_id,
           confirm_by, closed_at, fires_at, listed_at
      FROM unnest(
           CAST(:id AS uuid[]), CAST(:event_key AS text[]), CAST(:customer_id AS text[]),
           CAST(:opening_response_id AS text[]), CAST(:program AS text[]), CAST(:touchpoint AS text[]),
           CAST(:language AS text[]), CAST(:score AS integer[]), CAST(:tier AS text[]), CAST(:status AS text[]),
           CAST(:outcome AS text[]), CAST(:level AS text[]), CAST(:owner_id AS text[]), CAST(:owner_reason AS text[]),
           CAST(:owner_reason_details AS text[]), CAST(:responsible_id AS text[]), CAST(:round AS integer[]),
           CAST(:version AS integer[]), CAST(:answered_at AS timestamptz[]), CAST(:opened_at AS timestamptz[]),
           CAST(:first_contact_due_at AS timestamptz[]), CAST(:first_contact_warn_at AS timestamptz[]),
           CAST(:first_contact_stage AS text[]), CAST(:first_contacted_at AS timestamptz[]),
           CAST(:resolution_due_at AS timestamptz[]), CAST(:resolution_warn_at AS timestamptz[]),
           CAST(:resolution_stage AS text[]), CAST(:resolved_at AS timestamptz[]), CAST(:root_cause_id AS text[]),
           CAST(:confirm_by AS timestamptz[]), CAST(:closed_at AS timestamptz[]), CAST(:fires_at AS timestamptz[]),
           CAST(:listed_at AS timestamptz[]))
        AS opened (
           id, event_key, customer_id, opening_response_id, program, touchpoint, language, score, tier, status,
           outcome, level, owner_id, owner_reason, owner_reason_details, responsible_id, round, version, answered_at,
           opened_at, first_contact_due_at, first_contact_warn_at, first_contact_stage, first_contacted_at,
           resolution_due_at, resolution_warn_at, resolution_stage, resolved_at, root_cause_id, confirm_by, closed_at,
           fires_at, listed_at)
""")

# `seen` is the version under the lock. It always matches; a mistake in locking must not overwrite silently.
_UPDATE: Final = text("""
    UPDATE cases
       SET customer_id = changed.customer_id, score = changed.score, status = changed.status,
           outcome = changed.outcome, level = changed.level, owner_id = changed.owner_id,
           owner_reason = changed.owner_reason, owner_reason_details = CAST(changed.owner_reason_details AS json),
           responsible_id = changed.responsible_id, round = changed.round, version = changed.version,
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
           CAST(:round AS integer[]), CAST(:version AS integer[]),
           CAST(:first_contact_due_at AS timestamptz[]), CAST(:first_contact_warn_at AS timestamptz[]),
           CAST(:first_contact_stage AS text[]), CAST(:first_contacted_at AS timestamptz[]),
           CAST(:resolution_due_at AS timestamptz[]), CAST(:resolution_warn_at AS timestamptz[]),
           CAST(:resolution_stage AS text[]), CAST(:resolved_at AS timestamptz[]), CAST(:root_cause_id AS text[]),
           CAST(:confirm_by AS timestamptz[]), CAST(:closed_at AS timestamptz[]), CAST(:fires_at AS timestamptz[]),
           CAST(:listed_at AS timestamptz[]))
        AS changed (
           id, seen, customer_id, score, status, outcome, level, owner_id, owner_reason, owner_reason_details,
           responsible_id, round, version, first_contact_due_at, first_contact_warn_at, first_contact_stage,
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


async def lock(tx: Tx, ids: Iterable[CaseId] = (), customers: Iterable[CustomerId] = ()) -> list[Case]:
    """These cases and the cases of these customers that are not closed, locked."""
    return [case_of(row) for row in await tx.fetch(_LOCK, {"ids": list(ids), "customers": list(customers)})]


async def lock_one(tx: Tx, id_: CaseId) -> Case | None:
    """The case, locked."""
    found = await lock(tx, [id_])
    return found[0] if found else None


async def lock_all_of_customers(tx: Tx, customers: Iterable[CustomerId]) -> list[Case]:
    """All cases of these customers, closed ones too, locked."""
    return [case_of(row) for row in await tx.fetch(_LOCK_ALL_OF_CUSTOMERS, {"customers": list(customers)})]


async def claim_firing(tx: Tx, limit: int) -> list[Case]:
    """Cases whose clocks have something to do by now, the longest due first, but for those in other hands."""
    return [case_of(row) for row in await tx.fetch(_CLAIM_FIRING, {"now": tx.now, "limit": limit})]


async def oldest_firing(tx: Tx) -> datetime | None:
    """The earliest instant at which a clock has, or had, something to do."""
    row = await tx.fetch_one(_OLDEST_FIRING)
    return None if row is None else row.fires_at


async def previous_owners(tx: Tx, customers: Iterable[CustomerId]) -> dict[CustomerId, AgentId]:
    """Who owned the latest case of each of these customers."""
    return {row.customer_id: row.owner_id for row in await tx.fetch(_PREVIOUS_OWNERS, {"customers": list(customers)})}


async def has_other_open_case(tx: Tx, case: Case) -> bool:
    """Whether the customer has another case that is not closed."""
    if case.customer_id is None:
        return False
    row = await tx.fetch_one(_OTHER_OPEN_CASE, {"customer_id": case.customer_id, "id": case.id})
    return row is not None and bool(row.found)


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


def case_of(row: Row[Any]) -> Case:
    """The case in a row of the table."""
    return Case(
        id=row.id,
        event_key=row.event_key,
        customer_id=row.customer_id,
        opening_response_id=row.opening_response_id,
        program=row.program,
        touchpoint=row.touchpoint,
        language=row.language,
        score=row.score,
        tier=row.tier,
        status=Status(row.status),
        outcome=row.outcome,
        level=row.level,
        owner_id=row.owner_id,
        owner_reason=row.owner_reason,
        owner_reason_details=row.owner_reason_details,
        responsible_id=row.responsible_id,
        round=row.round,
        version=row.version,
        answered_at=row.answered_at,
        opened_at=row.opened_at,
        first_contact=Deadline(row.first_contact_due_at, row.first_contact_warn_at, Stage(row.first_contact_stage)),
        first_contacted_at=row.first_contacted_at,
        resolution=Deadline(row.resolution_due_at, row.resolution_warn_at, Stage(row.resolution_stage)),
        resolved_at=row.resolved_at,
        root_cause_id=row.root_cause_id,
        confirm_by=row.confirm_by,
        closed_at=row.closed_at,
    )


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
