"""The NPS class of one score, the NPS of many with its confidence interval, and what a vendor claims about a class."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from libs.events.contracts.responses import Instrument
    from libs.events.contracts.scores import NpsClass

CONFIDENCE: Final = 0.95
_Z: Final = 1.959963984540054
"""The standard normal quantile at 1 - (1 - CONFIDENCE) / 2."""
_SCALE: Final = (0, 10)
_PROMOTER_FROM: Final = 9
_PASSIVE_FROM: Final = 7

_CLAIMS: Final[dict[str, NpsClass]] = {
    "promoter": "promoter",
    "promoters": "promoter",
    "passive": "passive",
    "passives": "passive",
    "neutral": "passive",
    "neutrals": "passive",
    "detractor": "detractor",
    "detractors": "detractor",
}
"""The words in which vendors name the three classes."""


def nps_class(instrument: Instrument, score: int | None) -> NpsClass | None:
    """Promoter 9-10, passive 7-8, detractor 0-6.

    None for a missing score (it is never passive), for another metric, and for a scale other than 0-10 with the best
    at 10: an answer on a scale of five has no NPS class, whatever the survey calls it.
    """
    if score is None or instrument.metric != "nps" or (instrument.scale_min, instrument.scale_max) != _SCALE:
        return None
    if instrument.higher_is_worse:
        return None
    if score >= _PROMOTER_FROM:
        return "promoter"
    return "passive" if score >= _PASSIVE_FROM else "detractor"


def contradicts(claimed: str | None, instrument: Instrument, computed: NpsClass | None) -> bool:
    """Whether the class that a vendor claims for an NPS answer is not the one computed.

    A claim in words that we do not know contradicts too: somebody should look at it. Other metrics have classes of
    their own, which say nothing about ours.
    """
    if claimed is None or not claimed.strip() or instrument.metric != "nps":
        return False
    return _CLAIMS.get(claimed.strip().casefold()) != computed


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
