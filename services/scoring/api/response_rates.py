"""`/v1/metrics/response-rates`: how many of those who were asked answered, and how sure that is."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import Query, Request
from pydantic import BaseModel, Field

from libs.events.contracts.responses import Channel
from libs.events.contracts.scores import Tier
from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.strict_json import Router
from services.scoring.api.access import MetricsReader
from services.scoring.api.bodies import Moment
from services.scoring.api.groups import threshold_of
from services.scoring.domain.customers import LONGEST_ID
from services.scoring.domain.invitations import ANSWERED_WITHIN, CONFIDENCE, rate
from services.scoring.domain.privacy import hidden
from services.scoring.store import invitations
from services.scoring.store.invitations import Count, Grouping, Invited

router: Final = Router(prefix="/v1/metrics", tags=["metrics"])

_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_DIGITS: Final = 4


class RateOfGroup(BaseModel):
    """Of one group; where it is hidden, it is so small that numbers would tell about single people."""

    group: str | None = Field(description="By what `by` says; null without `by`.")
    hidden: bool = False
    invited: int | None = None
    bounced: Annotated[int | None, Field(description="They did not reach anybody, and are no part of n.")] = None
    n: Annotated[int | None, Field(description="How many invitations reached somebody.")] = None
    answered: int | None = None
    waiting: Annotated[
        int | None, Field(description="Not answered, and not yet 30 days old: the rate may still rise.")
    ] = None
    rate: Annotated[float | None, Field(description="Of n, from 0 to 1.")] = None
    ci_low: float | None = None
    ci_high: float | None = None


class ResponseRates(BaseModel):
    """The rates by group. Of those who did not answer, nothing is known: their share is one less the rate."""

    confidence: float = Field(description="Of the intervals (Wilson's score interval).")
    answered_within_days: int
    items: list[RateOfGroup]


@router.get("/response-rates", summary="Response rates with their confidence intervals")
async def get(
    request: Request,
    principal: MetricsReader,  # noqa: ARG001 - the rule
    program: Annotated[str | None, Query(max_length=LONGEST_ID)] = None,
    segment: Annotated[Tier | None, Query(description="The customer's tier when they were invited.")] = None,
    channel: Channel | None = None,
    since: Annotated[Moment | None, Query(alias="from", description="Invited at this moment or later.")] = None,
    until: Annotated[Moment | None, Query(alias="to", description="Invited before this moment.")] = None,
    by: Annotated[Grouping | None, Query(description="Months are months of UTC.")] = None,
) -> ResponseRates:
    """Of the invitations that are known. Groups too small to be shown are hidden, and others that would tell them."""
    invited = Invited(since=since or _FIRST, until=until or _LAST, program=program, tier=segment, channel=channel)
    threshold = threshold_of(request)
    async with database_of(request).reading() as tx:
        counts = await invitations.rates(tx, invited, by)
        unshown = await _not_shown(tx, invited, threshold)
    small = set(range(len(counts))) if unshown else hidden([each.invited for each in counts], threshold)
    return ResponseRates(
        confidence=CONFIDENCE,
        answered_within_days=ANSWERED_WITHIN.days,
        items=[
            RateOfGroup(group=each.group, hidden=True) if place in small else _item(each)
            for place, each in enumerate(counts)
        ],
    )


async def _not_shown(tx: Tx, invited: Invited, threshold: int) -> bool:
    """Whether what a filter asks for would be hidden as a group beside those that the filter leaves out."""
    if threshold <= 1:
        return False
    dimensions: tuple[Grouping, ...] = ("program", "tier", "channel")
    for dimension in dimensions:
        asked = getattr(invited, dimension)
        if asked is None:
            continue
        beside = await invitations.rates(tx, _of_any(invited, dimension), dimension)
        too_small = hidden([each.invited for each in beside], threshold)
        if any(beside[place].group == asked for place in too_small):
            return True
    return False


def _of_any(invited: Invited, dimension: Grouping) -> Invited:
    """The same, and those that differ in this dimension alone."""
    return replace(invited, **{dimension: None})  # type: ignore[arg-type]  # one of those that may be None


def _item(count: Count) -> RateOfGroup:
    found = rate(invited=count.invited, bounced=count.bounced, answered=count.answered, waiting=count.waiting)
    return RateOfGroup(
        group=count.group,
        invited=found.invited,
        bounced=found.bounced,
        n=found.reached,
        answered=found.answered,
        waiting=found.waiting,
        rate=_rounded(found.value),
        ci_low=_rounded(found.low),
        ci_high=_rounded(found.high),
    )


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, _DIGITS)
