"""Working time: adding in parts is adding at once, forwards and backwards agree, and no zone's clock can spoil it."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.casework.domain.calendars import Calendar, CalendarId, Day, Shift, add, between

NINE_TO_SIX: Day = (Shift(9 * 60, 13 * 60), Shift(14 * 60, 18 * 60))
ALWAYS: Day = (Shift(0, 24 * 60),)
# With hours that come twice or not at all, at night and at midnight, and a day that never was (Apia, 30 December 2011).
ZONES = ("Europe/Moscow", "Europe/Berlin", "America/Santiago", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu")


def a_calendar(
    zone: str = "Europe/Moscow",
    week: tuple[Day, ...] = (*(NINE_TO_SIX,) * 5, (), ()),
    *,
    holidays: frozenset[date] = frozenset(),
    special_days: dict[date, Day] | None = None,
) -> Calendar:
    monday, tuesday, wednesday, thursday, friday, saturday, sunday = week
    return Calendar(
        id=CalendarId("office"),
        zone=ZoneInfo(zone),
        week=(monday, tuesday, wednesday, thursday, friday, saturday, sunday),
        holidays=holidays,
        special_days=special_days or {},
    )


def moscow(*parts: int) -> datetime:
    year, month, day, hour, minute = parts
    return datetime(year, month, day, hour, minute, tzinfo=ZoneInfo("Europe/Moscow"))


shifts = st.lists(st.integers(0, 48), min_size=2, max_size=4, unique=True).map(
    lambda ends: tuple(
        Shift(30 * start, 30 * end) for start, end in zip(sorted(ends)[::2], sorted(ends)[1::2], strict=False)
    )
)
days = st.one_of(st.just(()), st.just(ALWAYS), shifts)
dates = st.dates(date(2011, 12, 20), date(2012, 4, 10))
calendars = st.builds(
    lambda zone, tuesday, others, holidays, special: a_calendar(
        zone,
        (others[0], (*tuesday,), *others[1:], NINE_TO_SIX),
        holidays=holidays - set(special),
        special_days=special,
    ),
    st.sampled_from(ZONES),
    shifts,
    st.tuples(days, days, days, days, days),
    st.frozensets(dates, max_size=4),
    st.dictionaries(dates, days, max_size=3),
)
instants = st.datetimes(datetime(2011, 12, 15), datetime(2012, 4, 20), timezones=st.just(UTC))  # noqa: DTZ001 - given a zone by hypothesis
amounts = st.timedeltas(timedelta(0), timedelta(hours=90))


@given(calendars, instants, amounts, amounts)
def test_adding_in_parts_is_adding_at_once(calendar: Calendar, at: datetime, one: timedelta, other: timedelta) -> None:
    assert calendar.add(at, one + other) == calendar.add(calendar.add(at, one), other)


@given(calendars, instants, amounts)
def test_between_is_the_inverse_of_adding(calendar: Calendar, at: datetime, amount: timedelta) -> None:
    assert calendar.between(at, calendar.add(at, amount)) == amount


@given(calendars, instants, st.timedeltas(timedelta(0), timedelta(days=20)))
def test_what_lies_between_added_again_ends_where_the_work_ended(
    calendar: Calendar, at: datetime, span: timedelta
) -> None:
    worked = calendar.between(at, at + span)
    end = calendar.add(at, worked)
    assert timedelta(0) <= worked <= span
    assert end <= at + span
    assert calendar.between(end, at + span) == timedelta(0)


@given(calendars, instants, amounts, st.timedeltas(timedelta(0), timedelta(days=3)))
def test_who_starts_later_or_has_more_to_do_is_never_done_earlier(
    calendar: Calendar, at: datetime, amount: timedelta, later: timedelta
) -> None:
    assert calendar.add(at, amount) <= calendar.add(at + later, amount)
    assert calendar.add(at, amount) <= calendar.add(at, amount + later)


@given(instants, amounts)
def test_who_works_always_counts_as_the_calendar_does(at: datetime, amount: timedelta) -> None:
    always = a_calendar("Europe/Berlin", (ALWAYS,) * 7)
    assert always.add(at, amount) == add(None, at, amount) == at + amount
    assert always.between(at, at + amount) == between(None, at, at + amount) == amount


@given(calendars, instants)
@example(a_calendar(), moscow(2026, 1, 10, 12, 0))
def test_no_work_takes_no_time(calendar: Calendar, at: datetime) -> None:
    assert calendar.add(at, timedelta(0)) == at
    assert calendar.between(at, at - timedelta(hours=1)) == timedelta(0)


def test_forty_eight_working_hours_of_eight_a_day_are_six_days() -> None:
    calendar = a_calendar()
    assert calendar.add(moscow(2026, 3, 2, 11, 0), timedelta(hours=48)) == moscow(2026, 3, 10, 11, 0)
    # What ends with the day stays on its end; the next minute is the next morning's, or Monday's.
    assert calendar.add(moscow(2026, 3, 6, 9, 0), timedelta(hours=8)) == moscow(2026, 3, 6, 18, 0)
    assert calendar.add(moscow(2026, 3, 6, 9, 0), timedelta(hours=8, minutes=1)) == moscow(2026, 3, 9, 9, 1)


def test_holidays_short_days_and_working_saturdays() -> None:
    calendar = a_calendar(
        holidays=frozenset({date(2026, 2, 23)}),
        special_days={date(2026, 2, 21): (Shift(9 * 60, 10 * 60),), date(2026, 2, 20): (Shift(9 * 60, 12 * 60),)},
    )
    friday = moscow(2026, 2, 20, 9, 0)
    assert calendar.add(friday, timedelta(hours=3, minutes=30)) == moscow(2026, 2, 21, 9, 30)
    assert calendar.add(friday, timedelta(hours=5)) == moscow(2026, 2, 24, 10, 0)
    assert calendar.between(friday, moscow(2026, 2, 25, 0, 0)) == timedelta(hours=12)


def test_a_leap_day_is_a_day_like_any_other() -> None:
    calendar = a_calendar()
    assert calendar.add(moscow(2028, 2, 28, 9, 0), timedelta(hours=9)) == moscow(2028, 2, 29, 10, 0)
    assert calendar.add(moscow(2027, 2, 26, 9, 0), timedelta(hours=9)) == moscow(2027, 3, 1, 10, 0)


def berlin(*parts: int, fold: int = 0) -> datetime:
    year, month, day, hour, minute = parts
    return datetime(year, month, day, hour, minute, tzinfo=ZoneInfo("Europe/Berlin"), fold=fold)


def test_a_night_shift_is_an_hour_shorter_in_spring_and_an_hour_longer_in_autumn() -> None:
    nights = a_calendar("Europe/Berlin", ((Shift(0, 6 * 60),),) * 7)
    assert nights.between(berlin(2026, 3, 29, 0, 0), berlin(2026, 3, 29, 12, 0)) == timedelta(hours=5)
    assert nights.between(berlin(2026, 10, 25, 0, 0), berlin(2026, 10, 25, 12, 0)) == timedelta(hours=7)
    assert nights.add(berlin(2026, 3, 29, 0, 0), timedelta(hours=2)) == berlin(2026, 3, 29, 3, 0)


def test_a_shift_in_an_hour_that_is_missing_begins_where_the_clock_goes_on() -> None:
    early = a_calendar("Europe/Berlin", ((Shift(150, 240),),) * 7)
    assert early.between(berlin(2026, 3, 29, 0, 0), berlin(2026, 3, 29, 12, 0)) == timedelta(hours=1)
    gone = a_calendar("Europe/Berlin", ((Shift(130, 170), Shift(9 * 60, 18 * 60)),) * 7)
    assert gone.add(berlin(2026, 3, 29, 0, 0), timedelta(minutes=1)) == berlin(2026, 3, 29, 9, 1)


def test_shifts_that_meet_in_a_doubled_hour_are_not_counted_twice() -> None:
    doubled = a_calendar("Europe/Berlin", ((Shift(60, 130), Shift(140, 240)),) * 7)
    # 1:00 to the second 2:10, and from the first 2:20 to 4:00: without a break from 1:00 to 4:00, which are four hours.
    assert doubled.between(berlin(2026, 10, 25, 0, 0), berlin(2026, 10, 25, 12, 0)) == timedelta(hours=4)


@pytest.mark.parametrize(
    ("week", "holidays", "special_days"),
    [
        (((),) * 7, frozenset(), {}),
        (((Shift(0, 60),), *((),) * 6), frozenset(), {}),
        (((Shift(540, 1080), Shift(1000, 1200)), *((),) * 6), frozenset(), {}),
        ((NINE_TO_SIX, *((),) * 6), frozenset({date(2026, 1, 1)}), {date(2026, 1, 1): ()}),
    ],
)
def test_a_calendar_that_cannot_be_counted_by_is_refused(
    week: tuple[Day, ...], holidays: frozenset[date], special_days: dict[date, Day]
) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        a_calendar(week=week, holidays=holidays, special_days=special_days)


@pytest.mark.parametrize(("start", "end"), [(-1, 60), (60, 60), (120, 60), (0, 1441)])
def test_a_shift_lies_within_its_day(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="within its day"):
        Shift(start, end)


def test_time_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        a_calendar().add(moscow(2026, 3, 2, 9, 0), -timedelta(seconds=1))
