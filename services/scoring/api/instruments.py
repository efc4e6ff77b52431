"""`/v1/instruments`: every way of asking there was, and what people say about two of them being the same question."""

from datetime import date, datetime
from typing import Annotated, Any, Final
from uuid import UUID

import structlog
from fastapi import Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.events.contracts.responses import Channel, Metric, SurveyKind
from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.etag import IfMatch, changed, etag
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.problem import Problem, of_status
from libs.webapi.strict_json import Router
from services.scoring.api.access import MetricsReader, RulesWriter
from services.scoring.domain.instruments import CannotJoin, InstrumentVersion, joined
from services.scoring.domain.scales import good_scores, is_known
from services.scoring.store import instruments
from services.scoring.store.instruments import Answered

log: Final = structlog.get_logger()

router: Final = Router(prefix="/v1/instruments", tags=["instruments"])

_BEGIN: Final = ("", "", UUID(int=0), 0)
_NEVER: Final = Answered(0, None)
_LARGEST: Final = 2**31 - 1


Version = Annotated[int, Path(ge=1, le=_LARGEST)]


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
    higher_is_worse: bool = Field(description="The scale's direction; true for the CES of 2008.")
    good_scores: list[int] | None = Field(
        description="Promoters, low effort, or the top box; null where nobody published which scores of this scale are."
    )
    kind: SurveyKind
    channel: Channel
    sampling: str
    branded: bool
    first_answered_at: datetime
    n: int = Field(description="Answers with a score that came by it, without those of the last moments.")
    last_answered_on: date | None = Field(description="The day (UTC) of the latest of them.")
    same_as: int | None = Field(description="The version that a person says this one is the same question as.")
    revision: int = Field(description="Counts what people say about it; its `ETag`.")


class Joining(BaseModel):
    """Which version a version is the same question as; null parts it from the one it was joined to."""

    model_config = ConfigDict(strict=True, extra="forbid")

    same_as: Annotated[int, Field(ge=1, le=_LARGEST)] | None


@router.get("", summary="All versions of all instruments")
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
        answered = await instruments.answered(tx, (each.instrument_id for each in found))
    items = [_body(each, answered.get((each.instrument_id, each.version), _NEVER)) for each in found[:limit]]
    if len(found) <= limit:
        return Page(items=items)
    last = items[-1]
    return Page(items=items, next_cursor=encode_cursor((last.program, last.touchpoint or "", last.id, last.version)))


@router.get("/{instrument_id}/versions/{version}", summary="One version of an instrument")
async def get_version(
    request: Request,
    response: Response,
    principal: MetricsReader,  # noqa: ARG001 - the rule
    instrument_id: UUID,
    version: Version,
) -> Instrument:
    """Its revision as `ETag`."""
    async with database_of(request).reading() as tx:
        found = await instruments.find(tx, instrument_id, version)
        if found is None:
            raise of_status(404, detail="No such version of an instrument.")
        answered = await instruments.answered(tx, [instrument_id])
    response.headers["ETag"] = etag(found.revision)
    return _body(found, answered.get((instrument_id, version), _NEVER))


@router.put(
    "/{instrument_id}/versions/{version}",
    responses={200: {"model": Instrument}},
    openapi_extra=REPEATABLE,
    summary="Say that a version is the same question as another",
)
async def put_version(
    request: Request,
    principal: RulesWriter,
    instrument_id: UUID,
    version: Version,
    body: Joining,
    seen: IfMatch,
) -> Response:
    """The series no longer breaks between the two: for a corrected typing error, for example.

    Answers keep the version that they came by, so that null takes it back completely. `422` where scores of the two
    are not the same numbers: another metric, kind, scale or direction.
    """

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:  # noqa: ARG001 - nothing to announce
        versions = await instruments.versions_to_join(tx, instrument_id)
        if version not in versions:
            raise of_status(404, detail="No such version of an instrument.")
        if seen not in {None, versions[version].revision}:
            raise changed(versions[version].revision)
        same_as = None
        if body.same_as is not None:
            try:
                same_as = joined(versions, version, body.same_as)
            except CannotJoin as error:
                raise Problem(
                    422,
                    "cannot-join",
                    "The two versions cannot be the same question",
                    errors=[{"pointer": "/same_as", "detail": str(error)}],
                ) from error
        if versions[version].same_as != same_as:
            await instruments.join(tx, instrument_id, version, same_as)
            log.info(
                "instrument.joined",
                instrument_id=str(instrument_id),
                version=version,
                same_as=same_as,
                by=principal.subject,
            )
        after = (await instruments.versions_to_join(tx, instrument_id))[version]
        answered = await instruments.answered(tx, [instrument_id])
        return 200, _body(after, answered.get((instrument_id, version), _NEVER)), {"ETag": etag(after.revision)}

    return await once(database_of(request), request, principal, command)


def _body(found: InstrumentVersion, answered: Answered) -> Instrument:
    asked = found.asked
    return Instrument(
        id=found.instrument_id,
        version=found.version,
        program=found.program,
        touchpoint=found.touchpoint,
        metric=asked.metric,
        question=asked.question,
        scale_min=asked.scale_min,
        scale_max=asked.scale_max,
        higher_is_worse=asked.higher_is_worse,
        good_scores=sorted(good_scores(asked)) if is_known(asked) else None,
        kind=asked.kind,
        channel=asked.channel,
        sampling=asked.sampling,
        branded=asked.branded,
        first_answered_at=found.first_answered_at,
        n=answered.n,
        last_answered_on=answered.last_day,
        same_as=found.same_as,
        revision=found.revision,
    )
