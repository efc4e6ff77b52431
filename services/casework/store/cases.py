"""Cases, locked set-wise.

Whoever changes a case holds its row. Sets of rows are always locked in the order of their ids, and the clock loop
never waits for one, so that no two transactions can wait for each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ARRAY, DateTime, Integer, Text, Uuid, and_, any_, bindparam, literal_column, or_, select, text

from services.casework.domain.cases import Case, Status
from services.casework.domain.clocks import Deadline, Stage
from services.casework.store.tables import CASES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.casework.domain.names import AgentId, CaseId, CustomerId

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
        reopenings=row.reopenings,
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
