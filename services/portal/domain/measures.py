"""Scores with what they stand on, whatever was asked: NPS in points, effort and satisfaction on their own scales."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.portal.domain.plot import FEW, Nps

METRICS: Final = ("nps", "ces", "csat")
DIMENSIONS: Final = ("program", "touchpoint", "segment", "department", "region", "channel")
WEIGHTS: Final = ("customers", "value")


@dataclass(frozen=True, slots=True)
class Measure:
    """The number of one group of answers of one survey kind on one scale; kinds and scales are never added up.

    `value`, `low` and `high` lie between `least` and `most`; None where nobody answered, or where so few did that
    nothing but their being there may be told (`hidden`). `good` is a share of 1 with its interval, where one is known.
    """

    metric: str
    kind: str
    name: str | None
    least: float
    most: float
    hidden: bool = False
    n: int = 0
    value: float | None = None
    low: float | None = None
    high: float | None = None
    classes: Nps | None = None
    good: tuple[float, float, float] | None = None
    coverage: float | None = None

    @property
    def scale(self) -> tuple[str, float, float]:
        """What has to be alike for numbers to be shown in one picture."""
        return self.kind, self.least, self.most

    @property
    def few(self) -> bool:
        """Whether there are so few answers that the reader must be warned."""
        return 0 < self.n < FEW

    def at(self, value: float) -> float:
        """Where a value stands, in percent of the scale's length."""
        return 100 * (min(max(value, self.least), self.most) - self.least) / (self.most - self.least)

    @property
    def ticks(self) -> tuple[float, ...]:
        """What is written below the scale."""
        if self.metric == "nps":
            return (-100, -50, 0, 50, 100)
        return tuple(self.least + step for step in range(int(self.most - self.least) + 1))


@dataclass(frozen=True, slots=True)
class Difference:
    """The first less the second, with its interval and the two-sided p-value."""

    value: float
    low: float
    high: float
    p: float

    @property
    def verdict(self) -> str:
        """What the p-value says, as a word: whether chance alone would often make such a difference."""
        if self.p < _HARDLY:
            return "hardly_chance"
        return "unlikely_chance" if self.p < _UNLIKELY else "may_be_chance"


_HARDLY: Final = 0.01
_UNLIKELY: Final = 0.05
