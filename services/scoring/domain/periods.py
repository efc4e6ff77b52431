"""A period cut into whole months, whole days and the hours at its edges; and what a day, week or month is called."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal, assert_never

Unit = Literal["day", "week", "month", "quarter"]

_DAY: Final = timedelta(days=1)
_DECEMBER: Final = 12
_NO_DAYS: Final = (date.min, date.min)
_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
_NO_HOURS: Final = (_BEGINNING, _BEGINNING)


@dataclass(frozen=True, slots=True)
class Spans:
    """A period as it is counted; in each pair the first belongs to it and the second does not. Days are days of UTC."""

    all_days: tuple[date, date]
    """The whole days, of which `months` and both of `days` are parts without a gap."""
    months: tuple[date, date]
    """First days of whole months."""
    days: tuple[tuple[date, date], tuple[date, date]]
    hours: tuple[tuple[datetime, datetime], tuple[datetime, datetime]]


def spans(since: datetime | None, until: datetime | None, *, in_days: bool = False) -> Spans:
    """From `since` until before `until`; None is without end. `in_days`: months are no answer, days are asked for."""
    first = date.min if since is None else _whole_day_from(since)
    end = date.max if until is None else until.astimezone(UTC).date()
    if first > end and since is not None and until is not None:  # within a day
        hours = (since, until) if since < until else _NO_HOURS
        return Spans(_NO_DAYS, _NO_DAYS, (_NO_DAYS, _NO_DAYS), (hours, _NO_HOURS))
    hours_before = _NO_HOURS if since is None else (since, _midnight(first))
    hours_after = _NO_HOURS if until is None else (_midnight(end), until)
    first_month = first if first.day == 1 else _next_month(first)
    end_month = end if end == date.max else end.replace(day=1)
    if in_days or first_month >= end_month:
        return Spans((first, end), _NO_DAYS, ((first, end), _NO_DAYS), (hours_before, hours_after))
    days = ((first, first_month), (end_month, end))
    return Spans((first, end), (first_month, end_month), days, (hours_before, hours_after))


def label(unit: Unit, day: date) -> str:
    """What the day, ISO week, month or quarter that begins with `day` is called, as 2026-W02 or 2026-Q1."""
    match unit:
        case "day":
            return day.isoformat()
        case "week":
            year, week, _ = day.isocalendar()
            return f"{year:04}-W{week:02}"
        case "month":
            return f"{day:%Y-%m}"
        case "quarter":
            return f"{day:%Y}-Q{(day.month + 2) // 3}"
        case _:
            assert_never(unit)


def _whole_day_from(moment: datetime) -> date:
    in_utc = moment.astimezone(UTC)
    day = in_utc.date()
    return day if in_utc == _midnight(day) else day + _DAY


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _next_month(day: date) -> date:
    return date(day.year + 1, 1, 1) if day.month == _DECEMBER else date(day.year, day.month + 1, 1)
