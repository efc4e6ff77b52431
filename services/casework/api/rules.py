"""`/v1/root-causes` and `/v1/sla-policies`: the rules that the company edits as data."""

from typing import Annotated, Any, Final

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints, model_validator
from sqlalchemy import Row

from libs.events.database import Tx
from libs.webapi.etag import IfMatch
from libs.webapi.paging import Cursor, Limit, Page
from libs.webapi.strict_json import Router
from services.casework.api import editing
from services.casework.api.access import (
    ID_PATTERN,
    REPEATABLE,
    Id,
    SettingsReader,
    SettingsWriter,
    database_of,
    refused_field,
)
from services.casework.domain.names import RootCauseId, Tier
from services.casework.store import rules

router: Final = Router(prefix="/v1", tags=["rules"])

_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
_LONGEST_HOURS: Final = 24 * 366


class RootCauseBody(BaseModel):
    """A place in the tree of what is behind problems. A retired one stays readable and is no longer chosen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    parent_id: Annotated[str, Field(pattern=ID_PATTERN)] | None = None
    name_ru: _Name
    name_en: _Name
    retired: StrictBool = False


class RootCause(RootCauseBody):
    """A root cause as stored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    version: int


class PolicyBody(BaseModel):
    """How long each thing may take for customers of one tier."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    first_contact_hours: Annotated[int, Field(strict=True, ge=1, le=_LONGEST_HOURS)]
    resolution_hours: Annotated[int, Field(strict=True, ge=1, le=_LONGEST_HOURS)]
    reopened_first_contact_hours: Annotated[int, Field(strict=True, ge=1, le=_LONGEST_HOURS)]
    reopened_resolution_hours: Annotated[int, Field(strict=True, ge=1, le=_LONGEST_HOURS)]
    confirmation_days: Annotated[int, Field(strict=True, ge=1, le=366)]
    warn_after: Annotated[
        float, Field(strict=True, gt=0, lt=1, description="The share of the time after which to warn.")
    ]

    @model_validator(mode="after")
    def _contact_before_solution(self) -> "PolicyBody":
        if self.first_contact_hours > self.resolution_hours:
            raise ValueError("resolution_hours is at least first_contact_hours")
        if self.reopened_first_contact_hours > self.reopened_resolution_hours:
            raise ValueError("reopened_resolution_hours is at least reopened_first_contact_hours")
        return self


class SlaPolicy(PolicyBody):
    """A policy as stored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    tier: Tier
    version: int


@router.get("/root-causes", summary="Root causes")
async def list_root_causes(
    request: Request,
    principal: SettingsReader,  # noqa: ARG001 - the rule
    limit: Limit = 200,
    cursor: Cursor = None,
) -> Page[RootCause]:
    """The whole tree, each with its `parent_id`; retired ones too."""
    async with database_of(request).reading() as tx:
        rows = await rules.list_root_causes(tx, after=editing.after(cursor), limit=limit + 1)
    return editing.page(RootCause, rows, limit)


@router.get("/root-causes/{root_cause_id}", summary="One root cause")
async def get_root_cause(
    request: Request,
    response: Response,
    principal: SettingsReader,  # noqa: ARG001 - the rule
    root_cause_id: Id,
) -> RootCause:
    """Retired or not."""
    async with database_of(request).reading() as tx:
        row = await rules.find_root_cause(tx, RootCauseId(root_cause_id))
    return editing.one(RootCause, row, response)


@router.put(
    "/root-causes/{root_cause_id}",
    responses=editing.stored(RootCause),
    openapi_extra=REPEATABLE,
    summary="Create or replace a root cause",
)
async def put_root_cause(
    request: Request, principal: SettingsWriter, root_cause_id: Id, body: RootCauseBody, seen: IfMatch
) -> Response:
    """Cases that were resolved with it keep it, also when it is retired or moved."""
    id_ = RootCauseId(root_cause_id)

    async def lock(tx: Tx) -> int | None:
        await rules.edit_root_causes(tx)
        row = await rules.find_root_cause(tx, id_)
        return None if row is None else int(row.version)

    async def write(tx: Tx) -> Row[Any] | None:
        if body.parent_id is not None:
            above = await rules.above(tx, RootCauseId(body.parent_id))
            if id_ in above or body.parent_id == id_:
                raise refused_field("/parent_id", "lies below this root cause")
            if not above:
                raise refused_field("/parent_id", "is no root cause")
        await rules.put_root_cause(tx, id_, body.model_dump())
        return await rules.find_root_cause(tx, id_)

    return await editing.put(request, principal, seen, RootCause, lock, write)


@router.get("/sla-policies", summary="SLA policies")
async def list_policies(request: Request, principal: SettingsReader) -> Page[SlaPolicy]:  # noqa: ARG001 - the rule
    """One for each tier, the most valuable first."""
    async with database_of(request).reading() as tx:
        rows = await rules.list_policies(tx)
    return Page[SlaPolicy](items=[SlaPolicy.model_validate(row, from_attributes=True) for row in rows])


@router.get("/sla-policies/{tier}", summary="The SLA policy of a tier")
async def get_policy(request: Request, response: Response, principal: SettingsReader, tier: Tier) -> SlaPolicy:  # noqa: ARG001 - the rule
    """Hours of the calendar, counted from the customer's answer."""
    async with database_of(request).reading() as tx:
        row = await rules.find_policy(tx, tier)
    return editing.one(SlaPolicy, row, response)


@router.put(
    "/sla-policies/{tier}",
    responses=editing.stored(SlaPolicy),
    openapi_extra=REPEATABLE,
    summary="Replace the SLA policy of a tier",
)
async def put_policy(
    request: Request, principal: SettingsWriter, tier: Tier, body: PolicyBody, seen: IfMatch
) -> Response:
    """Holds for clocks that start from now on. Clocks that run keep their instants."""

    async def write(tx: Tx) -> Row[Any] | None:
        await rules.put_policy(tx, tier, body.model_dump())
        return await rules.find_policy(tx, tier)

    return await editing.put(request, principal, seen, SlaPolicy, lambda tx: rules.lock_policy(tx, tier), write)
