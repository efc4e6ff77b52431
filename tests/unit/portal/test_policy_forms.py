import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.portal.domain.policyforms import (
    CALENDAR,
    DAYS,
    HOURS,
    WrongEntryError,
    calendar_of,
    days_in,
    entered_calendar,
    entered_policy,
    policy_of,
    shifts_in,
    spans,
    written,
)

POLICY = (
    dict.fromkeys(HOURS, "48")
    | dict.fromkeys(DAYS, "7")
    | {"unanswered_attempts": "3", "warnings": "50 %, 75", "calendar_id": ""}
)


def test_a_policy_is_read_as_casework_takes_it_and_shown_as_it_was_entered() -> None:
    body = policy_of(POLICY)
    assert body["warnings"] == [0.5, 0.75]
    assert body["calendar_id"] is None
    assert policy_of(entered_policy(body)) == body


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"first_contact_hours": "0"}, {"first_contact_hours"}),
        ({"first_contact_hours": "48.5", "warnings": ""}, {"first_contact_hours", "warnings"}),
        ({"resolution_hours": "99999"}, {"resolution_hours"}),
        ({"warnings": "0, 50"}, {"warnings"}),
        ({"warnings": "100"}, {"warnings"}),
        ({"longest_wait_days": "-1"}, {"longest_wait_days"}),
        ({"unanswered_attempts": "101"}, {"unanswered_attempts"}),
    ],
)
def test_what_cannot_be_a_deadline_is_named(changes: dict[str, str], wrong: set[str]) -> None:
    with pytest.raises(WrongEntryError) as caught:
        policy_of(POLICY | changes)
    assert caught.value.fields == wrong


def test_no_wait_at_all_can_be_allowed() -> None:
    assert policy_of(POLICY | {"longest_wait_days": "0"})["longest_wait_days"] == 0


def test_hours_of_a_day_are_written_as_people_do() -> None:
    hours = shifts_in("9:00–13:00, 14:00 - 18:30")
    assert hours == [{"start": "09:00", "end": "13:00"}, {"start": "14:00", "end": "18:30"}]
    assert shifts_in(written(hours)) == hours
    assert shifts_in(" ") == []
    with pytest.raises(ValueError, match="nine"):
        shifts_in("nine to five")


@given(st.lists(st.dates().filter(lambda day: 1900 < day.year < 9000).map(lambda day: day.isoformat()), max_size=20))
def test_days_are_shown_as_spans_and_read_back_the_same(days: list[str]) -> None:
    assert days_in("\n".join(spans(days))) == sorted(set(days))


@pytest.mark.parametrize("text", ["2027-02-30", "1.1.2027", "2027-01-08..2027-01-01", "2027-01-01..2036-01-01"])
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        days_in(text)


def test_a_calendar_goes_there_and_back() -> None:
    entered = dict.fromkeys(CALENDAR, "") | {
        "name": "Москва",
        "zone": "Europe/Moscow",
        "monday": "09:00-18:00",
        "holidays": "2027-01-01..2027-01-08\n2027-05-09",
        "special_days": "2026-12-31 09:00-14:00\n2027-02-20",
    }
    body = calendar_of(entered)
    assert len(body["holidays"]) == 9  # type: ignore[arg-type] # a list
    assert entered_calendar(body) == entered
    with pytest.raises(WrongEntryError) as caught:
        calendar_of(entered | {"zone": "", "friday": "all day", "holidays": "always", "special_days": "soon"})
    assert caught.value.fields == {"zone", "friday", "holidays", "special_days"}
