"""`/v1/sla-policies` and `/v1/programs/{program}/sla-policies`: how long each thing may take."""

from itertools import pairwise
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import Row

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.etag import IfMatch, expect
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.paging import Page
from libs.webapi.problem import of_status
from libs.webapi.strict_json import Router
from services.casework.api import editing
from services.casework.api.access import ID_PATTERN, SettingsReader, SettingsWriter, refused_field
from services.casework.domain.names import Tier
from services.casework.store import policies

router: Final = Router(prefix="/v1", tags=["policies"])

_LONGEST_HOURS: Final = 24 * 366
_Hours = Annotated[int, Field(strict=True, ge=1, le=_LONGEST_HOURS)]
_Days = Annotated[int, Field(strict=True, ge=1, le=366)]
_Fraction = Annotated[float, Field(strict=True, gt=0, lt=1)]
Program = Annotated[str, Path(min_length=1, max_length=512, pattern=r"^[^/\x00-\x1f\x7f\uFFFD]+$")]


class PolicyBody(BaseModel):
    """How long each thing may take for customers of one tier."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    first_contact_hours: _Hours
    resolution_hours: _Hours
    reopened_first_contact_hours: _Hours
    reopened_resolution_hours: _Hours
    management_hours: Annotated[
        _Hours, Field(description="How long management has to act on a case that climbed to it.")
    ] = 24
    executive_hours: Annotated[
        _Hours, Field(description="The same for executives, who are reminded again after each further such time.")
    ] = 48
    confirmation_days: _Days
    longest_wait_days: Annotated[
        int, Field(strict=True, ge=0, le=366, description="How long a case may wait for the customer in one round.")
    ] = 14
    unanswered_attempts: Annotated[
        int,
        Field(
            strict=True,
            ge=0,
            le=100,
            description="After how many attempts in a row at which nobody was reached the case climbs; 0: never.",
        ),
    ] = 3
    warnings: Annotated[
        list[_Fraction] | None,
        Field(min_length=1, max_length=5, description="The shares of the time after which to warn, ascending."),
    ] = None
    warn_after: Annotated[
        _Fraction | None,
        Field(json_schema_extra={"deprecated": True}, description="The first of `warnings`, which takes its place."),
    ] = None
    calendar_id: Annotated[
        str | None,
        Field(pattern=ID_PATTERN, description="Whose hours count; null: all hours of every day."),
    ] = None

    @model_validator(mode="after")
    def _makes_sense(self) -> "PolicyBody":
        if self.first_contact_hours > self.resolution_hours:
            raise ValueError("resolution_hours is at least first_contact_hours")
        if self.reopened_first_contact_hours > self.reopened_resolution_hours:
            raise ValueError("reopened_resolution_hours is at least reopened_first_contact_hours")
        warnings = self.stored_warnings()
        if not warnings:
            raise ValueError("warnings is required")
        if self.warn_after is not None and self.warn_after != warnings[0]:
            raise ValueError("warn_after is the first of warnings; leave it out")
        if any(later <= earlier for earlier, later in pairwise(warnings)):
            raise ValueError("warnings are ascending")
        return self

    def stored_warnings(self) -> list[float]:
        """The warnings as they are stored; older callers say only when to warn first."""
        if self.warnings is not None:
            return self.warnings
        return [] if self.warn_after is None else [self.warn_after]

    def stored(self) -> dict[str, object]:
        """The fields as they are stored."""
        return self.model_dump(exclude={"warn_after"}) | {"warnings": self.stored_warnings()}


class SlaPolicy(BaseModel):
    """A policy as stored."""

    model_config = ConfigDict(frozen=True)

    tier: Tier
    first_contact_hours: int
    resolution_hours: int
    reopened_first_contact_hours: int
    reopened_resolution_hours: int
    management_hours: int
    executive_hours: int
    confirmation_days: int
    longest_wait_days: int
    unanswered_attempts: int
    warnings: list[float]
    warn_after: Annotated[float, Field(json_schema_extra={"deprecated": True}, description="The first of `warnings`.")]
    calendar_id: str | None
    version: int

    @model_validator(mode="before")
    @classmethod
    def _of_row(cls, row: Any) -> Any:  # noqa: ANN401 - a row, or what a test gives
        return {**row._mapping, "warn_after": row.warnings[0]} if isinstance(row, Row) else row  # noqa: SLF001 - the public name of it


class ProgramSlaPolicy(SlaPolicy):
    """A policy that a program has of its own."""

    program: str


@router.get("/sla-policies", summary="SLA policies")
async def list_policies(request: Request, principal: SettingsReader) -> Page[SlaPolicy]:  # noqa: ARG001 - the rule
    """The company's, one for each tier, the most valuable first."""
    async with database_of(request).reading() as tx:
        rows = await policies.list_policies(tx)
    return Page[SlaPolicy](items=[SlaPolicy.model_validate(row) for row in rows])


@router.get("/sla-policies/{tier}", summary="The SLA policy of a tier")
async def get_policy(request: Request, response: Response, principal: SettingsReader, tier: Tier) -> SlaPolicy:  # noqa: ARG001 - the rule
    """Hours of the calendar that it names, else of every day; counted from the customer's answer."""
    async with database_of(request).reading() as tx:
        row = await policies.find_policy(tx, tier)
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
    """Holds for clocks that start from now on. Clocks that run keep their instants, until they are recomputed."""

    async def write(tx: Tx) -> Row[Any] | None:
        await _expect_calendar(tx, body)
        await policies.put_policy(tx, tier, body.stored())
        return await policies.find_policy(tx, tier)

    return await editing.put(request, principal, seen, SlaPolicy, lambda tx: policies.lock_policy(tx, tier), write)


@router.get("/programs/{program}/sla-policies", summary="The SLA policies of a program")
async def list_policies_of(
    request: Request,
    principal: SettingsReader,  # noqa: ARG001 - the rule
    program: Program,
) -> Page[ProgramSlaPolicy]:
    """Only those that the program has of its own; for the other tiers the company's hold."""
    async with database_of(request).reading() as tx:
        rows = await policies.list_policies_of(tx, program)
    return Page[ProgramSlaPolicy](items=[ProgramSlaPolicy.model_validate(row) for row in rows])


@router.get("/programs/{program}/sla-policies/{tier}", summary="The SLA policy of a program and a tier")
async def get_policy_of(
    request: Request,
    response: Response,
    principal: SettingsReader,  # noqa: ARG001 - the rule
    program: Program,
    tier: Tier,
) -> ProgramSlaPolicy:
    """404 where the company's policy of the tier holds."""
    async with database_of(request).reading() as tx:
        row = await policies.find_policy_of(tx, program, tier)
    return editing.one(ProgramSlaPolicy, row, response)


@router.put(
    "/programs/{program}/sla-policies/{tier}",
    responses=editing.stored(ProgramSlaPolicy),
    openapi_extra=REPEATABLE,
    summary="Give a program an SLA policy of its own",
)
async def put_policy_of(
    request: Request, principal: SettingsWriter, program: Program, tier: Tier, body: PolicyBody, seen: IfMatch
) -> Response:
    """Takes the place of the company's policy of the tier, whole, for clocks that start from now on."""

    async def write(tx: Tx) -> Row[Any] | None:
        await _expect_calendar(tx, body)
        await policies.put_policy_of(tx, program, tier, body.stored())
        return await policies.find_policy_of(tx, program, tier)

    return await editing.put(
        request, principal, seen, ProgramSlaPolicy, lambda tx: policies.lock_policy_of(tx, program, tier), write
    )


@router.delete(
    "/programs/{program}/sla-policies/{tier}",
    status_code=204,
    responses=editing.deleted(),
    openapi_extra=REPEATABLE,
    summary="Take a program's own SLA policy away",
)
async def delete_policy_of(
    request: Request, principal: SettingsWriter, program: Program, tier: Tier, seen: IfMatch
) -> Response:
    """The company's policy holds again, for clocks that start from now on."""

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        version = await policies.lock_policy_of(tx, program, tier)
        if version is None:
            raise of_status(404)
        expect(version, seen)
        await policies.delete_policy_of(tx, program, tier)
        return 204, None, {}

    return await once(database_of(request), request, principal, command)


async def _expect_calendar(tx: Tx, body: PolicyBody) -> None:
    if body.calendar_id is not None and await policies.find_calendar(tx, body.calendar_id) is None:
        raise refused_field(
            "/calendar_id", "is no calendar", slug="unknown-calendar", title="There is no such calendar"
        )
