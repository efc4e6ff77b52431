"""What people enter about a conversation guide becomes what casework takes, or says what is wrong."""

import pytest

from services.portal.domain.guideforms import FIELDS, guide_of, id_for, is_id, mistakes

ENTERED = dict.fromkeys(FIELDS, "Слова") | {
    "questions_ru": "Что случилось?\n\n  А потом? \n",
    "questions_en": "What?\nThen?",
}


def test_the_lines_of_both_languages_become_pairs() -> None:
    assert mistakes(ENTERED) == {}
    body = guide_of(ENTERED, ("waiting",), retired=False)
    assert body["questions"] == [{"ru": "Что случилось?", "en": "What?"}, {"ru": "А потом?", "en": "Then?"}]
    assert (body["themes"], body["retired"], body["title_ru"]) == (["waiting"], False, "Слова")


@pytest.mark.parametrize(
    ("field", "written", "why"),
    [
        ("title_en", "", "missing"),
        ("title_ru", "т" * 201, "long"),
        ("opening_ru", "т" * 2_001, "long"),
        ("questions_ru", " \n ", "missing"),
        ("questions_ru", "?\n" * 21, "many"),
        ("questions_ru", "т" * 2_001 + "\n?", "long"),
    ],
)
def test_what_cannot_be_is_named(field: str, written: str, why: str) -> None:
    assert mistakes(ENTERED | {field: written}) == {field: why}


def test_languages_that_ask_differently_often_are_told() -> None:
    assert mistakes(ENTERED | {"questions_en": "What?"}) == {"questions_en": "uneven"}


@pytest.mark.parametrize(
    ("title", "id_"),
    [
        ("Waiting, and again", "waiting-and-again-0123abcd"),
        ("Ожидание", "0123abcd"),
        ("x" * 200, "x" * 80 + "-0123abcd"),
    ],
)
def test_a_new_guide_gets_an_id_of_its_own(title: str, id_: str) -> None:
    found = id_for(title, "0123abcd-0000-4000-8000-000000000000")
    assert found == id_
    assert is_id(found)
