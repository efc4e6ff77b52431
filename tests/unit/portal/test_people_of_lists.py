"""People of a list are read as spreadsheets and people write them, and what cannot be read is said by its line."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.portal.domain.messagerules import as_entered, rules_of
from services.portal.domain.people_lists import decoded, member_id_of, read_members

ELENA = {"member_id": "elena@example.org", "name": "Елена", "email": "elena@example.org", "language": "ru"}


@pytest.mark.parametrize(
    "written",
    [
        "Елена;elena@example.org",
        "Елена,elena@example.org,ru\n",
        "Елена\tElena@example.org\tрус\r\n".replace("Elena", "elena"),
        "имя;почта;язык\nЕлена;elena@example.org;русский",
        "Email,Name\n\nelena@example.org,Елена\n",
        '"Елена";"elena@example.org";"RU";""',
    ],
)
def test_a_person_is_read_in_whatever_order_and_with_whatever_between(written: str) -> None:
    assert read_members(written, usual_language="ru").members == [ELENA]


def test_each_line_that_cannot_be_read_is_named() -> None:
    read = read_members("A;a@example.org\nB;nobody\nC;c@example.org;de\n\nD;d@example.org;en;№ 4", usual_language="en")
    assert read.mistakes == [(2, "no_address"), (3, "no_language"), (5, "no_id")]
    assert [each["name"] for each in read.members] == ["A"]


def test_files_of_russian_spreadsheets_are_read_and_pictures_are_not() -> None:
    assert decoded("Елена".encode("cp1251")) == decoded("\ufeffЕлена".encode()) == "Елена"
    assert decoded(b"\x89PNG\0\0") is None


@settings(max_examples=40)
@given(st.text(max_size=200))
def test_whatever_is_pasted_is_read_or_refused(written: str) -> None:
    for member in read_members(written, usual_language="en").members:
        assert member["member_id"]
        assert "@" in member["email"]
    assert len(member_id_of(written)) <= 128


def test_rules_that_are_entered_as_they_are_stay_as_they_are() -> None:
    rules = {
        "channels": {"work": ["chat", "email"], "service": ["email"], "courtesy": ["sms"], "news": ["email"]},
        "ask_first": [{"channel": "sms", "purpose": "news"}],
        "quiet_hours": [{"start": "21:00", "end": "09:00", "channels": ["sms"], "purposes": ["news", "service"]}],
        "caps": [{"messages": 6, "days": 30, "purposes": ["courtesy", "news"]}],
        "patience_hours": 72,
    }
    assert rules_of(*as_entered(rules)) == (rules, {})


def test_rules_that_say_too_little_are_refused_where_they_do() -> None:
    fields = {"channel_work_1": "chat", "quiet_3_start": "25:00", "cap_0_messages": "0", "patience_hours": "x"}
    _, wrong = rules_of(fields, {"cap_0_purposes": ("news",)})
    assert wrong == {
        "channel_service_0": "no_channel",
        "channel_courtesy_0": "no_channel",
        "channel_news_0": "no_channel",
        "quiet_3_start": "no_clock",
        "quiet_3_end": "no_clock",
        "quiet_3_channels": "none_ticked",
        "quiet_3_purposes": "none_ticked",
        "cap_0_messages": "no_number",
        "cap_0_days": "no_number",
        "patience_hours": "no_number",
    }
