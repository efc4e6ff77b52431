"""The geometry of the NPS pictures: shares of a bar, and an interval on the scale from −100 to 100."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FEW: Final = 30
"""Below so many answers the interval says more than the number; the page says so."""


@dataclass(frozen=True, slots=True)
class Nps:
    """An NPS with what it stands on. `nps`, `low` and `high` are on the scale −100..100; None without answers."""

    n: int
    promoters: int
    passives: int
    detractors: int
    nps: float | None
    low: float | None
    high: float | None

    @property
    def few(self) -> bool:
        """Whether there are so few answers that the reader must be warned."""
        return 0 < self.n < FEW


@dataclass(frozen=True, slots=True)
class Segment:
    """One class in the stacked bar: where it begins and how long it is, in percent of the bar."""

    name: str
    count: int
    start: float
    length: float

    @property
    def middle(self) -> float:
        """Where its label stands."""
        return self.start + self.length / 2


def segments(nps: Nps) -> list[Segment]:
    """The stacked bar, from detractors to promoters; classes without answers are left out."""
    found: list[Segment] = []
    start = 0.0
    for name, count in (("detractors", nps.detractors), ("passives", nps.passives), ("promoters", nps.promoters)):
        if count and nps.n:
            length = 100.0 * count / nps.n
            found.append(Segment(name, count, start, length))
            start += length
    return found


def on_scale(value: float) -> float:
    """Where a value of −100..100 stands, in percent of the scale's length."""
    return (min(max(value, -100.0), 100.0) + 100.0) / 2


def around_zero(value: float, most: float) -> float:
    """Where a value stands on a scale from -`most` to `most`, in percent of its length."""
    return 50.0 + 50.0 * min(max(value / most, -1.0), 1.0)
