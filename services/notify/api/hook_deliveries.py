"""`/v1/subscriptions/{id}/deliveries`: the log of what was sent to an end point, and its replay."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import msgspec
from fastapi import Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.problem import of_status
from libs.webapi.strict_json import Router
from services.notify.api.hook_access import SubscriptionsReader, SubscriptionsWriter, found, held
from services.notify.domain.hook_outcomes import DeliveryStatus, Trouble
from services.notify.domain.visibility import read
from services.notify.hook_handlers import narrowed
from services.notify.store import hook_deliveries

if TYPE_CHECKING:
    from sqlalchemy import Row

router: Final = Router(prefix="/v1/subscriptions/{subscription_id}/deliveries", tags=["subscriptions"])

_MOST_REPLAYED: Final = 10_000
TypeFilter = Annotated[str | None, Query(min_length=1, max_length=200, alias="type")]


class Delivery(BaseModel):
    """One event for one end point."""

    event_id: UUID
    """The header `webhook-id`."""
    type: str
    status: DeliveryStatus
    attempts: int
    status_code: int | None
    """Of the last attempt; null where nothing was answered."""
    trouble: Trouble | None
    """Why the last attempt failed."""
    took_ms: int | None
    due_at: datetime | None
    """When it is tried (again), while it is pending."""
    created_at: datetime
    changed_at: datetime


class FailedAttempt(BaseModel):
    """An attempt that failed."""

    at: datetime
    status_code: int | None
    trouble: Trouble | None
    took_ms: int


class DeliveryWithBody(Delivery):
    """The same, with the attempts that failed, and what is sent."""

    failed_attempts: list[FailedAttempt]
    body: dict[str, Any] | None
    """Null where its customer was erased."""


class RangeBody(BaseModel):
    """Which deliveries to make anew: those written in a span of time."""

    model_config = ConfigDict(extra="forbid")

    since: AwareDatetime
    until: AwareDatetime
    statuses: Annotated[list[DeliveryStatus], Field(min_length=1)] = [DeliveryStatus.FAILED]
    type: Annotated[str | None, Field(min_length=1, max_length=200)] = None


class Replayed(BaseModel):
    """How many are made anew; at most 10,000 at once, the oldest first: where `more`, ask again from there."""

    replayed: int
    more: bool


@router.get("", summary="The log of deliveries, the newest first")
async def list_deliveries(
    request: Request,
    principal: SubscriptionsReader,
    subscription_id: UUID,
    status: DeliveryStatus | None = None,
    type_: TypeFilter = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Delivery]:
    """Kept for 30 days, unless the settings say otherwise."""
    after = None if cursor is None else decode_cursor(cursor, tuple[datetime, UUID])
    async with database_of(request).reading() as tx:
        subscription = await found(tx, principal, subscription_id)
        rows = await hook_deliveries.listed(
            tx, subscription.id, status=status, type_=type_, after=after, limit=limit + 1
        )
    shown = rows[:limit]
    more = encode_cursor((shown[-1].created_at, shown[-1].event_id)) if len(rows) > limit else None
    return Page(items=[Delivery(**_columns(row)) for row in shown], next_cursor=more)


@router.post(
    "/replay", status_code=202, response_model=Replayed, openapi_extra=REPEATABLE, summary="Deliver a range anew"
)
async def replay_range(
    request: Request, principal: SubscriptionsWriter, subscription_id: UUID, body: RangeBody
) -> Response:
    """Under the same ids, by a schedule of their own that begins now."""

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        subscription = await held(tx, principal, subscription_id)
        count = await hook_deliveries.replay_range(
            tx,
            subscription.id,
            since=body.since,
            until=body.until,
            statuses=set(body.statuses),
            type_=body.type,
            limit=_MOST_REPLAYED,
        )
        return 202, Replayed(replayed=count, more=count == _MOST_REPLAYED), {}

    return await once(database_of(request), request, principal, command)


@router.get("/{event_id}", summary="A delivery")
async def get_delivery(
    request: Request, principal: SubscriptionsReader, subscription_id: UUID, event_id: UUID
) -> DeliveryWithBody:
    """With its failed attempts and what is sent."""
    async with database_of(request).reading() as tx:
        subscription = await found(tx, principal, subscription_id)
        row = await hook_deliveries.one(tx, subscription.id, event_id)
    if row is None:
        raise of_status(404, detail="No such delivery.")
    body = row.body
    if body is not None and not read(row.sees) <= subscription.sees:
        body = narrowed(body, subscription.sees)
    return DeliveryWithBody(
        **_columns(row),
        failed_attempts=[FailedAttempt(**each) for each in msgspec.json.decode(row.attempts_failed)],
        body=None if body is None else msgspec.json.decode(body),
    )


@router.post(
    "/{event_id}/replay",
    status_code=202,
    response_model=Delivery,
    openapi_extra=REPEATABLE,
    summary="Deliver one anew",
)
async def replay_delivery(
    request: Request, principal: SubscriptionsWriter, subscription_id: UUID, event_id: UUID
) -> Response:
    """Under the same id, whatever became of it before."""

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        subscription = await held(tx, principal, subscription_id)
        if not await hook_deliveries.replay(tx, subscription.id, event_id):
            raise of_status(404, detail="No such delivery, or its customer was erased.")
        row = await hook_deliveries.one(tx, subscription.id, event_id)
        assert row is not None  # noqa: S101 - it was changed in this transaction
        return 202, Delivery(**_columns(row)), {}

    return await once(database_of(request), request, principal, command)


def _columns(row: "Row[Any]") -> dict[str, Any]:
    return {
        "event_id": row.event_id,
        "type": row.type,
        "status": row.status,
        "attempts": row.attempt,
        "status_code": row.status_code,
        "trouble": row.trouble,
        "took_ms": row.took_ms,
        "due_at": row.due_at if row.status == DeliveryStatus.PENDING else None,
        "created_at": row.created_at,
        "changed_at": row.changed_at,
    }
