"""Digests: whose week it is, whose words are told, what is masked in them, and that others are understood."""

import json
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify import digest_answers as answers
from services.notify.digest_words import in_short, of_message, sections, span
from services.notify.domain.digests import QUOTES, Kind, Period, Quote, Thanked, chosen, last_period, present_period
from services.notify.domain.masking import LONGEST, MASK, masked
from services.notify.sample_digests import FULL, QUIET
from services.notify.samples import SAMPLES

MOSCOW = ZoneInfo("Europe/Moscow")
API = Path(__file__).parents[3] / "docs" / "api"
MOMENTS = st.integers(0, 15 * 366 * 86_400).map(
    lambda second: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
)
ZONES = st.sampled_from(["Europe/Moscow", "Europe/London", "Asia/Vladivostok", "America/New_York", "UTC"])


@given(now=MOMENTS, zone=ZONES, kind=st.sampled_from(["weekly", "monthly"]))
def test_the_last_period_has_ended_and_no_later_one_has(now: datetime, zone: str, kind: Kind) -> None:
    where = ZoneInfo(zone)
    period = last_period(kind, now, where)
    began, ended = period.bounds(where)
    assert began < ended <= now
    following = last_period(kind, period.due_at(where) + timedelta(days=32 if kind == "monthly" else 7), where)
    assert following.starts == period.ends
    assert following.before == period
    assert following.bounds(where)[1] > now
    assert period.starts.weekday() == 0 if kind == "weekly" else period.starts.day == period.ends.day == 1
    assert period.id == last_period(kind, now, where).id != period.before.id
    present = present_period(kind, now, where)
    assert (present.before, present.starts) == (period, period.ends)
    assert present.bounds(where)[0] <= now < present.bounds(where)[1]
    assert last_period(kind, present.due_at(where), where) == present


def test_a_month_and_a_week_that_begin_on_one_day_are_two_digests() -> None:
    first = date(2026, 6, 1)
    assert Period("weekly", first, date(2026, 6, 8)).id != Period("monthly", first, date(2026, 7, 1)).id
    assert last_period("weekly", datetime(2026, 3, 1, 20, 59, tzinfo=UTC), MOSCOW).starts == date(2026, 2, 16)
    assert last_period("weekly", datetime(2026, 3, 1, 21, 0, tzinfo=UTC), MOSCOW).starts == date(2026, 2, 23)


NAMES = st.text(st.sampled_from("абвгдеёжзийклмнопрстуфхцчшщыэюяabcdefghijklmnopqrstuvwxyz"), min_size=2, max_size=12)
WORDS = st.text(st.sampled_from("абвгдежз abc.,!?\n"), max_size=60)


@given(name=st.lists(NAMES, min_size=1, max_size=3), before=WORDS, after=WORDS, upper=st.booleans())
def test_the_words_of_a_name_are_nowhere_left(name: list[str], before: str, after: str, *, upper: bool) -> None:
    word = name[0].upper() if upper else name[0]
    said = masked(f"{before} {word} {after}", [" ".join(name)])
    assert name[0] not in said.lower().replace(MASK, " ").split()
    assert len(said) <= LONGEST + 1


@given(
    digits=st.text(st.sampled_from("0123456789"), min_size=4, max_size=16),
    gap=st.sampled_from(["", " ", "-", " (", "."]),
)
def test_no_longer_number_is_left_however_it_is_written(digits: str, gap: str) -> None:
    said = masked(f"договор {gap.join(digits)} и всё", [])
    assert not any(character.isdigit() for character in said)


@pytest.mark.parametrize(
    ("comment", "known", "said"),
    [
        ("Пишите на ivan.petrov+1@mail.ru, жду 5 минут", [], "Пишите на ••• жду 5 минут"),
        ("Анне Петровой так и не позвонили", ["Анна Петрова"], "••• ••• так и не позвонили"),
        ("Я, Иванов Ивановым погоняю", ["Иван Иванов"], "Я, ••• ••• погоняю"),
        ("мой ник @vasya_pupkin, сайт https://x.example/me", [], "мой ник •••, сайт •••"),
        ("+7 (916) 123-45-67 или 4276 1234 5678 9012", [], "••• или •••"),
        ("Ян молодец, а Яна – нет", ["Ян"], "••• молодец, а Яна – нет"),
        ("ждала 40 минут, 3 раза", ["Анна"], "ждала 40 минут, 3 раза"),
    ],
)
def test_customers_are_known_by_nothing_in_what_is_told(comment: str, known: list[str], said: str) -> None:
    assert masked(comment, known) == said


def a_quote(score: int | None, said: str = "Достаточно длинный отзыв") -> Quote:
    return Quote(customer_id=None, score=score, touchpoint=None, said=said)


@given(scores=st.lists(st.none() | st.integers(0, 10)))
def test_the_unhappy_and_the_happy_are_quoted_by_turns(scores: list[int | None]) -> None:
    found = chosen(a_quote(score) for score in scores)
    assert len(found) == min(QUOTES, len(scores))
    happy = sum(1 for each in found if each.score in (9, 10))
    if len(found) == QUOTES:
        all_happy = sum(1 for score in scores if score in (9, 10))
        assert happy == (2 if all_happy >= 2 and len(scores) - all_happy >= 2 else happy)
        assert happy >= min(2, all_happy)
    assert chosen([a_quote(3, "плохо")]) == ()


def test_what_is_late_is_told_to_those_who_lead_alone_and_a_quiet_month_says_so() -> None:
    assert sections(FULL, "ru", is_lead=False)["owed"] == ()
    [(title, said)] = sections(FULL, "ru", is_lead=True)["owed"]
    assert (title, said) == (
        "Понятные счета",
        "IT · Борис Орлов · надо было сделать к 20 февраля · рассказать клиентам до 14 марта",
    )
    assert not any(sections(QUIET, "en", is_lead=True).values())
    assert (span(FULL.period, "en"), span(QUIET.period, "ru")) == ("23 February – 1 March", "Февраль 2026")


def test_numbers_stand_with_how_many_they_rest_on_and_how_sure_they_are() -> None:
    (relation, after), theme, loop = (
        sections(FULL, "ru", is_lead=False)["scores"][:2],
        sections(FULL, "en", is_lead=False)["themes"][0],
        dict(sections(FULL, "en", is_lead=False)["loop"]),
    )
    assert relation[1] == "+31 (n 240; 95 %: +22…+40); к прошлой неделе +4 (95 %: −6…+15)"
    assert after[1].endswith("вопрос задавали иначе, с прошлым не сравнить")
    assert theme == ("Waiting on the line", "37 mentions; NPS −49 (n 35; 95 %: −70…−23)")
    assert loop["Reached within 48 hours"] == "93% (42 of 45; 95 %: 82–98%)"


def test_more_teams_than_there_is_room_for_are_counted() -> None:
    many = [f"team/t{number}" for number in range(6)]
    document = json.loads(SAMPLES["digest"][0]["digest"] or "{}")  # type: ignore[arg-type]  # it is a text
    document["content"]["parts"] = [{"id": id_, "name": id_, "health": None} for id_ in many]
    facts = SAMPLES["digest"][0] | {"digest": json.dumps(document), "parts": " ".join(many)}
    values = of_message(facts, "en")
    assert [values[f"own_part_{letter}"] for letter in "abcd"] == [
        "team/t0: no cases",
        "team/t1: no cases",
        "team/t2: no cases",
        "and 3 more in the portal",
    ]
    assert "4 open cases (overdue: 1), 2 tasks" in in_short(facts, "en")


PLACES = [
    ("casework", "/v1/measures/deeds", answers.Deeds),
    ("casework", "/v1/measures/loop", answers.Loop),
    ("casework", "/v1/measures/loop", answers.Groups),
    ("casework", "/v1/measures/work", answers.People),
    ("casework", "/v1/teams", answers.Teams),
    ("casework", "/v1/recognitions/told", list[Thanked]),
    ("scoring", "/v1/metrics/nps", answers.NpsAnswer),
    ("scoring", "/v1/metrics/ces", answers.Scores),
    ("scoring", "/v1/metrics/csat", answers.Scores),
    ("scoring", "/v1/metrics/themes", answers.Themes),
    ("scoring", "/v1/responses", answers.Comments),
]


@pytest.mark.parametrize(("service", "path", "wanted"), PLACES)
def test_what_is_asked_of_others_is_what_they_say_that_they_answer(service: str, path: str, wanted: Any) -> None:  # noqa: ANN401 - a type
    document = json.loads((API / f"openapi-{service}.json").read_text(encoding="utf-8"))
    answer = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert list(_missing(document, answer, wanted, path)) == []


def _missing(document: dict[str, Any], schema: dict[str, Any], wanted: Any, place: str) -> Any:  # noqa: ANN401
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if get_origin(wanted) in (Union, UnionType):
        others = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
        for each in get_args(wanted):
            if each is not type(None):
                yield from _missing(document, others[0], each, place)
    elif get_origin(wanted) is list:
        yield from _missing(document, schema["items"], get_args(wanted)[0], f"{place}[]")
    elif is_dataclass(wanted) or (isinstance(wanted, type) and issubclass(wanted, msgspec.Struct)):
        hints = get_type_hints(wanted)
        names = wanted.__struct_fields__ if hasattr(wanted, "__struct_fields__") else [f.name for f in fields(wanted)]
        for name in names:
            if name not in schema["properties"]:
                yield f"{place}.{name}"
            else:
                yield from _missing(document, schema["properties"][name], hints[name], f"{place}.{name}")
