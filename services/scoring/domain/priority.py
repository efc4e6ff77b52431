"""Whom to call first: a number from 0 to 100 for each detractor, with the parts that it is the sum of.

    factor    at most  points
    tier      30       key 30, high 20, standard 10, low 0
    score     20       0 → 20, 1 → 17, 2 → 13, 3 → 10, 4 → 7, 5 → 3, 6 → 0
    urgency   20       safety 20, legal 16, a threat to leave 14: the gravest counts, for one of them is enough to call
    effort    10       the customer's latest answer to a CES: 10 for the most effort that its scale can tell of
    history   10       earlier answers as a detractor in the 180 days before: one 6, two 8, three or more 10
    age       10       1 for each 4.8 hours that have passed since the answer, up to the 48 of the first-contact clock

Each factor alone can only raise the sum. What is not known (no effort, no history) adds nothing. A part of no points
is left out. The weights are a decision and no finding (docs/scoring.md): value and the answer itself decide first,
danger may outweigh either, and the rest tells equals apart. Whoever is equal in the end is called in the order of the
deadlines. The age is that at scoring: as time goes on the deadline takes its place, and is the first thing that work
is sorted by.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from libs.events.contracts.scores import PriorityFactor, PriorityPart, Tier, UrgentSignal

if TYPE_CHECKING:
    from collections.abc import Mapping

OF_TIER: Final[Mapping[Tier, int]] = {"key": 30, "high": 20, "standard": 10, "low": 0}
OF_SIGNAL: Final[Mapping[UrgentSignal, int]] = {"safety": 20, "legal": 16, "leaving": 14}
OF_HISTORY: Final = (0, 6, 8, 10)
"""By the number of earlier answers as a detractor; more count as the last."""
MOST_BY_SCORE: Final = 20
MOST_BY_EFFORT: Final = 10
MOST_BY_AGE: Final = 10
BEST_OF_DETRACTORS: Final = 6
"""The best score that a detractor gives."""
FIRST_CONTACT_HOURS: Final = 48
HISTORY_DAYS: Final = 180
_HOURS_TOLD: Final = 9999


class Detraction(NamedTuple):
    """What is known of a detractor's answer."""

    tier: Tier
    score: int
    urgent: tuple[UrgentSignal, ...] = ()
    effort: int | None = None
    """The latest effort, in percent of the most that its scale can tell of; None where the customer never said."""
    earlier: int = 0
    """Answers of the same customer as a detractor in the `HISTORY_DAYS` before."""
    hours: int = 0
    """Since the answer; less than none for a clock that is ahead."""


class Priority(NamedTuple):
    """The sum, and its parts: the points of the parts add up to it."""

    points: int
    parts: tuple[PriorityPart, ...]


# Most answers are like one that was there before: fresh, and of somebody who never complained.
@lru_cache(maxsize=16_384)
def prioritized(known: Detraction) -> Priority:
    """The priority of a detractor's answer."""
    gravest = max(known.urgent, key=lambda signal: OF_SIGNAL[signal], default=None)
    hours = min(max(known.hours, 0), _HOURS_TOLD)
    effort = known.effort or 0
    found: tuple[tuple[PriorityFactor, int, str], ...] = (
        ("tier", OF_TIER[known.tier], known.tier),
        ("score", round(MOST_BY_SCORE * (BEST_OF_DETRACTORS - known.score) / BEST_OF_DETRACTORS), str(known.score)),
        ("urgency", 0 if gravest is None else OF_SIGNAL[gravest], gravest or ""),
        ("effort", MOST_BY_EFFORT * effort // 100, str(effort)),
        ("history", OF_HISTORY[min(known.earlier, len(OF_HISTORY) - 1)], str(known.earlier)),
        ("age", min(MOST_BY_AGE * hours // FIRST_CONTACT_HOURS, MOST_BY_AGE), str(hours)),
    )
    parts = tuple(PriorityPart(factor=factor, points=points, fact=fact) for factor, points, fact in found if points > 0)
    return Priority(sum(part.points for part in parts), parts)
