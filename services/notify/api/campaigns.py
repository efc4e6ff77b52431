"""`/v1/campaigns`: "what we changed", written down and looked at."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from fastapi import Request, Response

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.etag import IfMatch, etag
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.problem import FieldError
from libs.webapi.strict_json import Router
from services.notify.api.campaign_views import (
    CampaignDetail,
    CampaignState,
    HistoryLine,
    Reader,
    Writer,
    answer,
    answers,
    found,
    held,
    invalid,
    refused,
    state,
    who,
)
from services.notify.api.plans import PlanBody
from services.notify.domain import campaigns as domain
from services.notify.domain.campaigns import Campaign, CampaignId, CampaignRefusedError, Plan, Status
from services.notify.store import audiences, campaigns
from services.notify.store.campaigns import Stored

router: Final = Router(prefix="/v1/campaigns", tags=["campaigns"])


@router.get("", summary="Campaigns, the newest first")
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
        page = await campaigns.page(tx, status=status, after=after, limit=limit + 1)
    last = page[limit - 1].campaign if len(page) > limit else None
    return Page[CampaignState](
        items=[state(each) for each in page[:limit]],
        next_cursor=None if last is None else encode_cursor((last.created_at, last.id)),
    )


@router.post("", status_code=201, responses=answers(201), openapi_extra=REPEATABLE, summary="Write a campaign down")
async def create(request: Request, principal: Writer, body: PlanBody) -> Response:
    """A draft: nobody is told before a second person has approved it and somebody starts it."""

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        plan = await _checked(tx, body)
        author = who(principal)
        draft = Campaign(id=CampaignId(command_id), plan=plan, status=Status.DRAFT, created_at=tx.now, edited_by=author)
        await campaigns.add(tx, draft, author)
        return answer(Stored(draft, None, None), 201)

    return await once(database_of(request), request, principal, command)


@router.get("/{campaign_id}", summary="One campaign with its history")
async def get_campaign(
    request: Request,
    response: Response,
    principal: Reader,  # noqa: ARG001 - the rule
    campaign_id: UUID,
) -> CampaignDetail:
    """How far it has come is counted every few seconds while it runs."""
    async with database_of(request).reading() as tx:
        stored = await found(tx, campaign_id)
        history = await campaigns.history(tx, CampaignId(campaign_id))
    response.headers["ETag"] = etag(stored.campaign.version)
    lines = [
        HistoryLine(version=row.version, at=row.at, act=row.act, by=row.by_whom, reason=row.reason) for row in history
    ]
    return CampaignDetail(**state(stored).model_dump(), history=lines)


@router.put("/{campaign_id}", responses=answers(200), openapi_extra=REPEATABLE, summary="Write it anew")
async def edit(request: Request, principal: Writer, campaign_id: UUID, body: PlanBody, seen: IfMatch) -> Response:
    """Before it is started. What was approved is a draft again."""

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        stored = await held(tx, campaign_id, seen)
        plan = await _checked(tx, body)
        try:
            edited = domain.edit(stored.campaign, plan, who(principal), tx.now)
        except CampaignRefusedError as error:
            raise refused(error) from error
        await campaigns.save(tx, edited, "edited", who(principal))
        return answer(Stored(edited, None, None), 200)

    return await once(database_of(request), request, principal, command)


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
        raise invalid(faults)
    return plan
