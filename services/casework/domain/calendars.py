"""Working time: when a region works, and how a deadline is counted in the hours in which it does.

A calendar has intervals of the wall clock for each day of the week, in an IANA zone; holidays on which nobody works;
and special days with intervals of their own (a working Saturday, a short eve). Everything is counted on instants:

    a day with a missing hour     an interval that begins or ends inside of it begins or ends where the hour is missing
    a day with a doubled hour     an interval that covers it is longer by it
    a date that does not exist    (29 February, a day that a zone left out) is no day at all

`add` and `between` are each other's inverse, and adding in parts is adding at once, whatever the zone does:
add(t, a + b) = add(add(t, a), b), and between(t, add(t, a)) = a. A result that falls on the end of an interval stays
there: what is due at 18:00 is not due at 9:00 of the next day.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NewType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from zoneinfo import ZoneInfo

CalendarId = NewType("CalendarId", str)

MINUTES_OF_DAY: Final = 24 * 60
_DAY: Final = timedelta(days=1)
_NOTHING: Final = timedelta(0)
LEAST_WEEK: Final = timedelta(hours=8)
"""The least that a calendar works in an ordinary week, so that the longest allowance ends within a lifetime."""


@dataclass(frozen=True, slots=True, order=True)
class Shift:
    """An interval of one day on the wall clock, in minutes from its midnight: [`start`, `end`), 0 to 1440."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end <= MINUTES_OF_DAY:
            raise ValueError("a shift ends after it starts, within its day")


Day = tuple[Shift, ...]
"""The shifts of a day, in their order, apart from one another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """When one region works."""

    id: CalendarId
    zone: ZoneInfo
    week: tuple[Day, Day, Day, Day, Day, Day, Day]
    """From Monday on."""
    holidays: frozenset[date] = frozenset()
    special_days: Mapping[date, Day] = field(default_factory=dict)
    _known: dict[date, tuple[tuple[datetime, datetime], ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        for day in (*self.week, *self.special_days.values()):
            if any(later.start < earlier.end for earlier, later in pairwise(day)):
                raise ValueError("the shifts of a day follow one another")
        if (
            sum((timedelta(minutes=shift.end - shift.start) for day in self.week for shift in day), _NOTHING)
            < LEAST_WEEK
        ):
            raise ValueError("a week has at least eight working hours")
        if not self.holidays.isdisjoint(self.special_days):
            raise ValueError("a day is a holiday or a special day")

    def add(self, instant: datetime, amount: timedelta) -> datetime:
        """The instant at which `amount` of working time has passed since `instant`; `instant` itself for none."""
        if amount < _NOTHING:
            raise ValueError("time does not run backwards")
        left = amount
        if left == _NOTHING:
            return instant.astimezone(UTC)
        for start, end in self._intervals(instant):
            if end - start >= left:
                return start + left
            left -= end - start
        raise AssertionError("working days go on for ever")

    def opens_at(self, instant: datetime) -> datetime:
        """The first working moment from `instant` on; `instant` itself while work goes on."""
        return next(self._intervals(instant))[0]

    def between(self, since: datetime, until: datetime) -> timedelta:
        """How much working time lies between two instants; nothing where `until` is not later."""
        worked = _NOTHING
        for start, end in self._intervals(since):
            if start >= until:
                break
            worked += min(end, until) - start
        return worked

    def _intervals(self, since: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The working intervals from `since` on, without end, as instants of UTC that never overlap."""
        cursor = since.astimezone(UTC)
        # A day of the zone may begin before or end after its neighbours say, so one more is looked at in front.
        day = cursor.astimezone(self.zone).date() - _DAY
        while True:
            for start, end in self._of_day(day):
                start_ = max(start, cursor)
                if start_ < end:
                    yield start_, end
                    cursor = end
            day += _DAY

    def _of_day(self, day: date) -> tuple[tuple[datetime, datetime], ...]:
        known = self._known.get(day)
        if known is None:
            found = (
                (self._instant(day, shift.start, 0), self._instant(day, shift.end, 1)) for shift in self._shifts(day)
            )
            known = self._known[day] = tuple((start, end) for start, end in found if start < end)
        return known

    def _shifts(self, day: date) -> Day:
        if day in self.holidays:
            return ()
        return self.special_days.get(day, self.week[day.weekday()])

    def _instant(self, day: date, minute: int, fold: int) -> datetime:
        """The instant of a wall time: of one that comes twice the first or the second (`fold`), of none the gap's."""
        if minute == MINUTES_OF_DAY:
            day, minute = day + _DAY, 0
        wall = datetime.combine(day, time(minute // 60, minute % 60))
        instant = wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC)
        if instant.astimezone(self.zone).replace(tzinfo=None) == wall:
            return instant
        # Read by the offset after the gap it lies before it, and the other way round; the gap's instant is between.
        before = wall.replace(tzinfo=self.zone, fold=1).astimezone(UTC)
        after = wall.replace(tzinfo=self.zone, fold=0).astimezone(UTC)
        offset = before.astimezone(self.zone).utcoffset()
        while after - before > timedelta(seconds=1):
            middle = before + (after - before) // 2
            if middle.astimezone(self.zone).utcoffset() == offset:
                before = middle
            else:
                after = middle
        return after.replace(microsecond=0)


def add(calendar: Calendar | None, instant: datetime, amount: timedelta) -> datetime:
    """`amount` after `instant`: of the calendar's working time, or of all time where there is no calendar. In UTC."""
    return instant.astimezone(UTC) + amount if calendar is None else calendar.add(instant, amount)


def between(calendar: Calendar | None, since: datetime, until: datetime) -> timedelta:
    """The calendar's working time between two instants, or all the time between them; never less than none."""
    return max(until - since, _NOTHING) if calendar is None else calendar.between(since, until)
