"""The NPS class of one score, and what a vendor claims about a class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from libs.events.contracts.responses import Instrument
    from libs.events.contracts.scores import NpsClass

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
