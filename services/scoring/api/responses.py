"""`/v1/responses`: one answer as it was scored."""

from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, Field

from libs.events.contracts.responses import Channel, Metric, SurveyKind
from libs.events.contracts.scores import NpsClass, Tier, UrgentSignal
from libs.webapi.app import database_of
from libs.webapi.etag import etag
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.problem import of_status
from libs.webapi.strict_json import Router
from services.scoring.api.access import Reader
from services.scoring.api.filters import Asked, Filter
from services.scoring.domain.customers import LONGEST_ID
from services.scoring.store import responses

router: Final = Router(prefix="/v1", tags=["responses"])

_NEWEST: Final = responses.Position(datetime(2200, 1, 1, tzinfo=UTC), "")
_LOOKED_AT: Final = 5000
"""How many comments a page is looked for among: a rare theme ends in a page with few."""


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
    channel: Channel
    department: str | None
    region: str | None
    tier: Tier
    tier_reason: str
    language: str | None = Field(description="As the survey says, else as the comment is written.")
    themes: list[str] = Field(description="What the comment is about: ids of themes.")
    urgent: list[UrgentSignal] = Field(description="What the comment says that cannot wait.")
    instrument_id: UUID
    instrument_version: int
    answered_at: datetime
    received_at: datetime
    scored_at: datetime
    erased: bool


@router.get("/responses", summary="Responses of a customer, or comments that mention a theme")
async def list_(
    request: Request,
    principal: Reader,  # noqa: ARG001 - the rule
    asked: Asked,
    customer_id: Annotated[
        str | None,
        Query(min_length=1, max_length=LONGEST_ID, description="All that they answered, the latest first."),
    ] = None,
    theme: Annotated[
        str | None, Query(min_length=1, max_length=64, description="Only comments that mention it; an id of a theme.")
    ] = None,
    metric: Metric | None = None,
    kind: SurveyKind | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ScoredResponse]:
    """Of a customer all responses, which no other filter goes with; otherwise those with a comment, the newest first.

    A page of comments may hold few or none, and go on all the same: see `next_cursor`.
    """
    before = _NEWEST if cursor is None else responses.Position(*decode_cursor(cursor, tuple[datetime, str]))
    if customer_id is not None:
        if theme or metric or kind or asked != Filter():
            raise of_status(422, detail="The responses of a customer are told without further filters.")
        async with database_of(request).reading() as tx:
            rows = await responses.of_customer(tx, customer_id, before=before, limit=limit + 1)
        last = rows[limit - 1] if len(rows) > limit else None
        following = None if last is None else responses.Position(last.answered_at, last.id)
        rows = rows[:limit]
    else:
        async with database_of(request).reading() as tx:
            rows, following = await responses.commented(
                tx,
                asked.series(metric or "nps", kind),
                theme=theme,
                any_metric=metric is None,
                before=before,
                limit=limit,
                looked_at=_LOOKED_AT,
            )
    return Page(
        items=[ScoredResponse.model_validate(row, from_attributes=True) for row in rows],
        next_cursor=None if following is None else encode_cursor(tuple(following)),
    )


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
