"""Cases, locked set-wise.

Whoever changes a case holds its row. Sets of rows are always locked in the order of their ids, and the clock loop
never waits for one, so that no two transactions can wait for each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import text

from libs.events.contracts.scores import PriorityPart
from services.casework.domain.cases import CLOSED_FROM, Case, Status, Waiting
from services.casework.domain.clocks import Deadline, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.casework.domain.names import AgentId, CaseId, CustomerId, ResponseId

# "closed" is a literal and not a parameter, as only so the planner may use the partial index.
_LOCK: Final = text("""
    SELECT id, event_key, customer_id, opening_response_id, program, touchpoint, language, score, tier, status, outcome,
           level, owner_id, owner_reason, CAST(owner_reason_details AS text) AS owner_reason_details, responsible_id,
           round, reopenings, version, answered_at, opened_at, first_contact_due_at, first_contact_warn_at,
           first_contact_stage, first_contacted_at, resolution_due_at, resolution_warn_at, resolution_stage,
           resolved_at, root_cause_id, confirm_by, closed_at, clocks_since, escalated_at, escalation_due_at,
           escalation_warn_at, escalation_stage, waiting_since, waiting_until, waiting_reason, pauses,
           first_contact_later, resolution_later, escalation_later, priority,
           CAST(priority_parts AS text) AS priority_parts, signals, kind
      FROM cases
     WHERE id = ANY(CAST(:ids AS uuid[]))
        OR (customer_id = ANY(CAST(:customers AS text[])) AND status <> 'closed')
     ORDER BY id
       FOR UPDATE
""")

_LOCK_ALL_OF_CUSTOMERS: Final = text("""
    SELECT id, event_key, customer_id, opening_response_id, program, touchpoint, language, score, tier, status, outcome,
           level, owner_id, owner_reason, CAST(owner_reason_details AS text) AS owner_reason_details, responsible_id,
           round, reopenings, version, answered_at, opened_at, first_contact_due_at, first_contact_warn_at,
           first_contact_stage, first_contacted_at, resolution_due_at, resolution_warn_at, resolution_stage,
           resolved_at, root_cause_id, confirm_by, closed_at, clocks_since, escalated_at, escalation_due_at,
           escalation_warn_at, escalation_stage, waiting_since, waiting_until, waiting_reason, pauses,
           first_contact_later, resolution_later, escalation_later, priority,
           CAST(priority_parts AS text) AS priority_parts, signals, kind
      FROM cases
     WHERE customer_id = ANY(CAST(:customers AS text[]))
     ORDER BY id
       FOR UPDATE
""")

_FIND: Final = text("""
    SELECT id, event_key, customer_id, opening_response_id, program, touchpoint, language, score, tier, status, outcome,
           level, owner_id, owner_reason, CAST(owner_reason_details AS text) AS owner_reason_details, responsible_id,
           round, reopenings, version, answered_at, opened_at, first_contact_due_at, first_contact_warn_at,
           first_contact_stage, first_contacted_at, resolution_due_at, resolution_warn_at, resolution_stage,
           resolved_at, root_cause_id, confirm_by, closed_at, clocks_since, escalated_at, escalation_due_at,
           escalation_warn_at, escalation_stage, waiting_since, waiting_until, waiting_reason, pauses,
           first_contact_later, resolution_later, escalation_later, priority,
           CAST(priority_parts AS text) AS priority_parts, signals, kind
      FROM cases
     WHERE id = :id
""")

_LOCK_FREE: Final = text("""
    SELECT id, event_key, customer_id, opening_response_id, program, touchpoint, language, score, tier, status, outcome,
           level, owner_id, owner_reason, CAST(owner_reason_details AS text) AS owner_reason_details, responsible_id,
           round, reopenings, version, answered_at, opened_at, first_contact_due_at, first_contact_warn_at,
           first_contact_stage, first_contacted_at, resolution_due_at, resolution_warn_at, resolution_stage,
           resolved_at, root_cause_id, confirm_by, closed_at, clocks_since, escalated_at, escalation_due_at,
           escalation_warn_at, escalation_stage, waiting_since, waiting_until, waiting_reason, pauses,
           first_contact_later, resolution_later, escalation_later, priority,
           CAST(priority_parts AS text) AS priority_parts, signals, kind
      FROM cases
     WHERE id = ANY(CAST(:ids AS uuid[]))
     ORDER BY id
       FOR UPDATE SKIP LOCKED
""")

_CLAIM_FIRING: Final = text("""
    SELECT id, event_key, customer_id, opening_response_id, program, touchpoint, language, score, tier, status, outcome,
           level, owner_id, owner_reason, CAST(owner_reason_details AS text) AS owner_reason_details, responsible_id,
           round, reopenings, version, answered_at, opened_at, first_contact_due_at, first_contact_warn_at,
           first_contact_stage, first_contacted_at, resolution_due_at, resolution_warn_at, resolution_stage,
           resolved_at, root_cause_id, confirm_by, closed_at, clocks_since, escalated_at, escalation_due_at,
           escalation_warn_at, escalation_stage, waiting_since, waiting_until, waiting_reason, pauses,
           first_contact_later, resolution_later, escalation_later, priority,
           CAST(priority_parts AS text) AS priority_parts, signals, kind
      FROM cases
     WHERE fires_at <= :now AND id <> ALL(CAST(:but AS uuid[]))
     ORDER BY fires_at
     LIMIT :limit
       FOR UPDATE SKIP LOCKED
""")

_CLAIM_ONE_FIRING: Final = text("""
    SELECT id, event_key, customer_id, opening_response_id, program, touchpoint, language, score, tier, status, outcome,
           level, owner_id, owner_reason, CAST(owner_reason_details AS text) AS owner_reason_details, responsible_id,
           round, reopenings, version, answered_at, opened_at, first_contact_due_at, first_contact_warn_at,
           first_contact_stage, first_contacted_at, resolution_due_at, resolution_warn_at, resolution_stage,
           resolved_at, root_cause_id, confirm_by, closed_at, clocks_since, escalated_at, escalation_due_at,
           escalation_warn_at, escalation_stage, waiting_since, waiting_until, waiting_reason, pauses,
           first_contact_later, resolution_later, escalation_later, priority,
           CAST(priority_parts AS text) AS priority_parts, signals, kind
      FROM cases
     WHERE id = :id AND fires_at <= :now
       FOR UPDATE SKIP LOCKED
""")

_FIRING: Final = text("""
    SELECT id FROM cases WHERE fires_at <= :now AND id <> ALL(CAST(:but AS uuid[])) ORDER BY fires_at LIMIT :limit
""")

_OLDEST_FIRING: Final = text("""
    SELECT least((SELECT min(fires_at) FROM cases WHERE fires_at IS NOT NULL),
                 (SELECT min(fires_at) FROM tasks WHERE fires_at IS NOT NULL)) AS fires_at
""")

_COLUMNS: Final = 48
_STATUSES: Final = {status.value: status for status in Status}
_STAGES: Final = {stage.value: stage for stage in Stage}
_parts: Final = msgspec.json.Decoder(tuple[PriorityPart, ...]).decode
_details: Final = msgspec.json.Decoder(dict[str, str | int | bool | None]).decode

_STANDING: Final = text("""
    SELECT case_id, NULL AS response_id
      FROM timeline
     WHERE case_id = ANY(CAST(:ids AS uuid[])) AND actor_kind IN ('person', 'key')
     UNION ALL
    SELECT case_id, response_id
      FROM answers
     WHERE case_id = ANY(CAST(:ids AS uuid[])) AND metric = 'nps' AND nps_class = 'detractor' AND score IS NOT NULL
""")

_PREVIOUS_OWNERS: Final = text("""
    SELECT DISTINCT ON (customer_id) customer_id, owner_id
      FROM cases
     WHERE customer_id = ANY(CAST(:customers AS text[]))
     ORDER BY customer_id, opened_at DESC, id
""")

# In a row: since somebody was last reached or asked us to call later, or the case was opened again.
_UNANSWERED: Final = text("""
    SELECT count(*) AS attempts
      FROM timeline
     WHERE case_id = :id AND kind = 'contacted' AND version > (
           SELECT COALESCE(max(version), 0)
             FROM timeline
            WHERE case_id = :id
              AND (kind = 'reopened'
                   OR (kind = 'contacted' AND details ->> 'outcome' IN ('reached', 'declined', 'call_later'))))
""")

_NOT_CLOSED_OF: Final = text("""
    SELECT id
      FROM cases
     WHERE owner_id = :owner AND listed_at < :closed_from
     ORDER BY listed_at, id
     LIMIT :limit
""")

_OTHER_OPEN_CASE: Final = text("""
    SELECT EXISTS (SELECT FROM cases WHERE customer_id = :customer_id AND status <> 'closed' AND id <> :id) AS found
""")


async def standing(tx: Tx, ids: Iterable[CaseId]) -> tuple[set[CaseId], dict[CaseId, set[ResponseId]]]:
    """Which of these cases nobody has acted on, and on which detractors' answers each rests."""
    untouched = set(ids)
    resting_on: dict[CaseId, set[ResponseId]] = {}
    for row in await tx.fetch(_STANDING, {"ids": list(untouched)}):
        if row.response_id is None:
            untouched.discard(row.case_id)
        else:
            resting_on.setdefault(row.case_id, set()).add(row.response_id)
    return untouched, resting_on


async def lock(tx: Tx, ids: Iterable[CaseId] = (), customers: Iterable[CustomerId] = ()) -> list[Case]:
    """These cases and the cases of these customers that are not closed, locked."""
    return [case_of(row) for row in await tx.fetch(_LOCK, {"ids": list(ids), "customers": list(customers)})]


async def find(tx: Tx, id_: CaseId) -> Case | None:
    """The case, to be looked at."""
    row = await tx.fetch_one(_FIND, {"id": id_})
    return None if row is None else case_of(row)


async def pass_over_locked(tx: Tx, ids: Iterable[CaseId]) -> list[Case]:
    """Those of these cases that are in no other hands, locked."""
    return [case_of(row) for row in await tx.fetch(_LOCK_FREE, {"ids": list(ids)})]


async def lock_one(tx: Tx, id_: CaseId) -> Case | None:
    """The case, locked."""
    found = await lock(tx, [id_])
    return found[0] if found else None


async def lock_all_of_customers(tx: Tx, customers: Iterable[CustomerId]) -> list[Case]:
    """All cases of these customers, closed ones too, locked."""
    return [case_of(row) for row in await tx.fetch(_LOCK_ALL_OF_CUSTOMERS, {"customers": list(customers)})]


async def claim_firing(tx: Tx, limit: int, but: Iterable[CaseId] = ()) -> list[Case]:
    """Cases whose clocks have something to do by now, the longest due first, but for those in other hands."""
    parameters = {"now": tx.now, "limit": limit, "but": list(but)}
    return [case_of(row) for row in await tx.fetch(_CLAIM_FIRING, parameters)]


async def claim_one_firing(tx: Tx, id_: CaseId) -> Case | None:
    """The case, if its clocks have something to do by now and it is in no other hands."""
    row = await tx.fetch_one(_CLAIM_ONE_FIRING, {"id": id_, "now": tx.now})
    return None if row is None else case_of(row)


async def firing(tx: Tx, limit: int, but: Iterable[CaseId]) -> list[CaseId]:
    """Which cases have clocks with something to do by now, the longest due first; not locked."""
    return [row.id for row in await tx.fetch(_FIRING, {"now": tx.now, "limit": limit, "but": list(but)})]


async def oldest_firing(tx: Tx) -> datetime | None:
    """The earliest instant at which a clock of a case or of a task has, or had, something to do."""
    row = await tx.fetch_one(_OLDEST_FIRING)
    return None if row is None else row.fires_at


async def previous_owners(tx: Tx, customers: Iterable[CustomerId]) -> dict[CustomerId, AgentId]:
    """Who owned the latest case of each of these customers."""
    return {row.customer_id: row.owner_id for row in await tx.fetch(_PREVIOUS_OWNERS, {"customers": list(customers)})}


async def unanswered_attempts(tx: Tx, id_: CaseId) -> int:
    """At how many attempts in a row, up to the latest, nobody was reached."""
    row = await tx.fetch_one(_UNANSWERED, {"id": id_})
    return 0 if row is None else int(row.attempts)


async def not_closed_of(tx: Tx, owner: AgentId, limit: int) -> list[CaseId]:
    """Cases of this owner that are not closed, the first due first; not locked."""
    parameters = {"owner": owner, "closed_from": CLOSED_FROM, "limit": limit}
    return [row.id for row in await tx.fetch(_NOT_CLOSED_OF, parameters)]


async def has_other_open_case(tx: Tx, case: Case) -> bool:
    """Whether the customer has another case that is not closed."""
    if case.customer_id is None:
        return False
    row = await tx.fetch_one(_OTHER_OPEN_CASE, {"customer_id": case.customer_id, "id": case.id})
    return row is not None and bool(row.found)


def case_of(row: Row[Any]) -> Case:
    """The case in a row that begins with the columns of the statements above."""
    columns: tuple[Any, ...] = row[:_COLUMNS]
    # By place: by name, 47 columns of 500 rows cost as much as all that is then decided about the cases.
    (
        id_,
        event_key,
        customer_id,
        opening_response_id,
        program,
        touchpoint,
        language,
        score,
        tier,
        status,
        outcome,
        level,
        owner_id,
        owner_reason,
        owner_reason_details,
        responsible_id,
        round_,
        reopenings,
        version,
        answered_at,
        opened_at,
        first_contact_due_at,
        first_contact_warn_at,
        first_contact_stage,
        first_contacted_at,
        resolution_due_at,
        resolution_warn_at,
        resolution_stage,
        resolved_at,
        root_cause_id,
        confirm_by,
        closed_at,
        clocks_since,
        escalated_at,
        escalation_due_at,
        escalation_warn_at,
        escalation_stage,
        waiting_since,
        waiting_until,
        waiting_reason,
        pauses,
        first_contact_later,
        resolution_later,
        escalation_later,
        priority,
        priority_parts,
        signals,
        kind,
    ) = columns
    return Case(
        id=id_,
        event_key=event_key,
        customer_id=customer_id,
        opening_response_id=opening_response_id,
        program=program,
        touchpoint=touchpoint,
        language=language,
        score=score,
        tier=tier,
        status=_STATUSES[status],
        outcome=outcome,
        level=level,
        owner_id=owner_id,
        owner_reason=owner_reason,
        owner_reason_details=_details(owner_reason_details),
        responsible_id=responsible_id,
        round=round_,
        reopenings=reopenings,
        version=version,
        answered_at=answered_at,
        opened_at=opened_at,
        first_contact=_deadline(first_contact_due_at, first_contact_warn_at, first_contact_stage, first_contact_later),
        first_contacted_at=first_contacted_at,
        resolution=_deadline(resolution_due_at, resolution_warn_at, resolution_stage, resolution_later),
        resolved_at=resolved_at,
        root_cause_id=root_cause_id,
        confirm_by=confirm_by,
        closed_at=closed_at,
        clocks_since=clocks_since,
        escalated_at=escalated_at,
        escalation=None
        if escalation_stage is None
        else _deadline(escalation_due_at, escalation_warn_at, escalation_stage, escalation_later),
        waiting=None if waiting_since is None else Waiting(waiting_since, waiting_until, waiting_reason),
        pauses=() if pauses is None else tuple(zip(pauses[::2], pauses[1::2], strict=True)),
        priority=priority,
        priority_parts=() if priority_parts is None else _parts(priority_parts),
        signals=() if signals is None else tuple(signals),
        kind=kind,
    )


def _deadline(due_at: datetime, warn_at: datetime, stage: str, later: list[datetime] | None) -> Deadline:
    return Deadline(due_at, warn_at, _STAGES[stage], () if later is None else tuple(later))
