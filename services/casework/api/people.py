"""`/v1/agents`, `/v1/teams`, `/v1/departments`: the people who close loops, as the company edits them.

Nobody is deleted: who owned a case is named on it for ever. Who leaves is disabled, and gets no new cases.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints, field_validator, model_validator
from sqlalchemy import Row

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.etag import IfMatch
from libs.webapi.idempotency import REPEATABLE
from libs.webapi.instants import Instant
from libs.webapi.paging import Cursor, Limit, Page
from libs.webapi.problem import Problem
from libs.webapi.strict_json import Router
from services.casework.api import editing
from services.casework.api.access import ID_PATTERN, Id, SettingsReader, SettingsWriter, refused_field
from services.casework.domain.agents import AgentRole
from services.casework.store import people, policies

router: Final = Router(prefix="/v1", tags=["people"])

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
_Reference = Annotated[str, Field(pattern=ID_PATTERN)]
# Nothing that could end a header or begin a second address.
_PART = r"[^@\s<>,;:\"\x00-\x1f\x7f]+"
Email = Annotated[str, StringConstraints(max_length=254, pattern=rf"^{_PART}@{_PART}\.{_PART}$")]


_Listed = Annotated[list[Annotated[str, Field(min_length=1, max_length=512)]], Field(max_length=100)]
_Retired = Annotated[StrictBool, Field(description="No longer in use; it keeps its name for what it did.")]
_Language = Annotated[str, StringConstraints(to_lower=True, pattern=r"^[A-Za-z]{2,3}$")]
_IN_USE: Final[dict[int | str, dict[str, Any]]] = {
    409: {"description": "It cannot be retired: it is in use.", "content": {"application/problem+json": {}}}
}


class HandlesBody(BaseModel):
    """Which cases are theirs, and when they work; what is not said leaves nothing out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    programs: Annotated[_Listed, Field(description="Programs whose cases they take; empty for all.")] = []
    touchpoints: Annotated[_Listed, Field(description="Touchpoints whose cases they take; empty for all.")] = []
    themes: Annotated[_Listed, Field(description="Themes of which a comment has to have one; empty for all.")] = []
    calendar_id: Annotated[_Reference | None, Field(description="The calendar by which they work.")] = None


class PlannedAbsence(BaseModel):
    """One time away."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    absent_from: Instant
    absent_until: Annotated[Instant, Field(description="The first moment back at work.")]

    @model_validator(mode="after")
    def _in_order(self) -> "PlannedAbsence":
        if self.absent_until <= self.absent_from:
            raise ValueError("absent_until comes after absent_from")
        return self


class AgentBody(HandlesBody):
    """Somebody who may own cases or answer for them. What a person handles comes before what their team does."""

    name: Name
    email: Email
    language: Literal["ru", "en"]
    role: AgentRole = "agent"
    seniority: Annotated[int, Field(strict=True, ge=1, le=3, description="1 new, 3 most experienced.")] = 1
    team_id: _Reference | None = None
    department_id: _Reference | None = None
    capacity: Annotated[
        int,
        Field(strict=True, ge=0, le=10_000, description="Running cases at most; 0 gets none while others have room."),
    ] = 20
    absent_from: Instant | None = None
    absent_until: Annotated[Instant | None, Field(description="The first moment back at work.")] = None
    absences: Annotated[list[PlannedAbsence], Field(max_length=100, description="Planned ones besides.")] = []
    languages: Annotated[
        list[_Language],
        Field(max_length=20, description="Spoken with customers, as in ISO 639, besides the language of mails."),
    ] = []
    disabled: StrictBool = False

    @model_validator(mode="after")
    def _absence_in_order(self) -> "AgentBody":
        if self.absent_from is not None and self.absent_until is not None and self.absent_until <= self.absent_from:
            raise ValueError("absent_until comes after absent_from")
        return self


class Agent(AgentBody):
    """An agent as stored, with the number of running cases they own."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    version: int
    running_cases: int

    @field_validator("absences", mode="before")
    @classmethod
    def _stored_flat(cls, stored: list[Any]) -> list[Any]:
        """Stored are the ends of one after the other; an answer that is repeated has them as they were shown."""
        if not stored or not isinstance(stored[0], datetime):
            return stored
        ends = zip(stored[::2], stored[1::2], strict=True)
        return [{"absent_from": start, "absent_until": end} for start, end in ends]


class TeamBody(HandlesBody):
    """People who work together, and who leads them."""

    name: Name
    lead_id: _Reference | None = None
    department_id: _Reference | None = None
    retired: _Retired = False


class Team(TeamBody):
    """A team as stored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    version: int


class DepartmentBody(BaseModel):
    """A part of the company, and who manages it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    manager_id: _Reference | None = None
    task_hours: Annotated[
        int, Field(strict=True, ge=1, le=24 * 366, description="How long it has for a task that it is asked for.")
    ] = 48
    calendar_id: Annotated[
        _Reference | None, Field(description="Whose hours count for its tasks; null: all hours of every day.")
    ] = None
    retired: _Retired = False


class Department(DepartmentBody):
    """A department as stored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    version: int


@router.get("/agents", summary="Agents")
async def list_agents(
    request: Request,
    principal: SettingsReader,  # noqa: ARG001 - the rule
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Agent]:
    """In the order of their ids; the disabled ones too."""
    async with database_of(request).reading() as tx:
        rows = await people.list_agents(tx, after=editing.after(cursor), limit=limit + 1)
    return editing.page(Agent, rows, limit)


@router.get("/agents/{agent_id}", summary="One agent")
async def get_agent(request: Request, response: Response, principal: SettingsReader, agent_id: Id) -> Agent:  # noqa: ARG001 - the rule
    """With the number of running cases they own."""
    async with database_of(request).reading() as tx:
        row = await people.find_agent(tx, agent_id)
    return editing.one(Agent, row, response)


@router.put(
    "/agents/{agent_id}",
    responses=editing.stored(Agent),
    openapi_extra=REPEATABLE,
    summary="Create or replace an agent",
)
async def put_agent(
    request: Request, principal: SettingsWriter, agent_id: Id, body: AgentBody, seen: IfMatch
) -> Response:
    """Running cases stay with whom they are, also when that person is disabled: hand them over by assigning."""

    async def put(tx: Tx) -> Row[Any] | None:
        # Who left may have been in a team that went after them.
        await _know_team(tx, body.team_id, retired_too=body.disabled)
        await _know_department(tx, body.department_id, retired_too=body.disabled)
        await _know_calendar(tx, body)
        ends = [end for each in body.absences for end in (each.absent_from, each.absent_until)]
        await people.put_agent(tx, agent_id, body.model_dump() | {"absences": ends})
        return await people.find_agent(tx, agent_id)

    return await editing.put(request, principal, seen, Agent, lambda tx: people.lock_agent(tx, agent_id), put)


async def _know_calendar(tx: Tx, body: HandlesBody | DepartmentBody) -> None:
    if body.calendar_id is not None and await policies.find_calendar(tx, body.calendar_id) is None:
        raise refused_field("/calendar_id", "is no calendar", slug="unknown-calendar", title="No such calendar")


async def _know_team(tx: Tx, id_: str | None, *, retired_too: bool) -> None:
    if id_ is None:
        return
    match await people.hold_team(tx, id_):
        case None:
            raise refused_field("/team_id", "is no team")
        case True if not retired_too:
            raise refused_field("/team_id", "is retired", slug="team-retired", title="The team is no longer in use")


async def _know_department(tx: Tx, id_: str | None, *, retired_too: bool) -> None:
    if id_ is None:
        return
    match await people.hold_department(tx, id_):
        case None:
            raise refused_field("/department_id", "is no department")
        case True if not retired_too:
            raise retired_department()


def retired_department() -> Problem:
    """The refusal of what would give a department that is no longer in use something to do."""
    return refused_field(
        "/department_id", "is retired", slug="department-retired", title="The department is no longer in use"
    )


def _unless_used(what: str, uses: list[str]) -> None:
    if uses:
        raise Problem(
            409, f"{what}-in-use", f"The {what} is still in use", detail=f"It has {', '.join(uses)}: move them first."
        )


@router.get("/teams", summary="Teams")
async def list_teams(
    request: Request,
    principal: SettingsReader,  # noqa: ARG001 - the rule
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Team]:
    """In the order of their ids."""
    async with database_of(request).reading() as tx:
        rows = await people.list_teams(tx, after=editing.after(cursor), limit=limit + 1)
    return editing.page(Team, rows, limit)


@router.get("/teams/{team_id}", summary="One team")
async def get_team(request: Request, response: Response, principal: SettingsReader, team_id: Id) -> Team:  # noqa: ARG001 - the rule
    """With who leads it."""
    async with database_of(request).reading() as tx:
        row = await people.find_team(tx, team_id)
    return editing.one(Team, row, response)


@router.put(
    "/teams/{team_id}",
    responses=editing.stored(Team) | _IN_USE,
    openapi_extra=REPEATABLE,
    summary="Create or replace a team",
)
async def put_team(request: Request, principal: SettingsWriter, team_id: Id, body: TeamBody, seen: IfMatch) -> Response:
    """Its lead owns cases when no agent is present. It is retired once nobody is in it any more, else 409."""

    async def put(tx: Tx) -> Row[Any] | None:
        if body.lead_id is not None and await people.find_agent(tx, body.lead_id) is None:
            raise refused_field("/lead_id", "is no agent")
        await _know_department(tx, body.department_id, retired_too=body.retired)
        if body.retired:
            _unless_used("team", await people.uses_of_team(tx, team_id))
        await _know_calendar(tx, body)
        await people.put_team(tx, team_id, body.model_dump())
        return await people.find_team(tx, team_id)

    return await editing.put(request, principal, seen, Team, lambda tx: people.lock_team(tx, team_id), put)


@router.get("/departments", summary="Departments")
async def list_departments(
    request: Request,
    principal: SettingsReader,  # noqa: ARG001 - the rule
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Department]:
    """In the order of their ids."""
    async with database_of(request).reading() as tx:
        rows = await people.list_departments(tx, after=editing.after(cursor), limit=limit + 1)
    return editing.page(Department, rows, limit)


@router.get("/departments/{department_id}", summary="One department")
async def get_department(
    request: Request,
    response: Response,
    principal: SettingsReader,  # noqa: ARG001 - the rule
    department_id: Id,
) -> Department:
    """With who manages it."""
    async with database_of(request).reading() as tx:
        row = await people.find_department(tx, department_id)
    return editing.one(Department, row, response)


@router.put(
    "/departments/{department_id}",
    responses=editing.stored(Department) | _IN_USE,
    openapi_extra=REPEATABLE,
    summary="Create or replace a department",
)
async def put_department(
    request: Request, principal: SettingsWriter, department_id: Id, body: DepartmentBody, seen: IfMatch
) -> Response:
    """Its manager answers for what its agents' cases need above the frontline.

    It is retired once it has neither people nor teams nor open tasks any more, else 409.
    """

    async def put(tx: Tx) -> Row[Any] | None:
        if body.manager_id is not None and await people.find_agent(tx, body.manager_id) is None:
            raise refused_field("/manager_id", "is no agent")
        if body.retired:
            _unless_used("department", await people.uses_of_department(tx, department_id))
        await _know_calendar(tx, body)
        await people.put_department(tx, department_id, body.model_dump())
        return await people.find_department(tx, department_id)

    return await editing.put(
        request, principal, seen, Department, lambda tx: people.lock_department(tx, department_id), put
    )
