"""`/v1/metrics`: numbers that say on how many answers they rest, how sure they are, and where they break."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import Query, Request
from pydantic import BaseModel, Field

from libs.events.contracts.responses import Metric, SurveyKind
from libs.events.database import Tx
from libs.statistics.means import mean
from libs.statistics.nps import CONFIDENCE, Nps, nps
from libs.statistics.nps_groups import Stratum, weighted
from libs.statistics.proportions import share
from libs.webapi.app import database_of
from libs.webapi.strict_json import Router
from services.scoring.api.access import MetricsReader
from services.scoring.api.filters import Asked
from services.scoring.api.groups import Group, groups, threshold_of
from services.scoring.domain.instruments import breaks
from services.scoring.domain.scales import GOOD_FROM
from services.scoring.store import instruments, tier_totals
from services.scoring.store.metrics import NPS_SCALE, Grouping, Scale, Series
from services.scoring.store.tier_totals import TierTotals

router: Final = Router(prefix="/v1/metrics", tags=["metrics"])

_DIGITS: Final = 2
_DIGITS_OF_SHARES: Final = 4

Kind = Annotated[SurveyKind | None, Query()]
By = Annotated[
    Grouping | None, Query(description="Days, weeks (as in ISO 8601), months and quarters are those of UTC.")
]
Weights = Annotated[
    Literal["customers", "value"] | None,
    Query(
        description="Count each tier's answers for its share of all customers, or of their current value, and not for "
        "how many of it happened to answer."
    ),
]


class NpsOfGroup(BaseModel):
    """The NPS of one group of one survey kind, in points from -100 to 100."""

    kind: SurveyKind
    group: str | None = Field(description="By what `by` says; null without `by`, and for answers that have none.")
    hidden: bool = Field(description="Too few answered for this to be shown, or to keep another group from being told.")
    n: int | None
    promoters: int | None
    passives: int | None
    detractors: int | None
    nps: float | None = Field(description="Null where nobody answered.")
    ci_low: float | None
    ci_high: float | None
    coverage: float | None = Field(
        description="With `weights`: the share of all weight that the tiers have in which somebody answered."
    )


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
    weighted_by: Literal["customers", "value"] | None
    weights_counted_at: datetime | None
    items: list[NpsOfGroup]
    instrument_breaks: list[InstrumentBreak]


class ScoresOfGroup(BaseModel):
    """The scores of one group on one scale of one survey kind. Scales are never mixed."""

    kind: SurveyKind
    scale_min: int
    scale_max: int
    higher_is_worse: bool = Field(description="The way the scale was asked; `mean` and `scores` are turned round.")
    group: str | None = Field(description="By what `by` says; null without `by`, and for answers that have none.")
    hidden: bool = Field(description="Too few answered for this to be shown, or to keep another group from being told.")
    n: int | None
    scores: dict[int, int] | None = Field(description="How many gave which score, as if high were better.")
    mean: float | None = Field(description="Of the scores, as if high were better.")
    ci_low: float | None
    ci_high: float | None
    good: int | None = Field(
        description="Low effort, or satisfied; null for a scale that nobody has published one for."
    )
    good_share: float | None = Field(description="Of all, as a part of 1.")
    good_share_ci_low: float | None
    good_share_ci_high: float | None


class ScoresAnswer(BaseModel):
    """One item per group, survey kind and scale."""

    confidence: float = Field(description="Of the intervals (Student's for means, Wilson's for shares).")
    items: list[ScoresOfGroup]
    instrument_breaks: list[InstrumentBreak]


@router.get("/nps", summary="NPS with its confidence interval")
async def get_nps(
    request: Request,
    principal: MetricsReader,  # noqa: ARG001 - the rule
    asked: Asked,
    kind: Kind = None,
    by: By = None,
    weights: Weights = None,
) -> NpsAnswer:
    """Each response counts once, with its latest revision; a missing score counts nowhere.

    Without `by` there is one item per survey kind that somebody answered, and with `kind` exactly one.
    """
    series = asked.series("nps", kind)
    totals: TierTotals | None = None
    async with database_of(request).reading() as tx:
        found = await groups(tx, series, by, threshold=threshold_of(request), by_tier=weights is not None)
        series_breaks = await _breaks(tx, series)
        if weights is not None:
            totals = await tier_totals.read(tx)
    if kind is not None and by is None and not found:
        found = [Group(kind, NPS_SCALE, None, {None: (0,) * 11}, hidden=False)]
    return NpsAnswer(
        confidence=CONFIDENCE,
        weighted_by=weights,
        weights_counted_at=None if totals is None else totals.counted_at,
        items=[_nps_item(group, weights, totals) for group in found],
        instrument_breaks=series_breaks,
    )


@router.get("/ces", summary="Customer effort with its confidence intervals")
async def get_ces(
    request: Request,
    principal: MetricsReader,  # noqa: ARG001 - the rule
    asked: Asked,
    kind: Kind = None,
    by: By = None,
) -> ScoresAnswer:
    """Scores are turned round where high meant much effort, so that high is always better."""
    return await _scores(request, asked.series("ces", kind), by)


@router.get("/csat", summary="Satisfaction with its confidence intervals")
async def get_csat(
    request: Request,
    principal: MetricsReader,  # noqa: ARG001 - the rule
    asked: Asked,
    kind: Kind = None,
    by: By = None,
) -> ScoresAnswer:
    """One item for each scale in use: a share of the two best of seven is not one of the best of two."""
    return await _scores(request, asked.series("csat", kind), by)


def nps_of(scores: tuple[int, ...]) -> Nps:
    """The NPS of answers counted by score."""
    return nps(promoters=sum(scores[9:]), passives=sum(scores[7:9]), detractors=sum(scores[:7]))


def upright(scale: Scale, scores: tuple[int, ...]) -> dict[int, int]:
    """Answers by score, as if high were better."""
    lowest, highest, higher_is_worse = scale
    return {
        score: scores[lowest + highest - score if higher_is_worse else score]
        for score in range(max(lowest, 0), min(highest, len(scores) - 1) + 1)
    }


def good_from(metric: Metric, scale: Scale) -> int | None:
    """The first score that is a good one where high is better, if one is published for such a scale."""
    return GOOD_FROM[metric].get((scale.lowest, scale.highest))


def rounded(number: float | None, digits: int = _DIGITS) -> float | None:
    """As it is shown."""
    return None if number is None else round(number, digits)


def _nps_item(group: Group, weights: str | None, totals: TierTotals | None) -> NpsOfGroup:
    if group.hidden:
        nothing = dict.fromkeys(
            ("n", "promoters", "passives", "detractors", "nps", "ci_low", "ci_high", "coverage"), None
        )
        return NpsOfGroup(kind=group.kind, group=group.name, hidden=True, **nothing)
    found = nps_of(group.scores)
    value, low, high, coverage = found.value, found.low, found.high, None
    if totals is not None:
        shares = totals.customers if weights == "customers" else totals.value
        strata = [Stratum(weight, nps_of(group.by_tier.get(tier, (0,) * 11))) for tier, weight in shares.items()]
        together = weighted(strata)
        value, low, high, coverage = together.value, together.low, together.high, together.coverage
    return NpsOfGroup(
        kind=group.kind,
        group=group.name,
        hidden=False,
        n=found.n,
        promoters=found.promoters,
        passives=found.passives,
        detractors=found.detractors,
        nps=rounded(value),
        ci_low=rounded(low),
        ci_high=rounded(high),
        coverage=rounded(coverage, _DIGITS_OF_SHARES),
    )


async def _scores(request: Request, series: Series, by: Grouping | None) -> ScoresAnswer:
    async with database_of(request).reading() as tx:
        found = await groups(tx, series, by, threshold=threshold_of(request))
        series_breaks = await _breaks(tx, series)
    items = [_scores_item(series.metric, group) for group in found]
    return ScoresAnswer(confidence=CONFIDENCE, items=items, instrument_breaks=series_breaks)


def _scores_item(metric: Metric, group: Group) -> ScoresOfGroup:
    scale = group.scale
    of_scale = {"scale_min": scale.lowest, "scale_max": scale.highest, "higher_is_worse": scale.higher_is_worse}
    shown: dict[str, object] = dict.fromkeys(_NUMBERS)
    if not group.hidden:
        scores = upright(scale, group.scores)
        found, first_good = mean(scores), good_from(metric, scale)
        shown |= {
            "n": found.n,
            "scores": scores,
            "mean": rounded(found.value),
            "ci_low": rounded(found.low),
            "ci_high": rounded(found.high),
        }
        if first_good is not None:
            good = share(sum(n for score, n in scores.items() if score >= first_good), found.n)
            shown |= {
                "good": good.count,
                "good_share": rounded(good.value, _DIGITS_OF_SHARES),
                "good_share_ci_low": rounded(good.low, _DIGITS_OF_SHARES),
                "good_share_ci_high": rounded(good.high, _DIGITS_OF_SHARES),
            }
    return ScoresOfGroup.model_validate(
        {"kind": group.kind, "group": group.name, "hidden": group.hidden, **of_scale, **shown}
    )


_NUMBERS: Final = (
    "n",
    "scores",
    "mean",
    "ci_low",
    "ci_high",
    "good",
    "good_share",
    "good_share_ci_low",
    "good_share_ci_high",
)


async def _breaks(tx: Tx, series: Series) -> list[InstrumentBreak]:
    versions = await instruments.of_series(
        tx, metric=series.metric, program=series.program, touchpoint=series.touchpoint, kind=series.kind
    )
    return [
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
        if (series.since is None or each.began.first_answered_at >= series.since)
        and (series.until is None or each.began.first_answered_at < series.until)
    ]
