"""The spans of days over which feedback is looked at, counted in the company's own days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo


class Period(StrEnum):
    """Today, or so many days up to and with today."""

    TODAY = "today"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


DAYS: Final[dict[Period, int]] = {
    Period.TODAY: 1,
    Period.WEEK: 7,
    Period.MONTH: 30,
    Period.QUARTER: 90,
    Period.YEAR: 365,
}


@dataclass(frozen=True, slots=True)
class Span:
    """From `since` until before `until`."""

    since: datetime
    until: datetime


def parse_period(written: str | None) -> Period:
    """The period in an address; today where it is none of ours."""
    return Period(written) if written in set(Period) else Period.TODAY


def span_of(period: Period, *, now: datetime, zone: ZoneInfo) -> Span:
    """The period's days by the company's calendar: a day may have 23 or 25 hours."""
    today = now.astimezone(zone).date()
    first = today - timedelta(days=DAYS[period] - 1)
    begin, end = (datetime.combine(day, time(), tzinfo=zone) for day in (first, today + timedelta(days=1)))
    return Span(begin, end)
