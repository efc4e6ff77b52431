"""What a benchmark says: a figure with its rounds, the red line and the goal that it is held against."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence


class Better(StrEnum):
    """In which direction a figure improves."""

    HIGHER = "higher"
    LOWER = "lower"


class Verdict(StrEnum):
    """How a figure stands."""

    GOAL = "goal"
    """The goal is reached."""
    BETWEEN = "between"
    """Better than the red line, short of the goal."""
    RED = "red"
    """Worse than the red line."""
    SHOWN = "shown"
    """Nothing was promised; shown for what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured quantity.

    `rounds` holds the quantity as it came out in each round. Where it is a ratio, `floor` and `ours` hold the two
    measurements of each round, in `measured_in`.
    """

    stage: str
    name: str
    unit: str
    """Of the quantity: "× floor", "s", "MB", "%"."""
    rounds: Sequence[float]
    red: float | None = None
    goal: float | None = None
    better: Better = Better.HIGHER
    floor_name: str = ""
    floor: Sequence[float] = ()
    ours: Sequence[float] = ()
    measured_in: str = ""
    notes: dict[str, float | int | str] = field(default_factory=dict)
    detail: dict[str, Any] = field(default_factory=dict)
    """Whole tables and series behind the quantity, as JSON has them."""

    @property
    def value(self) -> float:
        """The median of the rounds."""
        return median(self.rounds)

    @property
    def verdict(self) -> Verdict:
        """How the median stands."""
        if self.goal is None:
            return Verdict.SHOWN
        sign = 1 if self.better is Better.HIGHER else -1
        if sign * self.value >= sign * self.goal:
            return Verdict.GOAL
        if self.red is not None and sign * self.value < sign * self.red:
            return Verdict.RED
        return Verdict.BETWEEN

    def as_json(self) -> dict[str, Any]:
        """Everything, with the median and the verdict."""
        return {**asdict(self), "better": self.better.value, "value": self.value, "verdict": self.verdict.value}


def against_floor(
    stage: str,
    name: str,
    *,
    floor_name: str,
    floor: Sequence[float],
    ours: Sequence[float],
    measured_in: str,
    red: float | None = None,
    goal: float | None = None,
    better: Better = Better.HIGHER,
    notes: dict[str, float | int | str] | None = None,
) -> Figure:
    """The ratio of ours to the floor, round by round: what disturbs the machine in a round disturbs both."""
    return Figure(
        stage=stage,
        name=name,
        unit="× floor",
        rounds=[mine / bare for mine, bare in zip(ours, floor, strict=True)],
        red=red,
        goal=goal,
        better=better,
        floor_name=floor_name,
        floor=floor,
        ours=ours,
        measured_in=measured_in,
        notes=notes or {},
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of `values` do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


MEGABYTE: Final = 1_000_000
