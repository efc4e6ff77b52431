"""The geometry of a number over time: a line in a band, interrupted wherever the question was asked otherwise.

Lengths across are percentages of the picture's width, so that it fits any page; heights are pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final, Literal, assert_never

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.portal.domain.measures import Measure

Step = Literal["day", "week", "month"]
STEPS: Final[tuple[Step, ...]] = ("day", "week", "month")
HEIGHT: Final = 190.0
_TOP: Final = 10.0
_LEFT: Final = 5.0
_RIGHT: Final = 98.0
_MOST_LABELS: Final = 4
_DECEMBER: Final = 12


@dataclass(frozen=True, slots=True)
class Point:
    """One day, week or month of the line."""

    begins: date
    measure: Measure
    x: float
    y: float
    low: float
    high: float
    labelled: bool


@dataclass(frozen=True, slots=True)
class Trend:
    """What is drawn: runs of points that may be joined, and where the question changed."""

    step: Step
    runs: tuple[tuple[Point, ...], ...]
    breaks: tuple[float, ...]
    grid: tuple[tuple[float, float], ...]
    """Values, and how high they stand."""
    hidden: int
    """How many days, weeks or months had too few answers to be shown."""

    @property
    def points(self) -> tuple[Point, ...]:
        """All of them in their order."""
        return tuple(point for run in self.runs for point in run)


def begins(step: Step, written: str) -> date:
    """The first day of what scoring calls 2026-11-22, 2026-W47 or 2026-11."""
    match step:
        case "day":
            return date.fromisoformat(written)
        case "week":
            year, _, week = written.partition("-W")
            return date.fromisocalendar(int(year), int(week), 1)
        case "month":
            return date.fromisoformat(f"{written}-01")
        case _:
            assert_never(step)


def first_of(step: Step, day: date) -> date:
    """The first day of the day, week or month that `day` is in."""
    match step:
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case _:
            assert_never(step)


def trend(step: Step, measures: Sequence[Measure], breaks: Sequence[datetime]) -> Trend | None:
    """The line of one survey kind on one scale, None where there are no two points to join."""
    dated = sorted(((begins(step, each.name or ""), each) for each in measures), key=lambda each: each[0])
    shown = [(day, each) for day, each in dated if each.value is not None]
    if len(shown) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    first, last = _start(shown[0][0]), _start(_next(step, shown[-1][0]))
    lowest = min(_known(each.low, each.least) for _, each in shown)
    highest = max(_known(each.high, each.most) for _, each in shown)
    grid = _grid(shown[0][1], lowest, highest)
    bottom, top = grid[0], grid[-1]

    def across(moment: datetime) -> float:
        return _LEFT + (_RIGHT - _LEFT) * ((moment - first) / (last - first))

    def height(value: float) -> float:
        return _TOP + HEIGHT * (top - value) / (top - bottom)

    labelled = _labelled(len(shown))
    inside = sorted(moment for moment in breaks if first < moment < last)
    runs: list[list[Point]] = []
    stretch = -1
    for place, (day, each) in enumerate(shown):
        begin, end = _start(day), _start(_next(step, day))
        # What the change fell into belongs to the time after it: it is no more what was asked before.
        changes = sum(moment < end for moment in inside)
        if changes != stretch:
            runs.append([])
            stretch = changes
        value = _known(each.value, bottom)
        runs[-1].append(
            Point(
                day,
                each,
                across(begin + (end - begin) / 2),
                height(value),
                height(_known(each.low, value)),
                height(_known(each.high, value)),
                place in labelled,
            )
        )
    return Trend(
        step,
        tuple(map(tuple, runs)),
        tuple(across(moment) for moment in inside),
        tuple((value, height(value)) for value in grid),
        sum(each.hidden for _, each in dated),
    )


def band(run: Sequence[Point]) -> str:
    """The corners of the interval's band, forth along the upper ends and back along the lower."""
    upper = [f"{point.x:.2f},{point.high:.1f}" for point in run]
    lower = [f"{point.x:.2f},{point.low:.1f}" for point in reversed(run)]
    return " ".join(upper + lower)


def line(run: Sequence[Point]) -> str:
    """The corners of the line."""
    return " ".join(f"{point.x:.2f},{point.y:.1f}" for point in run)


def _grid(like: Measure, lowest: float, highest: float) -> list[float]:
    """Round values from below the lowest to above the highest."""
    step = 25.0 if like.metric in ("nps", "share") else max((like.most - like.least) / 6, 0.25)
    bottom = like.least + step * int((max(lowest, like.least) - like.least) / step)
    values = [bottom]
    while values[-1] < min(highest, like.most) - 1e-9:
        values.append(values[-1] + step)
    return values if len(values) > 1 else [bottom, bottom + step]


def _labelled(count: int) -> set[int]:
    """Which points say their day: the first, the last, and some between."""
    spaces = min(count, _MOST_LABELS) - 1
    return {round(place * (count - 1) / spaces) for place in range(spaces + 1)}


def _known(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _start(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _next(step: Step, day: date) -> date:
    match step:
        case "day":
            return day + timedelta(days=1)
        case "week":
            return day + timedelta(days=7)
        case "month":
            return date(day.year + 1, 1, 1) if day.month == _DECEMBER else date(day.year, day.month + 1, 1)
        case _:
            assert_never(step)
