"""How many answers are needed: for an interval of a wanted width, or to see a difference that matters."""

from __future__ import annotations

from math import ceil

from libs.statistics.distributions import two_sided_z, z_of_power
from libs.statistics.nps import CONFIDENCE

ADDED_TO_NPS = 3
"""Answers that the adjusted Wald interval adds; they need not be given."""
WORST_OF_NPS = 1.0
"""The largest variance of an answer as +1, 0 or -1: half promoters, half detractors."""
WORST_OF_SHARE = 0.25


def variance_of_nps(promoters: float, detractors: float) -> float:
    """Of one answer as +1, 0 or -1, where these are the shares of promoters and detractors, as parts of 1."""
    return promoters + detractors - (promoters - detractors) ** 2


def for_margin(variance: float, margin: float, *, added: int = 0, confidence: float = CONFIDENCE) -> int:
    """Answers for an interval of ± `margin`: z² · variance / margin² - added, rounded up, at least one.

    For a share: W. G. Cochran, Sampling Techniques, 3rd ed., 1977, 4.4. For the NPS, with 3 added: J. R. Lewis,
    J. Sauro, "Sample Size Estimation for NPS Confidence Intervals", MeasuringU, 2021.
    """
    return max(1, _up(two_sided_z(confidence) ** 2 * variance / margin**2 - added))


def for_difference(
    variances: float, difference: float, power: float, *, added: int = 0, confidence: float = CONFIDENCE
) -> int:
    """Answers in each of two groups of one size, to see `difference` with probability `power`.

    (z of the confidence, two-sided, + z of the power)² · variances / difference² - added, where `variances` is the sum
    of both groups' variances of one answer: NIST/SEMATECH e-Handbook, 7.2.2.2; for the NPS J. R. Lewis, J. Sauro,
    "Sample Sizes for Comparing Net Promoter Scores", MeasuringU, 2021.
    """
    z = two_sided_z(confidence) + z_of_power(power)
    return max(1, _up(z**2 * variances / difference**2 - added))


def _up(number: float) -> int:
    # A whole number that is not one in its last bit is not the next one.
    return ceil(round(number, 9))
