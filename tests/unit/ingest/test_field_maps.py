"""What a value has to be, question by question, through a Typeform source whose score is the question `nps`."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.deliveries import NotUnderstood, Understood
from services.ingest.domain.values import LONGEST_COMMENT

Understand = Callable[..., Any]

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
MAP = {"score": {"question": "nps"}, "comment": {"question": "why"}}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def a_form(score: object = 3, comment: object = "Долго", **changes: object) -> dict[str, Any]:
    answers = [
        {"type": "number", "number": score, "field": {"id": "f1", "ref": "nps"}},
        {"type": "text", "text": comment, "field": {"id": "f2", "ref": "why"}},
    ]
    response: dict[str, Any] = {
        "token": "t-1",
        "submitted_at": "2026-03-01T10:00:00Z",
        "hidden": {"customer_id": "c-1", "touchpoint": "branch", "language": "ru"},
        "answers": answers,
    }
    return {"event_id": "e-1", "event_type": "form_response", "form_response": response | changes}


@pytest.mark.parametrize("score", [0, 6, 10, 9.0])
def test_a_whole_number_of_the_scale_is_a_score(understood: Understand, score: float) -> None:
    found = understood(a_form(score), fields=MAP).response.score
    assert found == score
    assert isinstance(found, int)


@pytest.mark.parametrize(
    ("score", "why"),
    [
        (11, "11 outside the scale 0 to 10"),
        (-1, "-1 outside"),
        (2**62, "outside the scale"),
        (6.5, "not a whole number"),
        (True, "true or false"),
        (False, "true or false"),
        ("9", "text, not a number"),
        ([9], "a list"),
        ({"value": 9}, "an object"),
    ],
)
def test_anything_else_is_not_and_the_reason_names_the_question(
    understood: Understand, score: object, why: str
) -> None:
    verdict = understood(a_form(score), fields=MAP)
    assert isinstance(verdict, NotUnderstood)
    assert why in verdict.reason
    assert "question 'nps'" in verdict.reason
    assert verdict.field == "score"


def test_the_scale_is_the_instrument_s(understood: Understand) -> None:
    ces = {"metric": "ces", "scale_min": 1, "scale_max": 7}
    assert understood(a_form(7), fields=MAP, asked=ces).response.score == 7
    assert isinstance(understood(a_form(0), fields=MAP, asked=ces), NotUnderstood)


def test_a_missing_score_is_none_and_no_error(understood: Understand) -> None:
    assert understood(a_form(None), fields=MAP).response.score is None
    assert understood(a_form(answers=[]), fields=MAP).response.score is None


def test_a_question_that_the_form_does_not_have_is_an_error_of_the_map(understood: Understand) -> None:
    form = a_form(answers=[], definition={"fields": [{"id": "f9", "ref": "other"}]})
    verdict = understood(form, fields=MAP)
    assert verdict == NotUnderstood("the form has no question 'nps'", "score")
    mended = understood(form, fields={"score": {"question": "other"}})
    assert mended.response.score is None  # asked, and not answered


@pytest.mark.parametrize("question", ["nps", "f1"])
def test_a_question_is_known_by_its_reference_or_its_id(understood: Understand, question: str) -> None:
    assert understood(a_form(3), fields={"score": {"question": question}}).response.score == 3


def test_a_path_leads_from_the_root_of_the_payload(understood: Understand) -> None:
    fields = {"score": {"path": "form_response.calculated.score"}}
    assert understood(a_form(calculated={"score": 8}), fields=fields).response.score == 8
    assert understood(a_form(), fields=fields).response.score is None


@pytest.mark.parametrize(("comment", "kept"), [("", None), (" \n", None), (None, None), (" Долго ", "Долго")])
def test_a_comment_is_what_was_written_or_nothing(understood: Understand, comment: object, kept: str | None) -> None:
    assert understood(a_form(comment=comment), fields=MAP).response.comment == kept


def test_a_comment_fits_through_the_broker_however_long_it_is(understood: Understand) -> None:
    assert len(understood(a_form(comment="Ж" * 100_000), fields=MAP).response.comment) == LONGEST_COMMENT


def test_the_reason_never_repeats_what_the_customer_wrote(understood: Understand) -> None:
    verdict = understood(a_form(score="anna@example.com", comment="secret"), fields=MAP)
    assert "anna" not in verdict.reason


def test_an_id_may_be_a_number_and_is_text_afterwards(understood: Understand) -> None:
    assert understood(a_form(hidden={"customer_id": 17}), fields=MAP).response.customer_id == "17"
    assert understood(a_form(hidden={"customer_id": " c-1 "}), fields=MAP).response.customer_id == "c-1"
    assert understood(a_form(hidden={"customer_id": ""}), fields=MAP).response.customer_id is None
    assert understood(a_form(hidden=None), fields=MAP).response.customer_id is None
    assert understood(a_form(hidden={"customer_id": True}), fields=MAP).field == "customer_id"
    assert understood(a_form(hidden={"customer_id": "c" * 201}), fields=MAP).field == "customer_id"


def test_the_source_says_what_the_payload_does_not(understood: Understand) -> None:
    bare = understood(a_form(hidden={}), fields=MAP, touchpoint="call centre", language="en").response
    assert (bare.touchpoint, bare.language) == ("call centre", "en")
    told = understood(a_form(), fields=MAP, touchpoint="call centre", language="en").response
    assert (told.touchpoint, told.language) == ("branch", "ru")


@pytest.mark.parametrize(
    ("language", "kept"),
    [("ru", "ru"), ("ru_RU", "ru-RU"), ("pt-BR", "pt-BR"), ("default", None), ("русский", None), (7, None), ("", None)],
)
def test_an_odd_language_keeps_nobody_waiting(understood: Understand, language: object, kept: str | None) -> None:
    assert understood(a_form(hidden={"language": language}), fields=MAP).response.language == kept


@pytest.mark.parametrize(
    "time", ["2026-03-01T10:00:00Z", "2026-03-01T13:00:00+03:00", "2026-03-01T10:00:00.000000+00:00", 1772359200]
)
def test_times_are_rfc_3339_or_unix_seconds(understood: Understand, time: object) -> None:
    found = understood(a_form(submitted_at=time), fields=MAP).response.answered_at
    assert found == datetime(2026, 3, 1, 10, tzinfo=UTC)


def test_a_time_without_a_zone_is_read_in_the_source_s(understood: Understand) -> None:
    form = a_form(submitted_at="2026-03-01 13:00:00")
    moscow = understood(form, fields=MAP, time_zone="Europe/Moscow").response.answered_at
    assert moscow == datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "time",
    [
        "yesterday",
        "2026-03-01",
        "2026-13-01T10:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "1" * 99,
        1772359200000,
        -5,
        True,
        [],
    ],
)
def test_what_is_no_time_is_not_understood(understood: Understand, time: object) -> None:
    verdict = understood(a_form(submitted_at=time), fields=MAP)
    assert isinstance(verdict, NotUnderstood)
    assert "form_response.submitted_at" in verdict.reason


def test_without_any_time_no_clock_could_run(understood: Understand) -> None:
    form = a_form()
    del form["form_response"]["submitted_at"]
    assert understood(form, fields=MAP).field == "answered_at"
    form["form_response"]["landed_at"] = "2026-03-01T09:58:00Z"
    assert understood(form, fields=MAP).response.answered_at == datetime(2026, 3, 1, 9, 58, tzinfo=UTC)


def test_clocks_may_differ_but_not_by_a_day(understood: Understand) -> None:
    ahead = (MONDAY + timedelta(minutes=10)).isoformat()
    assert isinstance(understood(a_form(submitted_at=ahead), fields=MAP), Understood)
    far = (MONDAY + timedelta(days=2)).isoformat()
    assert isinstance(understood(a_form(submitted_at=far), fields=MAP), NotUnderstood)


@pytest.mark.parametrize("token", [None, "", "  ", [], True, "t" * 201])
def test_a_response_without_an_id_could_not_be_counted_once(understood: Understand, token: object) -> None:
    assert isinstance(understood(a_form(token=token), fields=MAP), NotUnderstood)


@given(ANYTHING, ANYTHING, ANYTHING, ANYTHING, ANYTHING)
def test_whatever_stands_in_the_places_there_is_a_verdict(
    understood: Understand, score: object, comment: object, hidden: object, time: object, answers: object
) -> None:
    for form in (a_form(score, comment, hidden=hidden, submitted_at=time), a_form(answers=answers)):
        verdict = understood(form, fields=MAP)
        assert isinstance(verdict, (Understood, NotUnderstood))
        if isinstance(verdict, NotUnderstood):
            assert not verdict.reason.startswith("reading it failed")
