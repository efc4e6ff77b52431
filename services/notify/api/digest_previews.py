"""`/v1/digest-previews`: what the digest of the present week or month would say, were it made now."""

from typing import Annotated, Final, Literal

from fastapi import Query, Request

from libs.webapi.app import database_of
from libs.webapi.auth import Principal, requires
from libs.webapi.problem import Problem, of_status
from libs.webapi.strict_json import Router
from services.notify.api.digests import DigestShown, InLanguage, shown
from services.notify.digest_reports import Reports, ReportsAwayError
from services.notify.domain.digests import Digest, Kind, present_period
from services.notify.store import digests
from services.notify.texts import zone

router: Final = Router(prefix="/v1/digest-previews", tags=["digests"])

# It asks for all that a digest says, and says what nobody has looked at yet.
Leader = Annotated[Principal, requires("messages:read", roles={"manager", "executive", "administrator"})]


@router.get("/{kind}", summary="What the next digest would say")
async def preview(
    request: Request,
    principal: Leader,  # noqa: ARG001 - the rule
    kind: Kind,
    language: InLanguage = "ru",
    reader: Annotated[Literal["lead", "everybody"], Query(description="Who would read it.")] = "lead",
) -> DigestShown:
    """Asked anew of those who know it, and not kept; `frozen_at` is now.

    409 where there are no digests, 503 where somebody has no answer.
    """
    reports: Reports | None = request.app.state.reports
    if reports is None:
        raise Problem(
            409,
            "no-digests",
            "There are no digests here",
            detail="notify has no keys to those who know what a digest says.",
        )
    company = request.app.state.letters.time_zone
    where = zone(company, company)
    database = database_of(request)
    now = database.clock()
    period = present_period(kind, now, where)
    try:
        content, quotes = await reports.of(period, where)
    except ReportsAwayError as error:
        raise of_status(503, headers={"Retry-After": "5"}) from error
    # A transaction that may write, because the profiles of those who are quoted are locked against an erasure.
    async with database.transaction() as tx:
        kept = await digests.masked_quotes(tx, quotes)
    digest = Digest(
        id=period.id,
        period=period,
        zone=company,
        content=content,
        quotes=tuple(kept),
        frozen_at=now,
        told_at=None,
    )
    return shown(digest, language, is_lead=reader == "lead")
