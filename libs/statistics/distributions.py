"""The normal distribution and Student's, as far as intervals and tests need them."""

from __future__ import annotations

from math import erfc, exp, inf, lgamma, log, log1p, sqrt
from statistics import NormalDist
from typing import Final

_NORMAL: Final = NormalDist()
_TINY: Final = 1e-300
_EXACT: Final = 1e-15
_TERMS: Final = 10_000
_ALMOST_NORMAL: Final = 1e7
"""Degrees of freedom from which Student's distribution is the normal one to more digits than anybody is shown."""


def two_sided_z(confidence: float) -> float:
    """The z between whose two signs a standard normal variable lies with this probability."""
    return _NORMAL.inv_cdf((1 + confidence) / 2)


def z_of_power(power: float) -> float:
    """The standard normal quantile at `power`."""
    return _NORMAL.inv_cdf(power)


def p_of_z(z: float) -> float:
    """The probability that a standard normal variable is at least as far from zero as `z`, to either side."""
    return erfc(abs(z) / sqrt(2))


def p_of_t(t: float, freedom: float) -> float:
    """The same for Student's distribution: I_x(v/2, 1/2) at x = v / (v + t²) (NIST DLMF 8.17.i, 8.17.ii)."""
    if t in {inf, -inf}:
        return 0.0
    if freedom >= _ALMOST_NORMAL:
        return p_of_z(t)
    return _incomplete_beta(freedom / (freedom + t * t), freedom / 2, 0.5)


def two_sided_t(confidence: float, freedom: float) -> float:
    """The t between whose two signs a variable of Student's distribution lies with this probability."""
    if freedom >= _ALMOST_NORMAL:
        return two_sided_z(confidence)
    low, high = 0.0, 1.0
    while p_of_t(high, freedom) > 1 - confidence:
        low, high = high, 2 * high
    while high - low > _EXACT * high:
        middle = (low + high) / 2
        if middle in {low, high}:
            break
        if p_of_t(middle, freedom) > 1 - confidence:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularized incomplete beta function by its continued fraction (NIST DLMF 8.17.22), Lentz's way."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(1 - x, b, a)  # there the fraction converges faster
    front = exp(a * log(x) + b * log1p(-x) + lgamma(a + b) - lgamma(a) - lgamma(b)) / a
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, _TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        step = 1.0
        for term in (even, odd):
            d = 1 / _not_zero(1 + term * d)
            c = _not_zero(1 + term / c)
            step = c * d
            fraction *= step
        if abs(step - 1) < _EXACT:
            return front * fraction
    raise ArithmeticError(f"no convergence at {x}, {a}, {b}")


def _not_zero(number: float) -> float:
    return number if abs(number) > _TINY else _TINY
