"""What people read: lists of cases by any filter, and one case with everything that belongs to it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    JSON,
    ColumnElement,
    DateTime,
    Text,
    Uuid,
    bindparam,
    cast,
    column,
    func,
    literal,
    literal_column,
    select,
    table,
    text,
    tuple_,
)

from services.casework.domain.cases import CLOSED_FROM
from services.casework.store.tables import CASES, CUSTOMERS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy import Row, Select

    from libs.events.database import Tx

_OWNERS: Final = table("agents", column("id", Text), column("name", Text)).alias("owners")
_RESPONSIBLE: Final = table("agents", column("id", Text), column("name", Text)).alias("responsible")

_OF_CASE: Final = [
    cast(each, Text).label(each.name) if isinstance(each.type, JSON) else each
    for each in CASES.c
    if each not in {CASES.c.fires_at, CASES.c.listed_at}
]
"""What `store.cases.case_of` takes, in its order."""
_SUMMARIES: Final = (
    select(
        *_OF_CASE,
        CASES.c.listed_at,
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
# As the index of the whole list has it; see the migration for why.
_PLACE_IN_WHOLE_LIST: Final[ColumnElement[datetime]] = literal_column(
    "(cases.listed_at AT TIME ZONE 'UTC')", DateTime()
)
RANK: Final = 100 - func.coalesce(CASES.c.priority, 0)
"""What is to be called first has the lowest."""
_WAITING: Final = ("open", "contacted")
_ONE: Final = _SUMMARIES.where(CASES.c.id == bindparam("id", type_=Uuid))

_CUSTOMER_NAMES: Final = text("""
    SELECT cases.id, customers.name
      FROM cases
      JOIN customers ON customers.customer_id = cases.customer_id
     WHERE cases.id = ANY(:ids)
""")

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
    ranked_after: int | None = None,
    by_priority: bool = False,
) -> Select[Any]:
    """The statement of one page. Only filters that were asked for are in it, so that each has its index.

    By priority, only what waits for somebody to work on it is listed, unless a status is asked for: these are found by
    the same indexes and sorted, for they are few beside all the cases there ever were.
    """
    statement = _SUMMARIES
    wanted = [
        (CASES.c.status, status),
        (CASES.c.owner_id, owner),
        (CASES.c.level, level),
        (CASES.c.tier, tier),
        (CASES.c.customer_id, customer),
    ]
    place: ColumnElement[datetime] = CASES.c.listed_at
    if all(value is None for _, value in wanted):
        place = _PLACE_IN_WHOLE_LIST
    for filtered, value in wanted:
        if value is not None:
            statement = statement.where(filtered == value)
    if status is not None:
        # Follows from the status; said, it keeps a scan in the list's order out of the other half.
        statement = statement.where(
            place >= _at(CLOSED_FROM, place) if status == "closed" else place < _at(CLOSED_FROM, place)
        )
    if due_before is not None:
        statement = statement.where(place < _at(due_before, place))
    if by_priority and status is None:
        statement = statement.where(place < _at(CLOSED_FROM, place)).where(CASES.c.status.in_(_WAITING))
    if by_priority and after is not None and ranked_after is not None:
        ranked = tuple_(literal(ranked_after), literal(after[0], CASES.c.listed_at.type), literal(after[1], Uuid()))
        statement = statement.where(tuple_(RANK, CASES.c.listed_at, CASES.c.id) > ranked)
    if by_priority:
        return statement.order_by(RANK, CASES.c.listed_at, CASES.c.id).limit(limit)
    if after is not None:
        last = tuple_(_at(after[0], place), literal(after[1], CASES.c.id.type))
        statement = statement.where(tuple_(place, CASES.c.id) > last)
    return statement.order_by(place, CASES.c.id).limit(limit)


def _at(instant: datetime, place: ColumnElement[datetime]) -> ColumnElement[datetime]:
    if place is _PLACE_IN_WHOLE_LIST:
        return literal(instant.astimezone(UTC).replace(tzinfo=None), place.type)
    return literal(instant, place.type)


_ASKED: Final = (
    _SUMMARIES.where(CASES.c.level == bindparam("level", type_=Text))
    .where(CASES.c.escalation_due_at.is_not(None))
    .order_by(CASES.c.listed_at, CASES.c.id)
)
"""In the order of the list of the level, whose index finds them: one of their own would be written at every breach."""

# Why the listed cases are where they are: by the latest step up or down.
_CAME_BY: Final = text("""
    SELECT DISTINCT ON (case_id) case_id, kind, at, details ->> 'reason' AS reason, text
      FROM timeline
     WHERE case_id = ANY(CAST(:ids AS uuid[])) AND kind IN ('escalated', 'deescalated')
     ORDER BY case_id, version DESC
""")


async def asked_of_level(
    tx: Tx, level: str, *, responsible: str | None, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Row[Any]]:
    """Cases of which somebody of this level has yet to act, by what is due next."""
    statement = _ASKED.limit(limit)
    if responsible is not None:
        statement = statement.where(CASES.c.responsible_id == responsible)
    if after is not None:
        last = tuple_(literal(after[0], CASES.c.listed_at.type), literal(after[1], CASES.c.id.type))
        statement = statement.where(tuple_(CASES.c.listed_at, CASES.c.id) > last)
    return await tx.fetch(statement, {"level": level})


async def customer_names(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, str | None]:
    """Whose these cases are, by name; those without a customer are missing."""
    return {row.id: row.name for row in await tx.fetch(_CUSTOMER_NAMES, {"ids": list(ids)})}


async def came_by(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Row[Any]]:
    """The latest step up or down of each of these cases."""
    return {row.case_id: row for row in await tx.fetch(_CAME_BY, {"ids": list(ids)})}


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
