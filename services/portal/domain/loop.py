"""The health of the loop as pages show it: which shares, by which groups, over which days."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from services.portal.domain.measures import Measure
from services.portal.domain.period import Period

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.domain.trend import Step

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


def share_of(step: Step, group: str, *, n: int, value: float | None, low: float | None, high: float | None) -> Measure:
    """A share of one day, week or month; `value`, `low` and `high` are parts of 1."""
    name = f"{date.fromisoformat(group):%G-W%V}" if step == "week" else group
    return Measure(
        "share",
        "",
        name,
        0.0,
        100.0,
        n=n,
        value=None if value is None else 100 * value,
        low=None if low is None else 100 * low,
        high=None if high is None else 100 * high,
    )
