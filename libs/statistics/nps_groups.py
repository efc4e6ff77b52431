"""NPS of several groups: the difference of two, and one weighted by what its customers are to the company."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from libs.statistics.distributions import p_of_z, two_sided_z
from libs.statistics.nps import CONFIDENCE
from libs.statistics.proportions import Difference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from libs.statistics.nps import Nps


@dataclass(frozen=True, slots=True)
class Stratum:
    """Customers who are alike, what share of the whole they are, and what those of them who answered say."""

    weight: float
    answered: Nps


@dataclass(frozen=True, slots=True)
class WeightedNps:
    """The NPS as it would be if everybody answered as those who are like them did."""

    n: int
    value: float | None
    low: float | None
    high: float | None
    coverage: float
    """The share of all weight that the strata have in which somebody answered: for the others nobody speaks."""


def difference(first: Nps, second: Nps) -> Difference:
    """Between two independent groups, in points, both with answers.

    With the adjusted counts of each group (3 added to n, 3/4 to promoters and to detractors), the value is the
    difference of the adjusted NPS, its variance is the sum of both groups' (P + D - (P - D)²) / N, and it is compared
    with the normal distribution: J. R. Lewis, J. Sauro, "How to Statistically Compare Two Net Promoter Scores",
    MeasuringU, 2021, after Rocks 2016. The value that is shown is that of the NPS themselves, as for a single one.
    """
    if first.value is None or second.value is None:
        raise ValueError("a group that nobody answered in differs from nothing")
    (centre, variance), (other, others) = _adjusted(first), _adjusted(second)
    error = sqrt(variance + others)
    margin = two_sided_z(CONFIDENCE) * error
    return Difference(
        value=first.value - second.value,
        low=max(-200.0, 100 * (centre - other - margin)),
        high=min(200.0, 100 * (centre - other + margin)),
        p_value=p_of_z((centre - other) / error),
    )


def weighted(strata: Sequence[Stratum]) -> WeightedNps:
    """The post-stratified NPS: the sum of W · NPS over the strata that somebody answered in, W adding up to one.

    Its variance is the sum of W² · variance (W. G. Cochran, Sampling Techniques, 3rd ed., 1977, 5A.9, without the part
    for a random size of strata, which is of the order of 1/n²), each stratum's with the adjusted counts of its own, so
    that with one stratum it is the plain NPS with its plain interval.
    """
    answered = [each for each in strata if each.answered.n and each.weight > 0]
    whole, spoken_for = sum(each.weight for each in strata), sum(each.weight for each in answered)
    if not answered:
        return WeightedNps(0, None, None, None, 0.0)
    value = centre = variance = 0.0
    for each in answered:
        part = each.weight / spoken_for
        of_stratum, its_variance = _adjusted(each.answered)
        value += part * (each.answered.value or 0.0)
        centre += part * of_stratum
        variance += part**2 * its_variance
    margin = two_sided_z(CONFIDENCE) * sqrt(variance)
    return WeightedNps(
        n=sum(each.answered.n for each in answered),
        value=value,
        low=max(-100.0, 100 * (centre - margin)),
        high=min(100.0, 100 * (centre + margin)),
        coverage=spoken_for / whole,
    )


def _adjusted(found: Nps) -> tuple[float, float]:
    n = found.n + 3
    p, d = (found.promoters + 0.75) / n, (found.detractors + 0.75) / n
    return p - d, (p + d - (p - d) ** 2) / n
