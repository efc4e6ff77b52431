"""`/v1/filters`: filters of the list of cases that people save, for themselves or for a team."""

import json
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Request, Response
from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy import Row

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.auth import Principal
from libs.webapi.etag import IfMatch, etag, expect
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.problem import Problem, of_status
from libs.webapi.strict_json import Router
from services.casework.api import editing
from services.casework.api.access import ID_PATTERN, CaseReader, CaseWriter, refused_field
from services.casework.api.shapes import Body
from services.casework.api.views import Status
from services.casework.domain.names import AgentId, Level, Tier
from services.casework.store import filters, people

router: Final = Router(prefix="/v1", tags=["filters"])

_AT_MOST: Final = 100
_LEADS: Final = frozenset({"manager", "executive", "administrator"})
_Reference = Annotated[str, Field(pattern=ID_PATTERN)]


class CaseFilter(Body):
    """Which cases, as in `GET /v1/cases`; what is not said leaves nothing out."""

    status: Status | None = None
    owner: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    level: Level | None = None
    tier: Tier | None = None
    customer: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    due_within_hours: Annotated[
        int | None,
        Field(strict=True, ge=0, le=24 * 366, description="Something is due within so many hours; 0: overdue."),
    ] = None
    sort: Literal["due", "priority"] = "due"


class FilterBody(Body):
    """A filter under a name. `team_id`: its members see it, too."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    filter: CaseFilter
    team_id: _Reference | None = None


class SavedFilter(BaseModel):
    """A filter as saved."""

    id: UUID
    name: str
    filter: CaseFilter
    owner_id: str
    owner_name: str | None
    team_id: str | None
    team_name: str | None
    mine: bool
    """Whether the reader saved it, and may change it."""
    version: int


class SavedFilters(BaseModel):
    """The reader's filters, and those shared with their team."""

    items: list[SavedFilter]


@router.get("/filters", summary="Saved filters")
async def list_filters(request: Request, principal: CaseReader) -> SavedFilters:
    """One's own, then those that others share with one's team."""
    person = _person(principal)
    async with database_of(request).reading() as tx:
        rows = await filters.seen_by(tx, person)
    return SavedFilters(items=[_view(row, person) for row in rows])


@router.put(
    "/filters/{filter_id}",
    responses=editing.stored(SavedFilter),
    openapi_extra=REPEATABLE,
    summary="Save or replace a filter",
)
async def put_filter(
    request: Request, principal: CaseWriter, filter_id: UUID, body: FilterBody, seen: IfMatch
) -> Response:
    """The id is the caller's to make. It is shared with one's own team, or, by managers and above, with any."""
    person = _person(principal)

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        known = await filters.lock(tx, filter_id)
        if known is None and seen is not None:
            raise of_status(412, detail="There is nothing yet to be changed.")
        if known is None and await filters.count_of(tx, person) >= _AT_MOST:
            raise Problem(409, "too-many-filters", f"A person saves up to {_AT_MOST} filters")
        if known is not None:
            _expect_own(known, person)
            expect(known.version, seen)
        await _expect_team(tx, principal, person, body.team_id)
        await filters.put(
            tx,
            filter_id,
            owner_id=person,
            team_id=body.team_id,
            name=body.name,
            filter_=body.filter.model_dump(exclude_none=True),
        )
        row = await filters.find(tx, filter_id)
        if row is None:
            raise of_status(404)
        return 201 if known is None else 200, _view(row, person), {"ETag": etag(row.version)}

    return await once(database_of(request), request, principal, command)


@router.delete(
    "/filters/{filter_id}",
    status_code=204,
    responses=editing.deleted(),
    openapi_extra=REPEATABLE,
    summary="Take a filter away",
)
async def delete_filter(request: Request, principal: CaseWriter, filter_id: UUID, seen: IfMatch) -> Response:
    """One's own; for those with whom it was shared it is gone, too."""
    person = _person(principal)

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        known = await filters.lock(tx, filter_id)
        if known is None:
            raise of_status(404)
        _expect_own(known, person)
        expect(known.version, seen)
        await filters.delete(tx, filter_id)
        return 204, None, {}

    return await once(database_of(request), request, principal, command)


def _person(principal: Principal) -> str:
    if principal.person_id is None:
        raise Problem(403, "person-required", "Only a person has filters")
    return principal.person_id


def _expect_own(row: Row[Any], person: str) -> None:
    if row.owner_id != person:
        raise Problem(403, "not-yours", "Somebody else saved this filter")


async def _expect_team(tx: Tx, principal: Principal, person: str, team_id: str | None) -> None:
    if team_id is None:
        return
    if await people.find_team(tx, team_id) is None:
        raise refused_field("/team_id", "is no team")
    own = await people.find_agent(tx, AgentId(person))
    if principal.role not in _LEADS and (own is None or own.team_id != team_id):
        raise refused_field("/team_id", "is not the team of the person", slug="not-your-team", title="Not your team")


def _view(row: Row[Any], person: str) -> SavedFilter:
    return SavedFilter(
        id=row.id,
        name=row.name,
        filter=CaseFilter.model_validate(json.loads(row.filter)),
        owner_id=row.owner_id,
        owner_name=row.owner_name,
        team_id=row.team_id,
        team_name=row.team_name,
        mine=row.owner_id == person,
        version=row.version,
    )
