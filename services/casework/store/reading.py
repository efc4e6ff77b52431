"""What people read: lists of cases by any filter, and one case with everything that belongs to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Text, Uuid, bindparam, column, literal, select, table, text, tuple_

from services.casework.store.tables import CASES, CUSTOMERS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Row, Select

    from libs.events.database import Tx

_OWNERS: Final = table("agents", column("id", Text), column("name", Text)).alias("owners")
_RESPONSIBLE: Final = table("agents", column("id", Text), column("name", Text)).alias("responsible")

_SUMMARIES: Final = (
    select(
        *CASES.c,
        CUSTOMERS.c.name.label("customer_name"),
        CUSTOMERS.c.tier.label("customer_tier"),
        CUSTOMERS.c.language.label("customer_language"),
        CUSTOMERS.c.account_name.label("customer_account_name"),
        CUSTOMERS.c.erased_at.label("customer_erased_at"),
        _OWNERS.c.name.label("owner_name"),
        _RESPONSIBLE.c.name.label("responsible_name"),
    )
    .outerjoin(CUSTOMERS, CUSTOMERS.c.customer_id == CASES.c.customer_id)
    .outerjoin(_OWNERS, _OWNERS.c.id == CASES.c.owner_id)
    .outerjoin(_RESPONSIBLE, _RESPONSIBLE.c.id == CASES.c.responsible_id)
)
_ONE: Final = _SUMMARIES.where(CASES.c.id == bindparam("id", type_=Uuid))

_TIMELINE: Final = text("""
    SELECT timeline.version, kind, at, actor_kind, actor_id, CAST(details AS text) AS details, text,
           agents.name AS actor_name
      FROM timeline
      LEFT JOIN agents ON agents.id = timeline.actor_id AND timeline.actor_kind = 'person'
     WHERE case_id = :id AND timeline.version <= :version
     ORDER BY timeline.version
""")

_ANSWERS: Final = text("""
    SELECT response_id, revision, program, touchpoint, kind, metric, score, nps_class, comment, answered_at
      FROM answers
     WHERE case_id = :id
     ORDER BY answered_at, response_id
""")

_EARLIER_ANSWERS: Final = text("""
    SELECT response_id, revision, program, touchpoint, kind, metric, score, nps_class, comment, answered_at, case_id
      FROM answers
     WHERE customer_id = :customer_id AND case_id IS DISTINCT FROM :id
     ORDER BY answered_at DESC, response_id
     LIMIT :limit
""")

_EARLIER_CASES: Final = text("""
    SELECT cases.id, status, outcome, level, score, touchpoint, root_cause_id, owner_id, answered_at, opened_at,
           closed_at, agents.name AS owner_name
      FROM cases
      LEFT JOIN agents ON agents.id = cases.owner_id
     WHERE customer_id = :customer_id AND cases.id <> :id
     ORDER BY opened_at DESC, cases.id
     LIMIT :limit
""")


def list_statement(
    *,
    limit: int,
    after: tuple[datetime, UUID] | None,
    status: str | None,
    owner: str | None,
    level: str | None,
    tier: str | None,
    due_before: datetime | None,
    customer: str | None,
) -> Select[Any]:
    """The statement of one page. Only filters that were asked for are in it, so that each has its index."""
    statement = _SUMMARIES
    for filtered, wanted in (
        (CASES.c.status, status),
        (CASES.c.owner_id, owner),
        (CASES.c.level, level),
        (CASES.c.tier, tier),
        (CASES.c.customer_id, customer),
    ):
        if wanted is not None:
            statement = statement.where(filtered == wanted)
    if due_before is not None:
        statement = statement.where(CASES.c.listed_at < due_before)
    if after is not None:
        last = tuple_(literal(after[0], CASES.c.listed_at.type), literal(after[1], CASES.c.id.type))
        statement = statement.where(tuple_(CASES.c.listed_at, CASES.c.id) > last)
    return statement.order_by(CASES.c.listed_at, CASES.c.id).limit(limit)


async def list_cases(tx: Tx, statement: Select[Any]) -> Sequence[Row[Any]]:
    """One page of cases."""
    return await tx.fetch(statement)


async def find_case(tx: Tx, id_: UUID) -> Row[Any] | None:
    """The case with its customer's profile and the names of who owns it and answers for it."""
    return await tx.fetch_one(_ONE, {"id": id_})


async def timeline(tx: Tx, id_: UUID, version: int) -> Sequence[Row[Any]]:
    """Everything that happened to the case up to this version, in order."""
    return await tx.fetch(_TIMELINE, {"id": id_, "version": version})


async def answers(tx: Tx, id_: UUID) -> Sequence[Row[Any]]:
    """The answers that belong to the case, the first first."""
    return await tx.fetch(_ANSWERS, {"id": id_})


async def earlier_answers(tx: Tx, id_: UUID, customer_id: str, limit: int) -> Sequence[Row[Any]]:
    """The customer's other answers, the latest first."""
    return await tx.fetch(_EARLIER_ANSWERS, {"id": id_, "customer_id": customer_id, "limit": limit})


async def earlier_cases(tx: Tx, id_: UUID, customer_id: str, limit: int) -> Sequence[Row[Any]]:
    """The customer's other cases, the latest first."""
    return await tx.fetch(_EARLIER_CASES, {"id": id_, "customer_id": customer_id, "limit": limit})
