"""`/v1/metrics`: numbers that say on how many answers they rest, how sure they are, and where they break."""

from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import Query, Request
from pydantic import AwareDatetime, BaseModel, Field

from libs.events.contracts.responses import SurveyKind
from libs.events.contracts.scores import Tier
from libs.webapi.strict_json import Router
from services.scoring.api.access import MetricsReader, database_of
from services.scoring.domain.customers import LONGEST_ID
from services.scoring.domain.instruments import breaks
from services.scoring.domain.nps import CONFIDENCE, nps
from services.scoring.store import instruments, metrics
from services.scoring.store.metrics import NPS_SCALE, Count, Grouping, Series

router: Final = Router(prefix="/v1/metrics", tags=["metrics"])

_DIGITS: Final = 2
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2200, 1, 1, tzinfo=UTC)

Name = Annotated[str | None, Query(max_length=LONGEST_ID)]
Moment = Annotated[AwareDatetime, Field(ge=_FIRST, le=_LAST)]


class NpsOfGroup(BaseModel):
    """The NPS of one group of one survey kind, in points from -100 to 100."""

    kind: SurveyKind
    group: str | None = Field(description="By what `by` says; null without `by`, and for answers without a touchpoint.")
    n: int
    promoters: int
    passives: int
    detractors: int
    nps: float | None = Field(description="Null where nobody answered.")
    ci_low: float | None
    ci_high: float | None


class InstrumentBreak(BaseModel):
    """From here on the question was asked otherwise: the numbers before and after cannot simply be compared."""

    at: datetime
    kind: SurveyKind
    program: str
    touchpoint: str | None
    instrument_id: UUID
    version: int
    changed: list[str]


class NpsAnswer(BaseModel):
    """One item per group and survey kind: relationship and transactional surveys are never mixed."""

    confidence: float = Field(description="Of the intervals (adjusted Wald).")
    items: list[NpsOfGroup]
    instrument_breaks: list[InstrumentBreak]


@router.get("/nps", summary="NPS with its confidence interval")
async def get_nps(
    request: Request,
    principal: MetricsReader,  # noqa: ARG001 - the rule
    program: Name = None,
    touchpoint: Name = None,
    segment: Tier | None = None,
    kind: SurveyKind | None = None,
    since: Annotated[Moment | None, Query(alias="from", description="Answered at this moment or later.")] = None,
    until: Annotated[Moment | None, Query(alias="to", description="Answered before this moment.")] = None,
    by: Annotated[Grouping | None, Query(description="Days are days of UTC.")] = None,
) -> NpsAnswer:
    """Each response counts once, with its latest revision; a missing score counts nowhere.

    Without `by` there is one item per survey kind that somebody answered, and with `kind` exactly one.
    """
    series = Series(
        metric="nps", program=program, touchpoint=touchpoint, segment=segment, kind=kind, since=since, until=until
    )
    async with database_of(request).reading() as tx:
        counts = await metrics.count(tx, series, by)
        versions = await instruments.of_series(tx, metric="nps", program=program, touchpoint=touchpoint, kind=kind)
    if kind is not None and by is None and not counts:
        counts = [Count(kind, NPS_SCALE, None, None, (0,) * 11)]
    return NpsAnswer(
        confidence=CONFIDENCE,
        items=[_item(count) for count in counts],
        instrument_breaks=[
            InstrumentBreak(
                at=each.began.first_answered_at,
                kind=each.began.asked.kind,
                program=each.began.program,
                touchpoint=each.began.touchpoint,
                instrument_id=each.began.instrument_id,
                version=each.began.version,
                changed=list(each.changed),
            )
            for each in breaks(versions)
            if (since is None or each.began.first_answered_at >= since)
            and (until is None or each.began.first_answered_at < until)
        ],
    )


def _item(count: Count) -> NpsOfGroup:
    found = nps(promoters=sum(count.scores[9:]), passives=sum(count.scores[7:9]), detractors=sum(count.scores[:7]))
    return NpsOfGroup(
        kind=count.kind,
        group=count.group,
        n=found.n,
        promoters=found.promoters,
        passives=found.passives,
        detractors=found.detractors,
        nps=_rounded(found.value),
        ci_low=_rounded(found.low),
        ci_high=_rounded(found.high),
    )


def _rounded(points: float | None) -> float | None:
    return None if points is None else round(points, _DIGITS)
