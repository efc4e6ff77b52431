"""New themes from comments that have none, and examples that tell nobody's number."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scoring.domain.comments.masking import LONGEST_EXCERPT, MASK, excerpt
from services.scoring.domain.comments.phrases import phrases
from services.scoring.domain.comments.suggestions import FEWEST_PERSONS, Written, suggestions, surprise


def by_many(comment: str, people: int, prefix: str = "p") -> list[Written]:
    return [Written(f"{prefix}-r{n}", f"{prefix}-{n}", comment) for n in range(people)]


OTHERS = ["Очередь была очень долгая", "Курьер опоздал на час", "Очень дорого, и приложение зависает"] * 20


def test_what_many_comments_without_a_theme_say_is_suggested_in_its_most_used_form() -> None:
    comments = [
        *by_many("Очень хочется бесплатную парковку", 6, "a"),
        *by_many("Где бесплатная парковка?", 7, "b"),
        *by_many("Где-то что-то не так", 9, "c"),
        *by_many("They are very far from my cousins house in Tuesday", 2, "d"),
    ]
    found = suggestions(comments, OTHERS)
    assert [(each.language, each.stems, each.phrase, each.comments) for each in found][:1] == [
        ("ru", "бесплатн парковк", "бесплатная парковка", 13)
    ]
    assert set(found[0].examples) <= {written.id for written in comments if "парковк" in written.comment}
    assert not any("tuesday" in each.phrase for each in found)
    for each in found:
        assert phrases(each.phrase)


def test_what_one_person_says_often_is_not_suggested() -> None:
    comments = [Written(f"r-{n}", "the same", "Верните зелёные тележки") for n in range(50)]
    assert suggestions(comments, OTHERS) == []
    assert suggestions(by_many("Верните зелёные тележки", FEWEST_PERSONS - 1), OTHERS) == []
    assert suggestions(by_many("Верните зелёные тележки", FEWEST_PERSONS), OTHERS)


def test_what_others_say_as_often_is_not_suggested() -> None:
    comments = by_many("Здравствуйте, уважаемая компания", 20)
    assert suggestions(comments, [written.comment for written in comments]) == []
    assert suggestions([], OTHERS) == []


def test_english_comments_have_suggestions_of_their_own() -> None:
    comments = [*by_many("We need vegan meals at the airport", 8, "e"), *by_many("Нужна детская комната", 8, "r")]
    languages = {each.language for each in suggestions(comments, [*OTHERS, *["The queue was too long"] * 20])}
    assert languages == {"ru", "en"}


def test_numbers_never_become_suggestions() -> None:
    assert suggestions(by_many("Договор 4417 номер 89161234567", 9), OTHERS) != []
    assert not any(
        any(character.isdigit() for character in each.phrase)
        for each in suggestions(by_many("Договор 4417 номер 89161234567", 9), OTHERS)
    )


@pytest.mark.parametrize(
    ("here", "all_here", "there", "all_there", "expected"),
    [
        # Published: Dunning 1993, table 1, "the swiss".
        (110, 110 + 2442, 111, 111 + 29114, 270.72),
        (5, 100, 5, 100, 0.0),
        (0, 10, 3, 10, 0.0),
    ],
)
def test_surprise_is_dunnings_statistic(here: int, all_here: int, there: int, all_there: int, expected: float) -> None:
    assert surprise(here, all_here, there, all_there) == pytest.approx(expected, abs=0.01)


@given(st.integers(1, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
@settings(max_examples=100)
def test_surprise_is_never_negative_and_grows_with_the_difference(a: int, b: int, c: int, d: int) -> None:
    found = surprise(a, a + b, c, c + d)
    assert found >= -1e-9
    if c + d and b:
        assert surprise(a + 1, a + b, c, c + d) >= found - 1e-9


@pytest.mark.parametrize(
    ("comment", "shown"),
    [
        ("Звоните +7 (916) 123-45-67, спросить Олю", f"Звоните {MASK}, спросить Олю"),
        ("карта 4276 1234 5678 9010 не работает", f"карта {MASK} не работает"),
        ("пишите на ivan.petrov@example.org!", f"пишите на {MASK}"),
        ("см. https://example.org/a?b=1 и @ivan_petrov", f"см. {MASK} и {MASK}"),
        ("Ждала 40 минут, 15 марта 2026", "Ждала 40 минут, 15 марта 2026"),
        ("8 400 р.", "8 400 р."),
    ],
)
def test_examples_show_no_numbers_and_addresses(comment: str, shown: str) -> None:
    assert excerpt(comment) == shown


@given(st.text(max_size=2000))
@settings(max_examples=100)
def test_an_excerpt_is_short(comment: str) -> None:
    assert len(excerpt(comment)) <= LONGEST_EXCERPT + 1
