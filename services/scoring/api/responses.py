"""`/v1/responses` and `/v1/instruments`: one answer as it was scored, and every way of asking there was."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import Path, Request, Response
from pydantic import BaseModel, Field

from libs.events.contracts.responses import Channel, Metric, SurveyKind
from libs.events.contracts.scores import NpsClass, Tier
from libs.webapi.etag import etag
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.problem import of_status
from libs.webapi.strict_json import Router
from services.scoring.api.access import MetricsReader, Reader, database_of
from services.scoring.domain.customers import LONGEST_ID
from services.scoring.store import instruments, responses

router: Final = Router(prefix="/v1", tags=["responses"])

_BEGIN: Final = ("", "", UUID(int=0), 0)


class ScoredResponse(BaseModel):
    """A response with its latest revision. Of an erased customer's, the score is all that is left."""

    id: str
    revision: int
    source: str
    vendor_response_id: str | None
    program: str
    touchpoint: str | None
    kind: SurveyKind
    metric: Metric
    score: int | None
    nps_class: NpsClass | None = Field(description="Null for a missing score and for metrics other than NPS.")
    claimed_class: str | None = Field(description="What the vendor claims.")
    class_contradicted: bool = Field(description="Whether the vendor claims another class than the one computed.")
    comment: str | None
    customer_id: str | None
    tier: Tier
    tier_reason: str
    language: str | None
    instrument_id: UUID
    instrument_version: int
    answered_at: datetime
    received_at: datetime
    scored_at: datetime
    erased: bool


class Instrument(BaseModel):
    """One version of how a touchpoint of a program asks."""

    id: UUID
    version: int
    program: str
    touchpoint: str | None
    metric: Metric
    question: str
    scale_min: int
    scale_max: int
    kind: SurveyKind
    channel: Channel
    sampling: str
    branded: bool
    first_answered_at: datetime


@router.get("/responses/{response_id}", summary="A response")
async def get_response(
    request: Request,
    response: Response,
    principal: Reader,  # noqa: ARG001 - the rule
    response_id: Annotated[str, Path(min_length=1, max_length=LONGEST_ID)],
) -> ScoredResponse:
    """Its revision as `ETag`."""
    async with database_of(request).reading() as tx:
        row = await responses.find(tx, response_id)
    if row is None:
        raise of_status(404, detail="No such response.")
    response.headers["ETag"] = etag(row.revision)
    return ScoredResponse.model_validate(row, from_attributes=True)


@router.get("/instruments", summary="All versions of all instruments")
async def list_instruments(
    request: Request,
    principal: MetricsReader,  # noqa: ARG001 - the rule
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Instrument]:
    """In the order of program, touchpoint and version."""
    after = _BEGIN if cursor is None else decode_cursor(cursor, tuple[str, str, UUID, int])
    async with database_of(request).reading() as tx:
        found = await instruments.page(tx, after=after, limit=limit + 1)
    items = [
        Instrument(
            id=each.instrument_id,
            version=each.version,
            program=each.program,
            touchpoint=each.touchpoint,
            metric=each.asked.metric,
            question=each.asked.question,
            scale_min=each.asked.scale_min,
            scale_max=each.asked.scale_max,
            kind=each.asked.kind,
            channel=each.asked.channel,
            sampling=each.asked.sampling,
            branded=each.asked.branded,
            first_answered_at=each.first_answered_at,
        )
        for each in found[:limit]
    ]
    if len(found) <= limit:
        return Page(items=items)
    last = items[-1]
    return Page(items=items, next_cursor=encode_cursor((last.program, last.touchpoint or "", last.id, last.version)))
