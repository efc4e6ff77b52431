"""`/v1/campaigns`: "what we changed", written down, approved by a second person, told to each once, and followed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from fastapi import Request, Response
from pydantic import BaseModel, Field, StringConstraints

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.auth import Principal, requires
from libs.webapi.etag import IfMatch, etag, expect
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.problem import FieldError, Problem, of_status
from libs.webapi.strict_json import Router
from services.notify import announcements
from services.notify.api.plans import AudienceBody, Body, PlanBody, written
from services.notify.campaigns import recall
from services.notify.domain import campaigns as domain
from services.notify.domain.campaigns import Act, Campaign, CampaignId, CampaignRefusedError, Plan, Side, Status
from services.notify.domain.mailboxes import is_address
from services.notify.domain.messages import Status as MessageStatus
from services.notify.domain.messages import message_id
from services.notify.store import audiences, campaigns
from services.notify.store.audiences import Group
from services.notify.store.campaigns import Stored, Tally

router: Final = Router(prefix="/v1", tags=["campaigns"])

_LEADS: Final = frozenset({"manager", "executive", "administrator"})
Reader = Annotated[Principal, requires("campaigns:read", roles=_LEADS | {"operator"})]
Writer = Annotated[Principal, requires("campaigns:write", roles=_LEADS)]

_Address = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=320)]


class HistoryLine(BaseModel):
    """Who did what with a campaign."""

    version: int
    at: datetime
    act: Act
    by: str
    reason: str | None


class Progress(BaseModel):
    """What became of its messages, when they were last counted."""

    counted_at: datetime
    queued: int
    sent: int
    failed: int
    doubtful: int
    held_back: dict[str, int]


class CampaignState(BaseModel):
    """A campaign."""

    id: UUID
    version: int
    status: Status
    plan: PlanBody
    created_at: datetime
    edited_by: str
    approved_by: str | None
    approved_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    recipients: int | None
    """In the frozen audience."""
    told: int
    """Up to which position of it messages are in the ledger."""
    progress: Progress | None


class CampaignDetail(CampaignState):
    """A campaign with its history."""

    history: list[HistoryLine]


class Told(BaseModel):
    """One recipient's message."""

    message_id: UUID
    recipient: str
    customer_id: str | None
    status: MessageStatus
    reason: str | None
    attempts: int
    changed_at: datetime


class CountedGroup(BaseModel):
    """So many people of an audience."""

    side: Side
    language: Literal["ru", "en"] | None
    held_back: Annotated[str | None, Field(description="Why they would not be written to; null: they would.")]
    people: int


class Preview(BaseModel):
    """Who is meant by what is known now."""

    people: int
    reachable: int
    groups: list[CountedGroup]


class Tellable(BaseModel):
    """A shipped initiative: what can be told, and how long there is for it."""

    initiative_id: str
    title: str
    root_causes: list[str]
    themes: list[str]
    department_id: str
    learned: str
    changed: str
    next_steps: str | None
    shipped_at: datetime
    communicate_by: datetime | None
    is_told: bool
    """Whether a campaign tells it, or did."""


class TestBody(Body):
    """To whom a trial goes."""

    email: _Address
    name: Annotated[str, Field(max_length=200)] = ""
    language: Literal["ru", "en"]
    side: Side = "customers"


class ReasonBody(Body):
    """Why."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000)]


class NothingBody(Body):
    """Nothing is asked."""


def _answers(status: int) -> dict[int | str, dict[str, Any]]:
    problem: dict[str, Any] = {"content": {"application/problem+json": {}}}
    return {
        status: {"model": CampaignState, "description": "The campaign as it is now, its version as `ETag`."},
        404: {"description": "No such campaign.", **problem},
        409: {"description": "The campaign's status, or who asks, does not allow it.", **problem},
        412: {"description": "It has changed since the version in `If-Match`.", **problem},
        422: {"description": "The request is not valid.", **problem},
    }


@router.get("/tellable-initiatives", summary="Shipped initiatives, and whether they are told")
async def list_tellable(request: Request, principal: Reader) -> list[Tellable]:  # noqa: ARG001 - the rule
    """Those first whose quarter ends first."""
    async with database_of(request).reading() as tx:
        rows = await campaigns.tellable(tx)
    return [Tellable.model_validate(row, from_attributes=True) for row in rows]


@router.post("/audiences/preview", summary="Count an audience")
async def preview_audience(request: Request, principal: Reader, body: AudienceBody) -> Preview:  # noqa: ARG001 - the rule
    """How many people are meant by what is known now, and who of them would be held back, and why."""
    async with database_of(request).reading() as tx:
        return _preview(await audiences.count(tx, body.domain()))


@router.get("/campaigns", summary="Campaigns, the newest first")
async def list_campaigns(
    request: Request,
    principal: Reader,  # noqa: ARG001 - the rule
    status: Status | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[CampaignState]:
    """Of any status."""
    after = None if cursor is None else decode_cursor(cursor, tuple[datetime, UUID])
    async with database_of(request).reading() as tx:
        found = await campaigns.page(tx, status=status, after=after, limit=limit + 1)
    last = found[limit - 1].campaign if len(found) > limit else None
    return Page[CampaignState](
        items=[_state(each) for each in found[:limit]],
        next_cursor=None if last is None else encode_cursor((last.created_at, last.id)),
    )


@router.post(
    "/campaigns", status_code=201, responses=_answers(201), openapi_extra=REPEATABLE, summary="Write a campaign down"
)
async def create(request: Request, principal: Writer, body: PlanBody) -> Response:
    """A draft: nobody is told before a second person has approved it and somebody starts it."""

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        plan = await _checked(tx, body)
        who = _who(principal)
        draft = Campaign(id=CampaignId(command_id), plan=plan, status=Status.DRAFT, created_at=tx.now, edited_by=who)
        await campaigns.add(tx, draft, who)
        return _answer(Stored(draft, None, None), 201)

    return await once(database_of(request), request, principal, command)


@router.get("/campaigns/{campaign_id}", summary="One campaign with its history")
async def get_campaign(
    request: Request,
    response: Response,
    principal: Reader,  # noqa: ARG001 - the rule
    campaign_id: UUID,
) -> CampaignDetail:
    """How far it has come is counted every few seconds while it runs."""
    async with database_of(request).reading() as tx:
        stored = await campaigns.one(tx, CampaignId(campaign_id))
        if stored is None:
            raise of_status(404, detail="No such campaign.")
        history = await campaigns.history(tx, CampaignId(campaign_id))
    response.headers["ETag"] = etag(stored.campaign.version)
    lines = [
        HistoryLine(version=row.version, at=row.at, act=row.act, by=row.by_whom, reason=row.reason) for row in history
    ]
    return CampaignDetail(**_state(stored).model_dump(), history=lines)


@router.put("/campaigns/{campaign_id}", responses=_answers(200), openapi_extra=REPEATABLE, summary="Write it anew")
async def edit(request: Request, principal: Writer, campaign_id: UUID, body: PlanBody, seen: IfMatch) -> Response:
    """Before it is started. What was approved is a draft again."""

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        stored = await _held(tx, campaign_id, seen)
        plan = await _checked(tx, body)
        try:
            edited = domain.edit(stored.campaign, plan, _who(principal), tx.now)
        except CampaignRefusedError as error:
            raise _refused(error) from error
        await campaigns.save(tx, edited, "edited", _who(principal))
        return _answer(Stored(edited, None, None), 200)

    return await once(database_of(request), request, principal, command)


@router.post("/campaigns/{campaign_id}/preview", summary="Count the audience of a campaign")
async def preview(
    request: Request,
    principal: Reader,  # noqa: ARG001 - the rule
    campaign_id: UUID,
    body: NothingBody,  # noqa: ARG001 - that it is an empty object
) -> Preview:
    """By what is known now; the audience is frozen when the campaign starts."""
    async with database_of(request).reading() as tx:
        stored = await campaigns.one(tx, CampaignId(campaign_id))
        if stored is None:
            raise of_status(404, detail="No such campaign.")
        return _preview(await audiences.count(tx, stored.campaign.plan.audience))


@router.post(
    "/campaigns/{campaign_id}/test",
    status_code=202,
    responses={202: {"model": Told, "description": "It is in the ledger and goes out next."}},
    openapi_extra=REPEATABLE,
    summary="Send a trial",
)
async def send_test(request: Request, principal: Writer, campaign_id: UUID, body: TestBody) -> Response:
    """The mail as somebody on that side would get it, with the word "trial" before its subject."""

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        stored = await campaigns.one(tx, CampaignId(campaign_id))
        if stored is None:
            raise of_status(404, detail="No such campaign.")
        if not is_address(body.email):
            raise _invalid([FieldError(pointer="/email", detail="is no address")])
        said = msgspec.structs.asdict(stored.campaign.plan.content.of(body.language))
        trial = {"ru": "Проба", "en": "Trial"}[body.language]
        facts = {**said, "subject": f"[{trial}] {said['subject']}"}
        if body.side == "customers":
            facts["answered_at"] = tx.now.isoformat()
        recipient = f"trial:{command_id}"
        entry = await campaigns.add_trial(
            tx,
            message_id(command_id, recipient),
            cause_id=command_id,
            recipient=recipient,
            side=body.side,
            address=body.email,
            name=body.name,
            language=body.language,
            facts=facts,
        )
        announcements.queued(tx, entry)
        told = Told(
            message_id=entry.id,
            recipient=recipient,
            customer_id=None,
            status=MessageStatus.QUEUED,
            reason=None,
            attempts=0,
            changed_at=tx.now,
        )
        return 202, told, {}

    return await once(database_of(request), request, principal, command)


@router.get("/campaigns/{campaign_id}/recipients", summary="What became of each message of a campaign")
async def list_recipients(
    request: Request,
    principal: Reader,  # noqa: ARG001 - the rule
    campaign_id: UUID,
    status: MessageStatus | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Told]:
    """Of those whose message is in the ledger already. `status=doubtful` lists what nobody knows."""
    after = "" if cursor is None else decode_cursor(cursor, str)
    async with database_of(request).reading() as tx:
        if await campaigns.one(tx, CampaignId(campaign_id)) is None:
            raise of_status(404, detail="No such campaign.")
        rows = await campaigns.told(tx, CampaignId(campaign_id), status=status, after=after, limit=limit + 1)
    items = [
        Told(
            message_id=row.id,
            recipient=row.recipient,
            customer_id=row.customer_id,
            status=MessageStatus(row.status),
            reason=row.reason,
            attempts=row.attempt,
            changed_at=row.changed_at,
        )
        for row in rows[:limit]
    ]
    return Page[Told](items=items, next_cursor=encode_cursor(items[-1].recipient) if len(rows) > limit else None)


@router.post("/campaigns/{campaign_id}/approve", responses=_answers(200), openapi_extra=REPEATABLE, summary="Agree")
async def approve(
    request: Request,
    principal: Writer,
    campaign_id: UUID,
    body: NothingBody,  # noqa: ARG001 - that it is an empty object
    seen: IfMatch,
) -> Response:
    """By somebody else than who wrote it as it is now."""
    return await _act(request, principal, campaign_id, seen, "approved")


@router.post("/campaigns/{campaign_id}/start", responses=_answers(200), openapi_extra=REPEATABLE, summary="Start")
async def start(
    request: Request,
    principal: Writer,
    campaign_id: UUID,
    body: NothingBody,  # noqa: ARG001 - that it is an empty object
    seen: IfMatch,
) -> Response:
    """The audience is frozen, and told."""
    return await _act(request, principal, campaign_id, seen, "started")


@router.post("/campaigns/{campaign_id}/pause", responses=_answers(200), openapi_extra=REPEATABLE, summary="Pause")
async def pause(
    request: Request,
    principal: Writer,
    campaign_id: UUID,
    body: NothingBody,  # noqa: ARG001 - that it is an empty object
    seen: IfMatch,
) -> Response:
    """Nobody more is told until it is resumed; what is on the line at this moment arrives."""
    return await _act(request, principal, campaign_id, seen, "paused")


@router.post("/campaigns/{campaign_id}/resume", responses=_answers(200), openapi_extra=REPEATABLE, summary="Resume")
async def resume(
    request: Request,
    principal: Writer,
    campaign_id: UUID,
    body: NothingBody,  # noqa: ARG001 - that it is an empty object
    seen: IfMatch,
) -> Response:
    """It goes on exactly where it was."""
    return await _act(request, principal, campaign_id, seen, "resumed")


@router.post("/campaigns/{campaign_id}/cancel", responses=_answers(200), openapi_extra=REPEATABLE, summary="Cancel")
async def cancel(request: Request, principal: Writer, campaign_id: UUID, body: ReasonBody, seen: IfMatch) -> Response:
    """For good; what is in the queue is held back, and written down as that."""
    return await _act(request, principal, campaign_id, seen, "cancelled", body.reason)


async def _act(
    request: Request, principal: Principal, campaign_id: UUID, seen: int | None, act: Act, reason: str | None = None
) -> Response:
    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        stored = await _held(tx, campaign_id, seen)
        who = _who(principal)
        try:
            campaign = domain.ACTS[act](stored.campaign, who, tx.now)
        except CampaignRefusedError as error:
            raise _refused(error) from error
        await campaigns.save(tx, campaign, act, who, reason)
        announcements.campaign_act(tx, campaign, act, who, reason)
        match act:
            case "paused":
                await campaigns.park(tx)
            case "resumed":
                await campaigns.unpark(tx, campaign.id)
            case "cancelled":
                await recall(tx, [campaign.id])
            case _:
                pass
        return _answer(Stored(campaign, stored.tally, stored.counted_at), 200)

    return await once(database_of(request), request, principal, command)


async def _held(tx: Tx, campaign_id: UUID, seen: int | None) -> Stored:
    stored = await campaigns.lock(tx, CampaignId(campaign_id))
    if stored is None:
        raise of_status(404, detail="No such campaign.")
    expect(stored.campaign.version, seen)
    return stored


async def _checked(tx: Tx, body: PlanBody) -> Plan:
    """The plan, if what it names is there."""
    plan = body.domain()
    known = {row.initiative_id for row in await campaigns.tellable(tx, plan.initiative_ids)}
    faults = [
        FieldError(pointer=f"/initiative_ids/{place}", detail="is no shipped initiative")
        for place, initiative_id in enumerate(plan.initiative_ids)
        if initiative_id not in known
    ]
    unknown = set(await audiences.unknown_lists(tx, plan.audience))
    faults += [
        FieldError(pointer=f"/audience/lists/{place}", detail="is no list")
        for place, list_id in enumerate(plan.audience.lists)
        if list_id in unknown
    ]
    if faults:
        raise _invalid(faults)
    return plan


def _who(principal: Principal) -> str:
    return principal.person_id or f"key:{principal.name}"


def _invalid(faults: Sequence[FieldError]) -> Problem:
    return Problem(422, "invalid", "The request is not valid", errors=list(faults))


def _refused(error: CampaignRefusedError) -> Problem:
    return Problem(409, error.code, "The campaign does not allow it", detail=str(error))


def _preview(groups: Sequence[Group]) -> Preview:
    return Preview(
        people=sum(group.people for group in groups),
        reachable=sum(group.people for group in groups if group.held is None),
        groups=[
            CountedGroup(side=group.side, language=group.language, held_back=group.held, people=group.people)  # type: ignore[arg-type]  # these are the languages
            for group in groups
        ],
    )


def _answer(stored: Stored, status: int) -> tuple[int, Any, dict[str, str]]:
    return status, _state(stored), {"ETag": etag(stored.campaign.version)}


def _state(stored: Stored) -> CampaignState:
    campaign = stored.campaign
    return CampaignState(
        id=campaign.id,
        version=campaign.version,
        status=campaign.status,
        plan=written(campaign.plan),
        created_at=campaign.created_at,
        edited_by=campaign.edited_by,
        approved_by=campaign.approved_by,
        approved_at=campaign.approved_at,
        started_at=campaign.started_at,
        ended_at=campaign.ended_at,
        recipients=campaign.recipients,
        told=campaign.told_up_to,
        progress=_progress(stored.tally, stored.counted_at),
    )


def _progress(tally: Tally | None, counted_at: datetime | None) -> Progress | None:
    if tally is None or counted_at is None:
        return None
    return Progress(counted_at=counted_at, **msgspec.structs.asdict(tally))
