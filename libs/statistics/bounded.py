"""The mean of a few answers on a bounded scale, weighted, out of a population that is itself small.

With y the answers on [0, 1], m their weighted mean, n* = (Σw)² / Σw² the effective sample size (L. Kish, "Survey
Sampling", 1965, 11.7), and f the share of the population's weight that answered, n = n* / (1 - f) counts for more the
fewer are left out (W. G. Cochran, "Sampling Techniques", 3rd ed. 1977, 2.6: the finite population correction), and the
interval is Wilson's,

    (m + z²/2n ± z · sqrt(m(1 - m)/n + z²/4n²)) / (1 + z²/n)

(E. B. Wilson, Journal of the American Statistical Association 22, 1927, 209-212). It takes m(1 - m) for the variance,
which no variable on [0, 1] with that mean exceeds (R. Bhatia and C. Davis, American Mathematical Monthly 107, 2000,
353-357): so it is never too narrow for the spread of the answers, needs no estimate of that spread from two or three of
them, and stands on the scale. Where all answered, nothing is left to be unsure of, and it is the mean itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from libs.statistics.distributions import two_sided_z
from libs.statistics.nps import CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class BoundedMean:
    """A mean of `n` answers between `least` and `most` of their scale, with its interval."""

    n: int
    value: float
    low: float
    high: float


def bounded_mean(
    answers: Sequence[tuple[float, float]],
    *,
    least: float,
    most: float,
    population_weight: float,
    confidence: float = CONFIDENCE,
) -> BoundedMean | None:
    """The mean of answers given as (weight, value), None where none has a weight.

    `population_weight` is the weight of all who could have answered; less than that of the answers is taken for it.
    """
    weights = [weight for weight, _ in answers]
    total = sum(weights)
    if not total:
        return None
    value = sum(weight * each for weight, each in answers) / total
    left_out = max(0.0, 1 - total / population_weight) if population_weight > 0 else 0.0
    n = sum(weight > 0 for weight in weights)
    if not left_out:
        return BoundedMean(n, value, value, value)
    effective = total * total / sum(weight * weight for weight in weights) / left_out
    z = two_sided_z(confidence)
    m = (value - least) / (most - least)
    middle = m + z * z / (2 * effective)
    # Rounding may leave the mean of equal answers a hair outside of the scale.
    margin = z * sqrt(max(m * (1 - m), 0.0) / effective + z * z / (4 * effective * effective))
    scale = 1 + z * z / effective
    low, high = (least + (most - least) * (middle + side) / scale for side in (-margin, margin))
    return BoundedMean(n, value, min(max(low, least), value), max(min(high, most), value))
