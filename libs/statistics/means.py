"""Means of answers on a scale, with how sure they are, and the difference of two."""

from __future__ import annotations

from dataclasses import dataclass
from math import copysign, inf, sqrt
from typing import TYPE_CHECKING

from libs.statistics.distributions import p_of_t, two_sided_t
from libs.statistics.nps import CONFIDENCE
from libs.statistics.proportions import Difference

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of n answers, with its interval: None where there are none, the interval None where there is one."""

    n: int
    value: float | None
    deviation: float | None
    """The sample's standard deviation, over n - 1."""
    low: float | None
    high: float | None


def mean(n_of_score: Mapping[int, int], *, confidence: float = CONFIDENCE) -> Mean:
    """Of answers counted by score: the mean ± t(n - 1) · s / √n (NIST/SEMATECH e-Handbook, 1.3.5.2).

    Scores are few whole numbers and not normal; from some 30 answers on the interval holds all the same. Where all
    answered the same, it has no width, which says that we know of no other answer and not that there is none.
    """
    n = sum(n_of_score.values())
    if n == 0:
        return Mean(0, None, None, None, None)
    value = sum(score * count for score, count in n_of_score.items()) / n
    if n == 1:
        return Mean(1, value, None, None, None)
    squares = sum(count * (score - value) ** 2 for score, count in n_of_score.items())
    return of_sample(n, value, sqrt(squares / (n - 1)), confidence=confidence)


def of_sample(n: int, value: float, deviation: float, *, confidence: float = CONFIDENCE) -> Mean:
    """The mean of at least two answers whose mean and standard deviation are known."""
    margin = two_sided_t(confidence, n - 1) * deviation / sqrt(n)
    return Mean(n, value, deviation, value - margin, value + margin)


def difference_of_means(first: Mean, second: Mean, *, confidence: float = CONFIDENCE) -> Difference | None:
    """Welch's, between two independent groups; None where one has fewer than two answers, or neither varies.

    B. L. Welch, Biometrika 34, 1947, 28-35; NIST/SEMATECH e-Handbook, 1.3.5.3 (unequal variances).
    """
    if first.value is None or second.value is None or first.deviation is None or second.deviation is None:
        return None
    of_first, of_second = first.deviation**2 / first.n, second.deviation**2 / second.n
    error = sqrt(of_first + of_second)
    value = first.value - second.value
    if error == 0:
        return None if value == 0 else Difference(value, value, value, p_of_t(copysign(inf, value), 1))
    freedom = (of_first + of_second) ** 2 / (of_first**2 / (first.n - 1) + of_second**2 / (second.n - 1))
    margin = two_sided_t(confidence, freedom) * error
    return Difference(value, value - margin, value + margin, p_of_t(value / error, freedom))
