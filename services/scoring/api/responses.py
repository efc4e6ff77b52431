"""`/v1/responses`: one answer as it was scored."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import Path, Request, Response
from pydantic import BaseModel, Field

from libs.events.contracts.responses import Channel, Metric, SurveyKind
from libs.events.contracts.scores import NpsClass, Tier, UrgentSignal
from libs.webapi.etag import etag
from libs.webapi.problem import of_status
from libs.webapi.strict_json import Router
from services.scoring.api.access import Reader, database_of
from services.scoring.domain.customers import LONGEST_ID
from services.scoring.store import responses

router: Final = Router(prefix="/v1", tags=["responses"])


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
