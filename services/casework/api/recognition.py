"""`/v1/recognitions`: who may be named for closing loops exceptionally well, and who decides about it."""

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import BaseModel, StrictBool, StringConstraints

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.auth import Principal
from libs.webapi.etag import IfMatch, etag, expect
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.instants import Instant
from libs.webapi.problem import Problem, of_status
from libs.webapi.strict_json import Router
from services.casework.api.access import ChoiceReader, ChoiceWriter, LeadReader, LeadWriter, MeasureReader
from services.casework.api.shapes import Body
from services.casework.domain.names import AgentId
from services.casework.domain.recognition import MINIMUM, Refusal, Status, refused
from services.casework.store import recognition

router: Final = Router(prefix="/v1/recognitions", tags=["recognition"])

_TITLES: Final[dict[Refusal, str]] = {
    "own": "Nobody decides about themselves",
    "decided": "It was decided already",
    "opted_out": "They do not want to be named",
}
_Month = Annotated[
    str | None, Query(pattern=r"^[12][0-9]{3}-(0[1-9]|1[0-2])$", description="As 2026-03; absent: the last.")
]


class Proposal(BaseModel):
    """Somebody who is proposed to be named, with the numbers that say why."""

    id: UUID
    version: int
    month: date
    agent_id: str
    name: str
    place: str | None
    """Their department, or team."""
    cases: int
    """Closed in the month after a resolution."""
    confirmed: int
    in_time: int
    never_reopened: int
    well: int
    """All three of a case: confirmed as solved, reached within 48 hours, never reopened."""
    share: float
    low: float
    high: float
    expected: float
    """What the others' shares say for the same cases; `low` is above it, or they were not proposed."""
    status: Status
    proposed_at: datetime
    decided_by_name: str | None
    decided_at: datetime | None
    reason: str | None
    opted_out: bool
    """They said that they do not want to be named: they are not, whatever is decided."""


class Proposals(BaseModel):
    """The proposals of one month."""

    month: date | None
    """None where no month was looked at yet."""
    months: list[date]
    minimum: int
    """Below so many cases nobody is compared."""
    items: list[Proposal]


class Named(BaseModel):
    """Somebody who closed loops exceptionally well, as everybody may hear it."""

    agent_id: str
    name: str
    place: str | None
    month: date
    cases: int
    well: int
    decided_at: datetime


class Choice(BaseModel):
    """Whether somebody wants to be named."""

    wanted: bool


class ApprovalBody(Body):
    """Nothing is asked."""


class DeclineBody(Body):
    """Why not."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]


class ChoiceBody(Body):
    """Whether they want to be named."""

    wanted: StrictBool


def _answers() -> dict[int | str, dict[str, Any]]:
    problem: dict[str, Any] = {"content": {"application/problem+json": {}}}
    return {
        200: {"model": Proposal, "description": "The proposal as it is now, its version as `ETag`."},
        404: {"description": "No such proposal.", **problem},
        409: {"description": "It may not be decided so; `type` says why.", **problem},
        412: {"description": "It has changed since the version in `If-Match`.", **problem},
        422: {"description": "The request is not valid.", **problem},
    }


@router.get("", summary="Proposals of a month")
async def list_proposals(
    request: Request,
    principal: LeadReader,  # noqa: ARG001 - the rule
    month: _Month = None,
) -> Proposals:
    """The surest first. What the rule is stands with `low` and `expected`, and in the architecture's page."""
    asked = None if month is None else date.fromisoformat(f"{month}-01")
    async with database_of(request).reading() as tx:
        months = await recognition.months(tx)
        rows = await recognition.of_month(tx, asked)
    shown = asked or (months[0] if months else None)
    return Proposals(
        month=shown,
        months=months,
        minimum=MINIMUM,
        items=[Proposal.model_validate(row, from_attributes=True) for row in rows],
    )


@router.get("/told", summary="Who is named")
async def list_named(
    request: Request,
    principal: MeasureReader,  # noqa: ARG001 - the rule
    since: Annotated[Instant, Query(alias="from", description="Approved from then on.")],
    until: Annotated[Instant, Query(alias="to", description="Approved before then.")],
) -> list[Named]:
    """Those alone who were approved and want to be named."""
    async with database_of(request).reading() as tx:
        rows = await recognition.told(tx, since, until)
    return [Named.model_validate(row, from_attributes=True) for row in rows]


@router.get("/choice", summary="Whether one wants to be named")
async def get_choice(request: Request, principal: ChoiceReader) -> Choice:
    """One's own. Everybody is asked to be named unless they said no."""
    async with database_of(request).reading() as tx:
        wanted = await recognition.wants(tx, _person(principal))
    if wanted is None:
        raise of_status(404, detail="Casework does not know this person.")
    return Choice(wanted=wanted)


@router.put("/choice", responses={200: {"model": Choice}}, openapi_extra=REPEATABLE, summary="Say whether one wants to")
async def put_choice(request: Request, principal: ChoiceWriter, body: ChoiceBody) -> Response:
    """One's own, beforehand or afterwards, as often as one likes. Holds from this moment for everything told later."""
    person = _person(principal)

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        if await recognition.wants(tx, person) is None:
            raise of_status(404, detail="Casework does not know this person.")
        await recognition.choose(tx, person, wanted=body.wanted)
        return 200, Choice(wanted=body.wanted), {}

    return await once(database_of(request), request, principal, command)


@router.post("/{proposal_id}/approve", responses=_answers(), openapi_extra=REPEATABLE, summary="Name them")
async def approve(
    request: Request,
    principal: LeadWriter,
    proposal_id: UUID,
    body: ApprovalBody,  # noqa: ARG001 - that it is an empty object
    seen: IfMatch,
) -> Response:
    """In the next digests. Not one's own, and nobody's who does not want to be named."""
    return await _decide(request, principal, proposal_id, seen, "approve", None)


@router.post("/{proposal_id}/decline", responses=_answers(), openapi_extra=REPEATABLE, summary="Do not name them")
async def decline(
    request: Request, principal: LeadWriter, proposal_id: UUID, body: DeclineBody, seen: IfMatch
) -> Response:
    """With the reason, which those who decide can read. Not one's own."""
    return await _decide(request, principal, proposal_id, seen, "decline", body.reason)


async def _decide(
    request: Request,
    principal: Principal,
    proposal_id: UUID,
    seen: int | None,
    to: Literal["approve", "decline"],
    reason: str | None,
) -> Response:
    by = _person(principal)

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        found = await recognition.lock(tx, proposal_id)
        if found is None:
            raise of_status(404, detail="No such proposal.")
        expect(found.version, seen)
        refusal = refused(
            agent_id=AgentId(found.agent_id), status=Status(found.status), opted_out=found.opted_out, by=by, to=to
        )
        if refusal is not None:
            slug = f"recognition-{refusal.replace('_', '-')}"
            raise Problem(409, slug, _TITLES[refusal], headers={"ETag": etag(found.version)})
        status = Status.APPROVED if to == "approve" else Status.DECLINED
        await recognition.decide(tx, proposal_id, status, by=by, reason=reason)
        after = Proposal.model_validate(await recognition.one(tx, proposal_id), from_attributes=True)
        return 200, after, {"ETag": etag(after.version)}

    return await once(database_of(request), request, principal, command)


def _person(principal: Principal) -> str:
    """Who acts: a decision about people is a person's, and no program's."""
    if principal.person_id is None:
        raise Problem(403, "no-person", "Only a person can do this", detail="Send Otklik-Person and Otklik-Role.")
    return principal.person_id
