"""`/v1/measures/deeds` and `/v1/measures/work`: what departments did and owe, and what lies before each person."""

from datetime import date, datetime, timedelta
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import Query, Request
from pydantic import BaseModel

from libs.webapi.app import database_of
from libs.webapi.instants import Instant
from libs.webapi.paging import Cursor, Limit, Page
from libs.webapi.strict_json import Router
from services.casework.api import editing
from services.casework.api.access import MeasureReader, StaffReader
from services.casework.domain.agents import AgentRole
from services.casework.domain.initiatives import Status
from services.casework.store import deeds

router: Final = Router(prefix="/v1/measures", tags=["measures"])

_MOST: Final = 200
_SOON: Final = timedelta(days=30)
"""The last month of a quarter is when its clock warns."""


class DepartmentDeeds(BaseModel):
    """What a department did for customers."""

    id: str
    name: str
    tasks_done: int
    cases_closed: int


class Deed(BaseModel):
    """What became of an initiative."""

    id: UUID
    title: str
    department_id: str
    stage: Literal["approved", "declined", "shipped", "communicated"]
    at: datetime
    reason: str | None
    """Why it was declined."""


class Owed(BaseModel):
    """An initiative that is late, or whose customers have to hear of it soon."""

    id: UUID
    title: str
    department_id: str
    owner_name: str
    status: Status
    due_on: date | None
    communicate_by: datetime | None
    is_overdue: bool
    """It was to be done by now."""
    is_quarter_over: bool
    """Customers should have heard of it by now."""


class Deeds(BaseModel):
    """What the company did about what customers said; at most 200 initiatives each."""

    departments: list[DepartmentDeeds]
    initiatives: list[Deed]
    """Approved, declined, shipped and communicated in this time."""
    owed: list[Owed]
    """As it is now, the most pressing first."""


class Work(BaseModel):
    """Somebody who works here, and what lies before them now."""

    id: str
    name: str
    email: str
    language: Literal["ru", "en"]
    role: AgentRole
    team_id: str | None
    department_id: str | None
    leads: list[str]
    """Teams."""
    manages: list[str]
    """Departments."""
    cases: int
    """Open or contacted."""
    cases_overdue: int
    tasks: int
    tasks_overdue: int


@router.get("/deeds", summary="What departments did")
async def list_deeds(
    request: Request,
    principal: MeasureReader,  # noqa: ARG001 - the rule
    since: Annotated[Instant, Query(alias="from")],
    until: Annotated[Instant, Query(alias="to")],
) -> Deeds:
    """Tasks done and cases closed by department, what became of initiatives, and which of them are late."""
    async with database_of(request).reading() as tx:
        departments = await deeds.departments(tx, since, until)
        decided = await deeds.decided(tx, since, until, _MOST)
        owed = await deeds.owed(tx, tx.now + _SOON, _MOST)
    return Deeds(
        departments=[DepartmentDeeds.model_validate(row, from_attributes=True) for row in departments],
        initiatives=[Deed.model_validate(row, from_attributes=True) for row in decided],
        owed=[Owed.model_validate(row, from_attributes=True) for row in owed],
    )


@router.get("/work", summary="Everybody with their open work")
async def list_work(
    request: Request,
    principal: StaffReader,  # noqa: ARG001 - the rule
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Work]:
    """Who works here, in the order of their ids."""
    async with database_of(request).reading() as tx:
        rows = await deeds.work(tx, after=editing.after(cursor), limit=limit + 1)
    return editing.page(Work, rows, limit)
