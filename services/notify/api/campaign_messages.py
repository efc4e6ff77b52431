"""The messages of a campaign: what became of each, and trials before anybody is told."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from fastapi import Request, Response
from pydantic import BaseModel, Field, StringConstraints

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.problem import FieldError
from libs.webapi.strict_json import Router
from services.notify import announcements
from services.notify.api.campaign_views import Reader, Writer, found, invalid
from services.notify.api.plans import Body
from services.notify.domain.campaigns import CampaignId, Side
from services.notify.domain.mailboxes import is_address
from services.notify.domain.messages import Status as MessageStatus
from services.notify.domain.messages import message_id
from services.notify.store import campaigns

router: Final = Router(prefix="/v1/campaigns/{campaign_id}", tags=["campaigns"])

_Address = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=320)]


class Told(BaseModel):
    """One recipient's message."""

    message_id: UUID
    recipient: str
    customer_id: str | None
    status: MessageStatus
    reason: str | None
    attempts: int
    changed_at: datetime


class TestBody(Body):
    """To whom a trial goes."""

    email: _Address
    name: Annotated[str, Field(max_length=200)] = ""
    language: Literal["ru", "en"]
    side: Side = "customers"


@router.post(
    "/test",
    status_code=202,
    responses={202: {"model": Told, "description": "It is in the ledger and goes out next."}},
    openapi_extra=REPEATABLE,
    summary="Send a trial",
)
async def send_test(request: Request, principal: Writer, campaign_id: UUID, body: TestBody) -> Response:
    """The mail as somebody on that side would get it, with the word "trial" before its subject."""

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        stored = await found(tx, campaign_id)
        if not is_address(body.email):
            raise invalid([FieldError(pointer="/email", detail="is no address")])
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


@router.get("/recipients", summary="What became of each message of a campaign")
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
        await found(tx, campaign_id)
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
