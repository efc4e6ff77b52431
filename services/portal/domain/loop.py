"""The health of the loop as pages show it: which shares, by which groups, over which days."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from services.portal.domain.measures import Measure
from services.portal.domain.period import Period
from services.portal.domain.trend import Step, Trend, trend

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.portal.clients.loop import Health, Portion

SHARES: Final = ("contacted_within_48_hours", "confirmed", "unconfirmed", "reopened", "escalated")
WANTED: Final = frozenset({"contacted_within_48_hours", "confirmed"})
"""Shares of which more is better."""
GROUPINGS: Final = ("team", "department", "tier", "program", "touchpoint")
PERIODS: Final = (Period.WEEK, Period.MONTH, Period.QUARTER, Period.YEAR)
STEP_OF: Final[Mapping[Period, Step]] = {
    Period.WEEK: "day",
    Period.MONTH: "day",
    Period.QUARTER: "week",
    Period.YEAR: "month",
}


def over_time(step: Step, share: str, groups: Sequence[Health]) -> Trend | None:
    """One share by days, weeks or months; None where there are no two points to join."""
    points = [_measure(step, each.group, each.portion(share)) for each in groups if each.group is not None]
    return trend(step, points, ())


def _measure(step: Step, group: str, found: Portion) -> Measure:
    name = f"{date.fromisoformat(group):%G-W%V}" if step == "week" else group
    if found.value is None:
        return Measure("share", "", name, 0.0, 100.0)
    return Measure(
        "share",
        "",
        name,
        0.0,
        100.0,
        n=found.n,
        value=100 * found.value,
        low=None if found.low is None else 100 * found.low,
        high=None if found.high is None else 100 * found.high,
    )
