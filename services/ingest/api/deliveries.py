"""`/v1/deliveries`: what was kept, and understanding it again when a field map was mended."""

import base64
from collections.abc import Sequence
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from fastapi import Query, Request

from libs.events.telemetry import traceparent_or_new
from libs.webapi.app import database_of
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.problem import of_status, unavailable
from libs.webapi.strict_json import Router
from services.ingest.api.access import SOURCE_NAME, DeliveriesReader, DeliveriesWriter, book_of
from services.ingest.api.models import DeliveryOut, DeliveryWithBody, Replayed, ReplayFilter
from services.ingest.arrivals import stored_arrival
from services.ingest.domain.deliveries import Arrival, Outcome, Status
from services.ingest.imports import file_readers
from services.ingest.intake import NotDurable, record_again_in
from services.ingest.store import kept
from services.ingest.store.kept import Contents, StoredDelivery

router: Final = Router(prefix="/v1/deliveries", tags=["deliveries"])

_headers: Final = msgspec.json.Decoder(dict[str, str]).decode


@router.get("", summary="Deliveries, the newest first")
async def list_deliveries(
    request: Request,
    principal: DeliveriesReader,  # noqa: ARG001 - the rule
    status: Annotated[Status | None, Query()] = None,
    source: Annotated[str | None, Query(pattern=SOURCE_NAME)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[DeliveryOut]:
    """Without their bytes."""
    before = None if cursor is None else decode_cursor(cursor, UUID)
    async with database_of(request).reading() as tx:
        found = await kept.page(tx, status=status, source=source, before=before, limit=limit + 1)
    more = len(found) > limit
    return Page(
        items=[DeliveryOut(**_told(delivery)) for delivery in found[:limit]],
        next_cursor=encode_cursor(found[limit - 1].id) if more else None,
    )


@router.get("/{id}", summary="One delivery with its bytes")
async def get_delivery(request: Request, principal: DeliveriesReader, id: UUID) -> DeliveryWithBody:  # noqa: A002, ARG001 - the path's word; the rule
    """Headers that hold a secret or a signature were never kept."""
    found = await _found(request, id)
    try:
        body = found.body.decode()
    except UnicodeDecodeError:
        body = None
    return DeliveryWithBody(
        **_told(found.delivery),
        headers=_headers(found.headers),
        body=body,
        body_base64=base64.b64encode(found.body).decode(),
    )


@router.post("/{id}/replay", summary="Understand one delivery again")
async def replay_delivery(request: Request, principal: DeliveriesWriter, id: UUID) -> Replayed:  # noqa: A002, ARG001 - the path's word; the rule
    """By today's field map. What was published before stays; a second time changes nothing more."""
    found = await _found(request, id)
    [replayed] = await _replay(request, [found])
    return replayed


@router.post("/replay", summary="Understand many deliveries again")
async def replay_deliveries(
    request: Request,
    principal: DeliveriesWriter,  # noqa: ARG001 - the rule
    body: ReplayFilter,
) -> Page[Replayed]:
    """The oldest that fit, in the order in which they came. Call again with `next_cursor` until it is null."""
    after = None if body.cursor is None else decode_cursor(body.cursor, UUID)
    async with database_of(request).reading() as tx:
        found = await kept.to_replay(
            tx,
            status=body.status,
            source=body.source,
            received_from=body.received_from,
            received_to=body.received_to,
            after=after,
            limit=body.limit,
        )
    return Page(
        items=await _replay(request, found),
        next_cursor=encode_cursor(found[-1].delivery.id) if len(found) == body.limit else None,
    )


async def _found(request: Request, id_: UUID) -> Contents:
    async with database_of(request).reading() as tx:
        found = await kept.contents(tx, id_)
    if found is None:
        raise of_status(404, detail="There is no such delivery.")
    return found


async def _replay(request: Request, deliveries: Sequence[Contents]) -> list[Replayed]:
    """Those whose source is in use are understood again; a body that lost against the first with its id never is."""
    book = book_of(request)
    await book.look_again()
    traceparent = traceparent_or_new(request.headers.get("traceparent"))
    sources = {name: await book.find(name) for name in {contents.delivery.source for contents in deliveries}}
    async with database_of(request).reading() as tx:
        rows = await file_readers(tx, {name: ready for name, ready in sources.items() if ready}, deliveries)
    arrivals: list[Arrival] = []
    for contents in deliveries:
        ready, row = sources[contents.delivery.source], rows.get(contents.delivery.id)
        readable = contents.delivery.via != "file" or row is not None
        if ready is not None and not contents.delivery.conflicting and contents.body and readable:
            arrivals.append(stored_arrival(ready, contents, traceparent, row))
    try:
        outcomes = await record_again_in(database_of(request), arrivals) if arrivals else []
    except NotDurable as error:
        raise unavailable() from error
    now = {outcome.delivery_id: outcome for outcome in outcomes}
    return [_replayed(contents.delivery, now) for contents in deliveries]


def _replayed(delivery: StoredDelivery, now: dict[Any, Outcome]) -> Replayed:
    outcome = now.get(delivery.id)
    if outcome is None:
        return Replayed(
            delivery_id=delivery.id,
            status=delivery.status,
            reason=_why_not(delivery),
            response_id=delivery.response_id,
            event_ids=list(delivery.event_ids),
        )
    return Replayed(
        delivery_id=outcome.delivery_id,
        status=outcome.status,
        reason=outcome.reason,
        response_id=outcome.response_id,
        event_ids=list(outcome.event_ids),
    )


def _why_not(delivery: StoredDelivery) -> str | None:
    if delivery.conflicting:
        return delivery.reason
    return "not replayed: its source is not in use" if delivery.size else "not replayed: its contents are not kept"


def _told(delivery: StoredDelivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "source": delivery.source,
        "via": delivery.via,
        "key": delivery.key,
        "conflicting": delivery.conflicting,
        "size": delivery.size,
        "content_type": delivery.content_type,
        "received_at": delivery.received_at,
        "status": delivery.status,
        "reason": delivery.reason,
        "why": delivery.why,
        "response_id": delivery.response_id,
        "event_ids": list(delivery.event_ids),
        "copies": delivery.copies,
        "replayed_at": delivery.replayed_at,
    }
