"""`POST /v1/responses`: responses in our own shape, from whoever holds a key; each item has its own result."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from fastapi import Body, Request, Response
from pydantic import ValidationError, WithJsonSchema

from libs.events.database import Tx
from libs.events.telemetry import traceparent_or_new
from libs.webapi.app import database_of
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.problem import FieldError, Problem, invalid, unavailable
from libs.webapi.strict_json import Router
from services.ingest.api.access import ResponsesWriter, book_of
from services.ingest.api.models import ItemOut, ResponseBody, ResultsOut
from services.ingest.arrivals import DeliveryIds, rest_arrival
from services.ingest.domain.deliveries import Arrival, NotUnderstood, Outcome
from services.ingest.domain.responses import DeliveryId
from services.ingest.intake import RACES, count_outcomes
from services.ingest.sources import SourceBook
from services.ingest.store.deliveries import Raced, record

router: Final = Router(prefix="/v1/responses", tags=["responses"])

MOST_ITEMS: Final = 1000
_ITEMS_BEFORE_OTHERS: Final = 50

_encode: Final = msgspec.json.Encoder().encode
_ITEM: Final = ResponseBody.model_json_schema()
Document = Annotated[
    Any,
    Body(),
    WithJsonSchema({"oneOf": [_ITEM, {"type": "array", "items": _ITEM, "minItems": 1, "maxItems": MOST_ITEMS}]}),
]

Item = Arrival | list[FieldError]
"""One item as it is going to be recorded, or what is wrong with it."""


@router.post(
    "",
    status_code=202,
    response_model=ResultsOut,
    openapi_extra=REPEATABLE,
    summary="Record responses in our own shape",
)
async def post_responses(request: Request, principal: ResponsesWriter, document: Document) -> Response:
    """One response, or up to 1,000. Sent again, the same response with the same content is a duplicate of itself.

    Of several items those that are valid are recorded, whatever the others are; one alone that is not is refused.
    """
    several = isinstance(document, list)
    raw: list[object] = document if isinstance(document, list) else [document]
    if not 1 <= len(raw) <= MOST_ITEMS:
        raise _invalid([{"pointer": "", "detail": f"has to have 1 to {MOST_ITEMS} items"}])
    items = await _read(request, raw, several=several)
    arrivals = [item for item in items if not isinstance(item, list)]
    if not several and not arrivals:
        raise _invalid([error for item in items if isinstance(item, list) for error in item])
    recorded: list[Outcome] = []

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:  # noqa: ARG001 - ids follow from the responses'
        recorded[:] = await record(tx, arrivals) if arrivals else []
        return 202, ResultsOut(items=_results(items, recorded)), {}

    database = database_of(request)
    for _ in range(RACES):
        try:
            answer = await once(database, request, principal, command)
        except Raced:
            continue
        count_outcomes(recorded)
        return answer
    raise unavailable()


async def _read(request: Request, raw: list[object], *, several: bool) -> list[Item]:
    book = book_of(request)
    now = database_of(request).clock()
    traceparent = traceparent_or_new(request.headers.get("traceparent"))
    ids: DeliveryIds = request.app.state.ids
    items: list[Item] = []
    for number, value in enumerate(raw):
        if number % _ITEMS_BEFORE_OTHERS == _ITEMS_BEFORE_OTHERS - 1:
            await asyncio.sleep(0)  # a thousand items must not keep a webhook waiting
        pointer = f"/{number}" if several else ""
        items.append(await _item(book, value, pointer, now=now, traceparent=traceparent, id_=ids.new(now)))
    return items


async def _item(
    book: SourceBook, value: object, pointer: str, *, now: datetime, traceparent: str, id_: DeliveryId
) -> Item:
    try:
        body = ResponseBody.model_validate(value)
    except ValidationError as error:
        errors = invalid({**each, "loc": ("body", *each["loc"])} for each in error.errors()).errors
        return [{**each, "pointer": pointer + each["pointer"]} for each in errors]
    ready = await book.find(body.source)
    if ready is None and await book.look_again():
        ready = await book.find(body.source)
    if ready is None:
        return [{"pointer": f"{pointer}/source", "detail": "There is no such source, or it is not enabled."}]
    arrival = rest_arrival(ready, _encode(value), now, traceparent, id_)
    if isinstance(arrival.verdict, NotUnderstood):
        field = arrival.verdict.field
        return [{"pointer": f"{pointer}/{field}" if field else pointer, "detail": str(arrival.verdict.reason)}]
    return arrival


def _results(items: list[Item], recorded: list[Outcome]) -> list[ItemOut]:
    outcomes = iter(recorded)
    results: list[ItemOut] = []
    for item in items:
        if isinstance(item, list):
            results.append(ItemOut(status="invalid", errors=item))
            continue
        outcome = next(outcomes)
        results.append(
            ItemOut(
                status=outcome.status.value,  # type: ignore[arg-type] # what is not understood was turned away above
                response_id=outcome.response_id,
                delivery_id=outcome.delivery_id,
                event_ids=list(outcome.event_ids),
                reason=outcome.reason,
            )
        )
    return results


def _invalid(errors: list[FieldError]) -> Problem:
    return Problem(422, "invalid", "The request is not valid", errors=errors)
