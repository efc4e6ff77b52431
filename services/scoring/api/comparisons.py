"""`/v1/metrics/compare` and `/v1/metrics/sample-size`: whether two numbers differ, and how many answers it takes."""

from typing import Annotated, Final

from fastapi import Query, Request
from pydantic import BaseModel, Field

from libs.events.contracts.responses import Metric, SurveyKind
from libs.statistics import nps_groups
from libs.statistics.means import difference_of_means, mean
from libs.statistics.nps import CONFIDENCE
from libs.statistics.proportions import Difference, difference_of_shares, share
from libs.webapi.app import database_of
from libs.webapi.problem import Problem
from libs.webapi.strict_json import Router
from services.scoring.api.access import MetricsReader
from services.scoring.api.filters import AskedFirst, AskedSecond
from services.scoring.api.groups import Group, groups, threshold_of
from services.scoring.api.metrics import good_from, nps_of, rounded, upright
from services.scoring.domain import sample_sizes

router: Final = Router(prefix="/v1/metrics", tags=["metrics"])

_SMALLEST: Final = 0.01
"""Of what is asked for, in points: less takes more answers than there are people, and its square is none."""
_DIGITS: Final = 4
_PERCENT: Final = 100


class DifferenceOfTwo(BaseModel):
    """The first less the second, with its interval and the p-value, two-sided."""

    value: float
    ci_low: float
    ci_high: float
    p_value: float


class Comparison(BaseModel):
    """What differs between two groups of answers that have no answer in common."""

    metric: Metric
    kind: SurveyKind
    confidence: float
    hidden: bool = Field(description="One of the groups is too small to be shown.")
    n_a: int | None
    n_b: int | None
    a: float | None = Field(description="NPS in points; of other metrics the mean, as if high were better.")
    b: float | None
    difference: DifferenceOfTwo | None = Field(description="Null where too few answered for one to be told.")
    good_share_a: float | None = Field(description="Of CES and CSAT: low effort, or satisfied, as a part of 1.")
    good_share_b: float | None
    good_share_difference: DifferenceOfTwo | None
    method: str


class SampleSize(BaseModel):
    """How many answers are needed."""

    confidence: float
    n: int = Field(description="Answers; where two groups are to be compared, in each of them.")
    of_two_groups: bool


_METHODS: Final = {
    "nps": "adjusted Wald of two (Lewis and Sauro 2021, after Rocks 2016)",
    "ces": "Welch's t for means; Newcombe's interval and the score test for shares",
    "csat": "Welch's t for means; Newcombe's interval and the score test for shares",
}


@router.get("/compare", summary="The difference of two groups, with its interval and p-value")
async def compare(
    request: Request,
    principal: MetricsReader,  # noqa: ARG001 - the rule
    a: AskedFirst,
    b: AskedSecond,
    kind: SurveyKind,
    metric: Metric = "nps",
) -> Comparison:
    """The groups are asked for with `a_…` and `b_…`; they have to differ in a filter, or in their periods."""
    if a.overlaps(b):
        raise Problem(
            422,
            "overlapping-groups",
            "The two groups may have answers in common",
            detail="An answer in both would count on both sides. Let them differ in one filter, or in their periods.",
        )
    async with database_of(request).reading() as tx:
        first = await groups(tx, a.series(metric, kind), None, threshold=threshold_of(request))
        second = await groups(tx, b.series(metric, kind), None, threshold=threshold_of(request))
    if len(first) > 1 or len(second) > 1 or (first and second and first[0].scale != second[0].scale):
        raise Problem(
            422,
            "different-scales",
            "The two groups were not asked on one scale",
            detail="Their scores are different numbers. Choose groups that were asked on the same scale.",
        )
    return _comparison(metric, kind, first[0] if first else None, second[0] if second else None)


@router.get("/sample-size", summary="How many answers are needed")
async def sample_size(
    principal: MetricsReader,  # noqa: ARG001 - the rule
    metric: Metric = "nps",
    margin: Annotated[
        float | None, Query(ge=_SMALLEST, le=100, description="Half of the interval's width, in points or percent.")
    ] = None,
    difference: Annotated[
        float | None, Query(ge=_SMALLEST, le=200, description="To be seen between two groups, in points or percent.")
    ] = None,
    power: Annotated[float, Query(ge=0.5, le=0.999, description="The probability to see the difference.")] = 0.8,
    promoters: Annotated[float | None, Query(ge=0, le=100, description="Percent expected; with `detractors`.")] = None,
    detractors: Annotated[float | None, Query(ge=0, le=100)] = None,
    good: Annotated[float | None, Query(ge=0, le=100, description="Percent expected, of CES and CSAT.")] = None,
) -> SampleSize:
    """For the NPS, or for the share of good scores of another metric; without expectations, for the worst case.

    Either `margin` or `difference`. With a difference, the answer is for each of two groups.
    """
    if (margin is None) == (difference is None):
        raise Problem(422, "margin-or-difference", "Say either a margin or a difference")
    variance, added = sample_sizes.WORST_OF_SHARE, 0
    if metric == "nps":
        variance, added = sample_sizes.WORST_OF_NPS, sample_sizes.ADDED_TO_NPS
        if (promoters is None) != (detractors is None) or (promoters or 0) + (detractors or 0) > _PERCENT:
            raise Problem(422, "shares", "Promoters and detractors go together, and are 100 percent at most")
        if promoters is not None and detractors is not None:
            variance = sample_sizes.variance_of_nps(promoters / _PERCENT, detractors / _PERCENT)
    elif good is not None:
        variance = good / _PERCENT * (1 - good / _PERCENT)
    if margin is not None:
        n = sample_sizes.for_margin(variance, margin / _PERCENT, added=added)
        return SampleSize(confidence=CONFIDENCE, n=n, of_two_groups=False)
    n = sample_sizes.for_difference(2 * variance, (difference or 0) / _PERCENT, power, added=added)
    return SampleSize(confidence=CONFIDENCE, n=n, of_two_groups=True)


def _comparison(metric: Metric, kind: SurveyKind, a: Group | None, b: Group | None) -> Comparison:
    found: dict[str, object] = dict.fromkeys(_NUMBERS)
    hidden = (a is not None and a.hidden) or (b is not None and b.hidden)
    if not hidden:
        found |= {"n_a": 0 if a is None else a.n, "n_b": 0 if b is None else b.n}
        if a is not None and b is not None:
            found |= _of_nps(a, b) if metric == "nps" else _of_scores(metric, a, b)
    return Comparison.model_validate(
        {
            "metric": metric,
            "kind": kind,
            "confidence": CONFIDENCE,
            "hidden": hidden,
            "method": _METHODS[metric],
            **found,
        }
    )


_NUMBERS: Final = (
    "n_a",
    "n_b",
    "a",
    "b",
    "difference",
    "good_share_a",
    "good_share_b",
    "good_share_difference",
)


def _of_nps(a: Group, b: Group) -> dict[str, object]:
    first, second = nps_of(a.scores), nps_of(b.scores)
    return {
        "a": rounded(first.value),
        "b": rounded(second.value),
        "difference": _body(nps_groups.difference(first, second)),
    }


def _of_scores(metric: Metric, a: Group, b: Group) -> dict[str, object]:
    scores_a, scores_b = upright(a.scale, a.scores), upright(b.scale, b.scores)
    first, second = mean(scores_a), mean(scores_b)
    differ = difference_of_means(first, second)
    found: dict[str, object] = {
        "a": rounded(first.value),
        "b": rounded(second.value),
        "difference": None if differ is None else _body(differ),
    }
    first_good = good_from(metric, a.scale)
    if first_good is not None:
        good_a, good_b = (
            share(sum(n for score, n in scores.items() if score >= first_good), sum(scores.values()))
            for scores in (scores_a, scores_b)
        )
        found |= {
            "good_share_a": rounded(good_a.value, _DIGITS),
            "good_share_b": rounded(good_b.value, _DIGITS),
            "good_share_difference": _body(difference_of_shares(good_a, good_b)),
        }
    return found


def _body(found: Difference) -> DifferenceOfTwo:
    value, low, high, p_value = (
        round(number, _DIGITS) for number in (found.value, found.low, found.high, found.p_value)
    )
    return DifferenceOfTwo(value=value, ci_low=low, ci_high=high, p_value=p_value)
