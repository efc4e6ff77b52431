"""Column maps: written, guessed and refused; and times as people's files have them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.columns import ColumnMap, UnusableMap, guess_columns
from services.ingest.domain.values import time_of
from services.ingest.domain.written_times import Times, as_iso, order_of


def guessed(header: str, *rows: str) -> dict[str, str]:
    columns = header.split(";")
    return guess_columns(columns, [dict(zip(columns, row.split(";"), strict=True)) for row in rows]).as_json()


def test_columns_are_guessed_from_an_english_header() -> None:
    assert guessed(
        "Response ID;Submitted at;Updated;NPS;NPS category;Why did you say that?;Customer;Branch;Language",
        "17;2026-03-01 10:00;2026-03-01 10:05;10;promoter;all was well;c-1;north;en",
        "18;2026-03-01 11:00;2026-03-01 11:05;3;detractor;too slow;c-2;south;en",
    ) == {
        "response_id": "Response ID",
        "answered_at": "Submitted at",
        "revised_at": "Updated",
        "score": "NPS",
        "comment": "Why did you say that?",
        "customer": "Customer",
        "touchpoint": "Branch",
        "language": "Language",
        "claimed_class": "NPS category",
    }


def test_columns_are_guessed_from_a_russian_header() -> None:
    assert guessed(
        "Номер ответа;Дата ответа;Порекомендуете ли вы нас?;Почему?;Клиент;Отделение",
        "17;01.03.2026 10:00;9;всё хорошо;c-1;Невский",
        "18;01.03.2026 11:00;2;долго ждал;c-2;Лиговский",
    ) == {
        "response_id": "Номер ответа",
        "answered_at": "Дата ответа",
        "score": "Порекомендуете ли вы нас?",
        "comment": "Почему?",
        "customer": "Клиент",
        "touchpoint": "Отделение",
    }


def test_an_id_of_small_numbers_is_not_taken_for_the_score() -> None:
    assert guessed("id;date;rating", "1;2026-03-01;5", "2;2026-03-01;7")["score"] == "rating"


def test_a_map_says_where_fields_are_and_where_they_are_not() -> None:
    said = ColumnMap.parse(["score=a=b", "comment="])

    assert said.over(ColumnMap(score="x", comment="y", customer="z")).as_json() == {"score": "a=b", "customer": "z"}


@pytest.mark.parametrize("written", [["score"], ["nonsense=a"], ["score=a", "score=b"]])
def test_a_map_that_means_nothing_is_refused(written: list[str]) -> None:
    with pytest.raises(UnusableMap):
        ColumnMap.parse(written)


def test_a_map_without_the_time_or_with_a_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(UnusableMap, match="answered_at"):
        ColumnMap(score="a").check(["a"])
    with pytest.raises(UnusableMap, match="no column 'c'"):
        ColumnMap(score="a", answered_at="c").check(["a", "b"])


@pytest.mark.parametrize(
    ("values", "order"),
    [
        (["2026-03-01T10:00:00Z", "1700000000", ""], "iso"),
        (["01.03.2026"], "day-first"),
        (["03/04/2026", "13/04/2026"], "day-first"),
        (["03/04/2026", "03/14/2026"], "month-first"),
        (["03/04/2026 2:30 PM"], "month-first"),
        (["03/04/2026", "05-06-2026"], None),
    ],
)
def test_the_order_of_days_and_months_is_found_or_asked_for(values: list[str], order: Times | None) -> None:
    assert order_of(values) == order


@pytest.mark.parametrize(
    ("written", "order", "moment"),
    [
        ("01.03.2026 9:15", "day-first", datetime(2026, 3, 1, 6, 15, tzinfo=UTC)),
        ("1/3/2026, 09:15:30", "day-first", datetime(2026, 3, 1, 6, 15, 30, tzinfo=UTC)),
        ("3/1/2026 12:05 AM", "month-first", datetime(2026, 2, 28, 21, 5, tzinfo=UTC)),
        ("3/1/2026 12:05 PM", "month-first", datetime(2026, 3, 1, 9, 5, tzinfo=UTC)),
        ("01.03.2026 09:15 UTC", "day-first", datetime(2026, 3, 1, 9, 15, tzinfo=UTC)),
        ("01.03.2026", "day-first", datetime(2026, 2, 28, 21, tzinfo=UTC)),
        ("2026-03-01", "iso", datetime(2026, 2, 28, 21, tzinfo=UTC)),
        ("2026-03-01 09:15:00", "day-first", datetime(2026, 3, 1, 6, 15, tzinfo=UTC)),
    ],
)
def test_a_written_time_is_the_moment_that_was_meant(written: str, order: Times, moment: datetime) -> None:
    assert time_of(as_iso(written, order), "a time", ZoneInfo("Europe/Moscow")) == moment


@given(st.datetimes(datetime(1971, 1, 1), datetime(2999, 1, 1)))  # noqa: DTZ001 - the zone is the source's
def test_every_time_is_read_in_either_order(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    for order, written in (("day-first", "%d.%m.%Y %H:%M:%S"), ("month-first", "%m/%d/%Y %I:%M:%S %p")):
        text = f"{moment:{written}}".replace(f"{moment:%Y}", f"{moment.year:04}")
        assert time_of(as_iso(text, order), "a time", UTC) == moment.replace(tzinfo=UTC)  # type: ignore[arg-type] # of the pair
