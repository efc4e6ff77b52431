"""A line over time is interrupted where the question changed, and nowhere else."""

from datetime import UTC, date, datetime

import pytest

from services.portal.domain.measures import Difference, Measure
from services.portal.domain.trend import begins, first_of, trend


def a_day(day: str, value: float | None, *, hidden: bool = False) -> Measure:
    low, high = (None, None) if value is None else (value - 10, value + 10)
    return Measure("nps", "relationship", day, -100, 100, hidden=hidden, n=40, value=value, low=low, high=high)


def test_the_line_breaks_before_the_day_on_which_the_question_changed() -> None:
    days = [a_day(f"2026-11-0{day}", 10 * day) for day in range(1, 6)]
    found = trend("day", days, [datetime(2026, 11, 3, 15, tzinfo=UTC)])
    assert found is not None
    assert [[point.begins.day for point in run] for run in found.runs] == [[1, 2], [3, 4, 5]]
    assert len(found.breaks) == 1
    assert found.points[1].x < found.breaks[0] < found.points[3].x


def test_higher_is_above_and_later_is_to_the_right_within_the_picture() -> None:
    found = trend("day", [a_day("2026-11-01", 10), a_day("2026-11-02", 50)], [])
    assert found is not None
    first, second = found.points
    assert first.x < second.x
    assert first.y > second.y
    assert all(0 <= point.x <= 100 and point.high <= point.y <= point.low for point in found.points)


def test_days_that_are_hidden_are_counted_and_not_drawn() -> None:
    days = [a_day("2026-11-01", 10), a_day("2026-11-02", None, hidden=True), a_day("2026-11-03", 10)]
    found = trend("day", days, [])
    assert found is not None
    assert (len(found.points), found.hidden) == (2, 1)
    assert trend("day", days[:2], []) is None


def test_weeks_and_months_begin_where_scoring_says() -> None:
    assert begins("week", "2026-W47") == date(2026, 11, 16) == first_of("week", date(2026, 11, 22))
    assert begins("month", "2026-11") == date(2026, 11, 1) == first_of("month", date(2026, 11, 22))


@pytest.mark.parametrize(
    ("p", "verdict"), [(0.2, "may_be_chance"), (0.04, "unlikely_chance"), (0.001, "hardly_chance")]
)
def test_a_p_value_is_said_in_words(p: float, verdict: str) -> None:
    assert Difference(5, 1, 9, p).verdict == verdict
