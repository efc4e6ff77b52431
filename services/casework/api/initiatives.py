"""`/v1/initiatives`: what many cases ask for, proposed with its evidence, decided, done and told."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import Field, StrictFloat, StrictInt, StringConstraints, model_validator

from libs.events.contracts.cases import Employee
from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.auth import Principal
from libs.webapi.etag import IfMatch, etag, expect
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.instants import Instant
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.problem import Problem, of_status
from libs.webapi.strict_json import Router
from services.casework.api.access import (
    ID_PATTERN,
    CaseReader,
    LeadWriter,
    TopWriter,
    actor_of,
    refused_field,
    traceparent_of,
)
from services.casework.api.initiative_views import (
    CauseInCommon,
    InitiativeCase,
    InitiativeDetail,
    InitiativeState,
    detail_of,
    state_of,
)
from services.casework.api.shapes import Body
from services.casework.domain import initiatives as domain
from services.casework.domain.errors import InitiativeRefused
from services.casework.domain.initiatives import Initiative, InitiativeId, Moment, Status
from services.casework.domain.names import AgentId, RootCauseId
from services.casework.domain.timeline import Cause
from services.casework.store import initiatives, people

router: Final = Router(prefix="/v1", tags=["initiatives"])

EVIDENCE_SPAN: Final = timedelta(days=90)
_COMMENTS: Final = 10

_Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
_Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=10_000)]
_Id = Annotated[str, Field(pattern=ID_PATTERN)]
_Ids = Annotated[tuple[_Id, ...], Field(max_length=50)]

Decide = Callable[[Tx, Initiative, Employee, Cause], Awaitable[Moment | None]]


class InitiativeBody(Body):
    """What is to be changed, about what, and who sees to it."""

    title: _Title
    problem: _Words
    root_causes: Annotated[tuple[_Id, ...], Field(min_length=1, max_length=50)]
    themes: _Ids = ()
    department_id: _Id
    owner_id: _Id


class ProposalBody(InitiativeBody):
    """A proposal: all cases with its root causes, or causes below them, that were opened `since` then are behind it."""

    since: Annotated[Instant | None, Field(description="Absent: the last 90 days.")] = None


class CasesBody(Body):
    """Further cases behind it: these, or all with its root causes opened since then."""

    case_ids: Annotated[tuple[UUID, ...], Field(max_length=1_000)] = ()
    since: Instant | None = None

    @model_validator(mode="after")
    def _something(self) -> "CasesBody":
        if not self.case_ids and self.since is None:
            raise ValueError("case_ids or since")
        return self


class ApproveBody(Body):
    """It will be done: by when, and with how much."""

    due_on: date
    budget: Annotated[StrictFloat | StrictInt, Field(ge=0, le=1e15)] | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    reason: Annotated[str, Field(max_length=10_000)] | None = None

    @model_validator(mode="after")
    def _money_has_a_currency(self) -> "ApproveBody":
        if (self.budget is None) != (self.currency is None):
            raise ValueError("budget and currency come together")
        return self


class DeclineBody(Body):
    """It will not be done, and why."""

    reason: _Words


class StartBody(Body):
    """Nothing is asked."""


class ShipBody(Body):
    """What can be told about it: what we learned, what we did, what comes next."""

    learned: _Words
    changed: _Words
    next_steps: _Words | None = None


def _answers(status: int) -> dict[int | str, dict[str, Any]]:
    problem: dict[str, Any] = {"content": {"application/problem+json": {}}}
    return {
        status: {"model": InitiativeState, "description": "The initiative as it is now, its version as `ETag`."},
        404: {"description": "No such initiative.", **problem},
        409: {"description": "The initiative's status does not allow it.", **problem},
        412: {"description": "It has changed since the version in `If-Match`.", **problem},
        422: {"description": "The request is not valid.", **problem},
    }


@router.get("/evidence", summary="What many cases have in common")
async def evidence(
    request: Request,
    principal: CaseReader,  # noqa: ARG001 - the rule
    since: Annotated[Instant | None, Query(description="Absent: 90 days ago.")] = None,
    until: Annotated[Instant | None, Query(description="Absent: now.")] = None,
) -> list[CauseInCommon]:
    """Per root cause, of cases opened in this time; the most value at stake first, with the initiatives about it."""
    async with database_of(request).reading() as tx:
        rows = await initiatives.in_common(tx, since or tx.now - EVIDENCE_SPAN, until)
    return [CauseInCommon.model_validate(row, from_attributes=True) for row in rows]


@router.get("/initiatives", summary="Initiatives, the latest proposed first")
async def list_initiatives(
    request: Request,
    principal: CaseReader,  # noqa: ARG001 - the rule
    status: Status | None = None,
    department: Annotated[str | None, Query(pattern=ID_PATTERN)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[InitiativeState]:
    """Of any status, department and owner."""
    after = None if cursor is None else decode_cursor(cursor, tuple[datetime, UUID])
    async with database_of(request).reading() as tx:
        rows = await initiatives.page(tx, status=status, department_id=department, after=after, limit=limit + 1)
    last = rows[limit - 1] if len(rows) > limit else None
    return Page[InitiativeState](
        items=[state_of(row) for row in rows[:limit]],
        next_cursor=None if last is None else encode_cursor((last.proposed_at, last.id)),
    )


@router.post(
    "/initiatives", status_code=201, responses=_answers(201), openapi_extra=REPEATABLE, summary="Propose a change"
)
async def propose(request: Request, principal: LeadWriter, body: ProposalBody) -> Response:
    """The quarter in which customers have to hear of it runs from the earliest answer in the cases behind it."""

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        owner = await _checked(tx, body)
        proposed = Initiative(
            id=InitiativeId(command_id),
            title=body.title,
            problem=body.problem,
            root_causes=tuple(map(RootCauseId, body.root_causes)),
            themes=body.themes,
            department_id=body.department_id,
            owner_id=AgentId(body.owner_id),
            status=Status.PROPOSED,
            proposed_at=tx.now,
        )
        cause = Cause(command_id, tx.now, actor_of(principal), traceparent_of(request))
        since = body.since or tx.now - EVIDENCE_SPAN
        await initiatives.add_by_root_cause(tx, proposed.id, proposed.root_causes, since)
        await initiatives.save(tx, domain.propose(proposed, await initiatives.evidence(tx, proposed.id), owner, cause))
        return await _answer(tx, proposed.id, 201)

    return await once(database_of(request), request, principal, command)


@router.get("/initiatives/{initiative_id}", summary="One initiative with its evidence and history")
async def get_initiative(
    request: Request,
    response: Response,
    principal: CaseReader,  # noqa: ARG001 - the rule
    initiative_id: UUID,
) -> InitiativeDetail:
    """What stands behind it by now, what customers wrote about it, and who did what to it."""
    async with database_of(request).reading() as tx:
        row = await initiatives.find(tx, initiative_id)
        if row is None:
            raise of_status(404, detail="No such initiative.")
        behind = await initiatives.evidence(tx, InitiativeId(initiative_id))
        comments = await initiatives.comments(tx, initiative_id, _COMMENTS)
        history = await initiatives.history(tx, initiative_id)
    response.headers["ETag"] = etag(row.version)
    return detail_of(row, evidence=behind, comments=comments, history=history)


@router.put("/initiatives/{initiative_id}", responses=_answers(200), openapi_extra=REPEATABLE, summary="Say it better")
async def edit(
    request: Request, principal: LeadWriter, initiative_id: UUID, body: InitiativeBody, seen: IfMatch
) -> Response:
    """Also to give it to another owner or department. Not of one that is declined or communicated."""

    async def decide(tx: Tx, initiative: Initiative, _: Employee, cause: Cause) -> Moment | None:
        await _checked(tx, body)
        return domain.edit(
            initiative,
            cause,
            title=body.title,
            problem=body.problem,
            root_causes=tuple(map(RootCauseId, body.root_causes)),
            themes=body.themes,
            department_id=body.department_id,
            owner_id=AgentId(body.owner_id),
        )

    return await _act(request, principal, initiative_id, seen, decide)


@router.get("/initiatives/{initiative_id}/cases", summary="The cases behind an initiative")
async def list_cases(
    request: Request,
    principal: CaseReader,  # noqa: ARG001 - the rule
    initiative_id: UUID,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[InitiativeCase]:
    """In no meaningful order."""
    after = None if cursor is None else decode_cursor(cursor, UUID)
    async with database_of(request).reading() as tx:
        if await initiatives.find(tx, initiative_id) is None:
            raise of_status(404, detail="No such initiative.")
        rows = await initiatives.cases(tx, initiative_id, after=after, limit=limit + 1)
    last = rows[limit - 1] if len(rows) > limit else None
    return Page[InitiativeCase](
        items=[InitiativeCase.model_validate(row, from_attributes=True) for row in rows[:limit]],
        next_cursor=None if last is None else encode_cursor(last.id),
    )


@router.post(
    "/initiatives/{initiative_id}/cases",
    responses=_answers(200),
    openapi_extra=REPEATABLE,
    summary="Put further cases behind an initiative",
)
async def add_cases(
    request: Request, principal: LeadWriter, initiative_id: UUID, body: CasesBody, seen: IfMatch
) -> Response:
    """Those that are there already change nothing. Earlier feedback moves the quarter clock nearer."""

    async def decide(tx: Tx, initiative: Initiative, _: Employee, cause: Cause) -> Moment | None:
        unknown = await initiatives.unknown_cases(tx, body.case_ids)
        if unknown:
            place = min(body.case_ids.index(id_) for id_ in unknown)
            raise refused_field(f"/case_ids/{place}", "is no case")
        added = await initiatives.add(tx, initiative.id, body.case_ids) if body.case_ids else 0
        if body.since is not None:
            added += await initiatives.add_by_root_cause(tx, initiative.id, initiative.root_causes, body.since)
        behind = await initiatives.evidence(tx, initiative.id)
        return domain.add_cases(initiative, added, behind.earliest_feedback_at, cause)

    return await _act(request, principal, initiative_id, seen, decide)


@router.post(
    "/initiatives/{initiative_id}/approve", responses=_answers(200), openapi_extra=REPEATABLE, summary="Decide to do it"
)
async def approve(
    request: Request, principal: TopWriter, initiative_id: UUID, body: ApproveBody, seen: IfMatch
) -> Response:
    """With a date, and a budget if it needs one."""

    async def decide(_: Tx, initiative: Initiative, owner: Employee, cause: Cause) -> Moment | None:
        budget = None if body.budget is None else float(body.budget)
        return domain.approve(
            initiative, owner, cause, due_on=body.due_on, budget=budget, currency=body.currency, reason=body.reason
        )

    return await _act(request, principal, initiative_id, seen, decide)


@router.post(
    "/initiatives/{initiative_id}/decline",
    responses=_answers(200),
    openapi_extra=REPEATABLE,
    summary="Decide not to do it",
)
async def decline(
    request: Request, principal: TopWriter, initiative_id: UUID, body: DeclineBody, seen: IfMatch
) -> Response:
    """With the reason, which everybody can read."""

    async def decide(_: Tx, initiative: Initiative, owner: Employee, cause: Cause) -> Moment | None:
        return domain.decline(initiative, owner, cause, reason=body.reason)

    return await _act(request, principal, initiative_id, seen, decide)


@router.post(
    "/initiatives/{initiative_id}/start", responses=_answers(200), openapi_extra=REPEATABLE, summary="Begin the work"
)
async def start(
    request: Request,
    principal: LeadWriter,
    initiative_id: UUID,
    body: StartBody,  # noqa: ARG001 - that it is an empty object
    seen: IfMatch,
) -> Response:
    """Of one that is approved."""

    async def decide(_: Tx, initiative: Initiative, owner: Employee, cause: Cause) -> Moment | None:
        return domain.start(initiative, owner, cause)

    return await _act(request, principal, initiative_id, seen, decide)


@router.post(
    "/initiatives/{initiative_id}/ship",
    responses=_answers(200),
    openapi_extra=REPEATABLE,
    summary="Say that the change is in force",
)
async def ship(request: Request, principal: LeadWriter, initiative_id: UUID, body: ShipBody, seen: IfMatch) -> Response:
    """In the words that customers, employees and partners will be told."""

    async def decide(_: Tx, initiative: Initiative, owner: Employee, cause: Cause) -> Moment | None:
        return domain.ship(
            initiative, owner, cause, learned=body.learned, changed=body.changed, next_steps=body.next_steps
        )

    return await _act(request, principal, initiative_id, seen, decide)


async def _checked(tx: Tx, body: InitiativeBody) -> Employee:
    """The owner; a 422 where the body names somebody or something that there is not."""
    staff = await people.staff(tx)
    owner = staff.agents.get(AgentId(body.owner_id))
    if owner is None or owner.disabled:
        raise refused_field("/owner_id", "is nobody who works here")
    if await people.find_department(tx, body.department_id) is None:
        raise refused_field("/department_id", "is no department")
    unknown = await initiatives.unknown_root_causes(tx, [RootCauseId(id_) for id_ in body.root_causes])
    if unknown:
        place = _first(body.root_causes, unknown)
        raise refused_field(f"/root_causes/{place}", "is no root cause")
    return owner.as_employee()


def _first(ids: Sequence[str], wanted: set[RootCauseId]) -> int:
    return next(place for place, id_ in enumerate(ids) if id_ in wanted)


async def _answer(tx: Tx, id_: UUID, status: int) -> tuple[int, Any, dict[str, str]]:
    row = await initiatives.find(tx, id_)
    if row is None:
        raise of_status(404, detail="No such initiative.")
    return status, state_of(row), {"ETag": etag(row.version)}


async def _act(
    request: Request, principal: Principal, initiative_id: UUID, seen: int | None, decide: Decide
) -> Response:
    """Lock the initiative, decide, save: on the version that the caller saw, once per Idempotency-Key."""

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        found = await initiatives.lock(tx, [initiative_id])
        if not found:
            raise of_status(404, detail="No such initiative.")
        initiative = found[0]
        expect(initiative.version, seen)
        owner = (await people.staff(tx)).employee(initiative.owner_id)
        cause = Cause(command_id, tx.now, actor_of(principal), traceparent_of(request))
        try:
            moment = await decide(tx, initiative, owner, cause)
        except InitiativeRefused as refused:
            raise Problem(
                409,
                "initiative-status",
                "The initiative's status does not allow it",
                headers={"ETag": etag(initiative.version)},
                extra={"status_of_initiative": refused.status},
            ) from refused
        if moment is not None:
            await initiatives.save(tx, moment)
        return await _answer(tx, initiative_id, 200)

    return await once(database_of(request), request, principal, command)
