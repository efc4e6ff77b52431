"""What a score means on its scale: which scales there are, which way they run, and which scores are good ones.

    metric  scale                question                                             good scores
    NPS     0-10                 how likely to recommend                              promoters, 9-10 (see nps.py)
    CES     1-7, high is better  "made it easy for me to handle my issue" (CES 2.0)   low effort: 5-7
    CES     1-5, high is better  the same, on a short scale                           low effort: 4-5
    CES     1-5, high is worse   "how much effort did you personally have to put      low effort: 1-2
                                 forth to handle your request?" (2008)
    CSAT    1-7                  how satisfied                                        top two: 6-7
    CSAT    1-5                                                                       top two: 4-5
    CSAT    1-3, 1-2, 0-1                                                             the top one

Wherever high is worse, a score is mirrored before it is judged. Sources:

- CES of 2008: M. Dixon, K. Freeman, N. Toman, "Stop Trying to Delight Your Customers", Harvard Business Review 88
  (7/8), 2010, 116-122: 1 is very low effort, 5 is very high effort.
- CES 2.0: M. Dixon, N. Toman, R. DeLisi, The Effortless Experience, Portfolio, 2013: from 1, strongly disagree, to 7,
  strongly agree; whoever agrees at least somewhat (5, 6, 7) had an easy time.
- The share of the two best of five: N. A. Morgan, L. L. Rego, "The Value of Different Customer Satisfaction and Loyalty
  Metrics in Predicting Business Performance", Marketing Science 25 (5), 2006, 426-439 ("top 2 box").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from libs.events.contracts.responses import Instrument, Metric

GOOD_FROM: Final[Mapping[Metric, Mapping[tuple[int, int], int]]] = {
    "nps": {(0, 10): 9},
    "ces": {(1, 7): 5, (1, 5): 4},
    "csat": {(1, 7): 6, (1, 5): 4, (1, 3): 3, (1, 2): 2, (0, 1): 1},
}
"""By metric and scale, the first score that is a good one where high is better."""


def is_known(instrument: Instrument) -> bool:
    """Whether it is published which scores of this scale are good ones. Of another scale there is only a mean."""
    known = GOOD_FROM[instrument.metric]
    return (instrument.scale_min, instrument.scale_max) in known and not (
        instrument.metric == "nps" and instrument.higher_is_worse
    )


def upright(instrument: Instrument, score: int) -> int:
    """`score` as if high were better: mirrored where it is worse."""
    return instrument.scale_min + instrument.scale_max - score if instrument.higher_is_worse else score


def is_good(instrument: Instrument, score: int) -> bool:
    """Whether `score` is in the top box, or says low effort; `instrument` has to be a known one."""
    return upright(instrument, score) >= GOOD_FROM[instrument.metric][instrument.scale_min, instrument.scale_max]


def good_scores(instrument: Instrument) -> frozenset[int]:
    """The scores of a known scale that are good ones, as they are given."""
    scale = range(instrument.scale_min, instrument.scale_max + 1)
    return frozenset(score for score in scale if is_good(instrument, score))


def effort(score: int, *, lowest: int, highest: int, higher_is_worse: bool) -> float:
    """How much effort an answer to a CES tells of, from 0 (none) to 1 (the most that its scale can say)."""
    return (score - lowest if higher_is_worse else highest - score) / (highest - lowest)
