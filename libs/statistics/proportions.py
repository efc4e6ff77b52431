"""Shares of answers, with how sure they are, and the difference of two."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from libs.statistics.distributions import p_of_z, two_sided_z
from libs.statistics.nps import CONFIDENCE


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `n`, as a part of 1, with its interval; None where there is nobody."""

    n: int
    count: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """The first less the second, with its interval, and the probability of one at least as large where there is none.

    In the unit of what is compared: points of NPS, points of a scale, parts of 1.
    """

    value: float
    low: float
    high: float
    p_value: float


def share(count: int, n: int, *, confidence: float = CONFIDENCE) -> Share:
    """The share with Wilson's interval, which holds what it says for small n and for shares near 0 and 1.

    E. B. Wilson, JASA 22, 1927, 209-212; recommended by L. D. Brown, T. T. Cai, A. DasGupta, "Interval Estimation for
    a Binomial Proportion", Statistical Science 16 (2), 2001, 101-133.
    """
    if n == 0:
        return Share(0, 0, None, None, None)
    z2 = two_sided_z(confidence) ** 2
    p = count / n
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    margin = sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return Share(n, count, p, 0.0 if count == 0 else centre - margin, 1.0 if count == n else centre + margin)


def difference_of_shares(first: Share, second: Share) -> Difference:
    """Between two independent groups; both have answers. The shares bring the confidence of their intervals.

    The interval is Newcombe's hybrid of the two Wilson intervals (R. G. Newcombe, Statistics in Medicine 17, 1998,
    873-890, method 10); the p-value is that of the score test with the pooled share, two-sided.
    """
    if None in {first.value, second.value}:
        raise ValueError("a group that nobody answered in differs from nothing")
    p, p_low, p_high = first.value or 0.0, first.low or 0.0, first.high or 0.0
    q, q_low, q_high = second.value or 0.0, second.low or 0.0, second.high or 0.0
    pooled = (first.count + second.count) / (first.n + second.n)
    error = sqrt(pooled * (1 - pooled) * (1 / first.n + 1 / second.n))
    return Difference(
        value=p - q,
        low=p - q - sqrt((p - p_low) ** 2 + (q_high - q) ** 2),
        high=p - q + sqrt((p_high - p) ** 2 + (q - q_low) ** 2),
        p_value=p_of_z((p - q) / error) if error else 1.0,
    )
