"""The NPS of many answers with its confidence interval."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Final

CONFIDENCE: Final = 0.95
_Z: Final = 1.959963984540054
"""The standard normal quantile at 1 - (1 - CONFIDENCE) / 2."""


@dataclass(frozen=True, slots=True)
class Nps:
    """The NPS of a group of answers, in points from -100 to 100, with the interval that says how sure it is."""

    n: int
    promoters: int
    passives: int
    detractors: int
    value: float | None
    """None where nobody answered."""
    low: float | None
    high: float | None


def nps(*, promoters: int, passives: int, detractors: int) -> Nps:
    """The share of promoters less the share of detractors, with its adjusted Wald interval at `CONFIDENCE`.

    With N = n + 3, P = (promoters + 3/4) / N and D = (detractors + 3/4) / N, the interval is

        P - D ± z · sqrt((P + D - (P - D)²) / N)

    cut at -100 and 100. It is centred on the adjusted value and not on the NPS itself, so for a handful of equal
    answers the NPS may lie outside: the interval says that so few answers prove little.

    B. Rocks, "Interval Estimation for the 'Net Promoter Score'", The American Statistician 70 (4), 2016, 365-372:
    of the intervals compared there, the one whose coverage holds best in small samples.
    """
    n = promoters + passives + detractors
    if n == 0:
        return Nps(0, 0, 0, 0, None, None, None)
    adjusted_n = n + 3
    p = (promoters + 0.75) / adjusted_n
    d = (detractors + 0.75) / adjusted_n
    margin = _Z * sqrt((p + d - (p - d) ** 2) / adjusted_n)
    return Nps(
        n=n,
        promoters=promoters,
        passives=passives,
        detractors=detractors,
        value=100 * (promoters - detractors) / n,
        low=max(-100.0, 100 * (p - d - margin)),
        high=min(100.0, 100 * (p - d + margin)),
    )
