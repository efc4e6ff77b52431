"""What accounts say as a whole, and how many of the invited answered."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.statistics.bounded import bounded_mean
from services.scoring.domain.account_scores import ContactAnswer, Role, account_score, role_of
from services.scoring.domain.invitations import Contact, rate
from services.scoring.domain.nps import nps_class
from services.scoring.domain.privacy import hidden
from services.scoring.domain.segments import AccountScoring

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
WEIGHTS = AccountScoring()


def said(score: int, role: Role = "end_user", customer: str = "c-1", days: int = 0) -> ContactAnswer:
    class_: Any = "promoter" if score >= 9 else "passive" if score >= 7 else "detractor"
    return ContactAnswer(customer, "Анна", role, f"r-{customer}", "b2b", score, class_, MONDAY + timedelta(days=days))


def test_a_nine_from_the_user_does_not_hide_a_four_from_the_decision_maker() -> None:
    answers = [said(9), said(4, "decision_maker", "c-2", days=3)]
    found = account_score("relationship", answers, {"end_user": 4, "decision_maker": 1}, WEIGHTS)
    assert found is not None
    assert (found.score, found.answered, found.contacts) == ((9 + 3 * 4) / 4, 2, 5)
    assert (found.flagged, [each.customer_id for each in found.unhappy_deciders]) == (True, ["c-2"])
    assert found.explained() == (
        "2 of 5 contacts answered; decision maker 4 (n 1, weight 3); end user 9 (n 1, weight 1); "
        "a decision maker is a detractor (gave 4), which the mean of 5.25 may hide"
    )
    assert found.good_until == MONDAY + timedelta(days=365)
    assert [(each.role, each.worst) for each in found.roles] == [
        ("decision_maker", 4), ("end_user", 9), ("other", None),
    ]  # fmt: skip


def test_an_unhappy_user_is_no_flag_and_an_account_of_which_nobody_has_a_weight_has_no_score() -> None:
    found = account_score("relationship", [said(0), said(9, "decision_maker")], {}, WEIGHTS)
    assert found is not None
    assert not found.flagged
    assert account_score("relationship", [said(5)], {}, AccountScoring(end_user=0)) is None
    assert account_score("relationship", [], {}, WEIGHTS) is None


def test_the_interval_says_what_those_could_change_who_did_not_answer() -> None:
    def score(answered: int, contacts: int) -> tuple[float, float, float]:
        answers = [said(4 if n % 2 else 8, customer=f"c-{n}") for n in range(answered)]
        found = account_score("relationship", answers, {"end_user": contacts}, WEIGHTS)
        assert found is not None
        return found.low, found.score, found.high

    # All answered: nothing is left to be unsure of. One of many did: next to nothing is known.
    assert score(4, 4) == (6, 6, 6)
    low, value, high = score(1, 50)
    assert (value, low < 2.5, high > 9.5) == (8, True, True)
    widths = [high - low for low, _, high in (score(2, 100), score(10, 100), score(50, 100), score(99, 100))]
    assert widths == sorted(widths, reverse=True)


def test_the_interval_of_a_bounded_mean_is_wilsons_where_it_is_a_share() -> None:
    # Of a large population, equal weights and answers of 0 and 1 it is the interval of a proportion: Newcombe 1998.
    answers = [(1.0, 1.0)] * 15 + [(1.0, 0.0)] * 133
    found = bounded_mean(answers, least=0, most=1, population_weight=1e12)
    assert found is not None
    assert [found.low, found.high] == pytest.approx([0.0624, 0.1605], abs=5e-5)
    assert bounded_mean([(0.0, 3.0)], least=0, most=10, population_weight=1) is None


@settings(deadline=None, max_examples=60)
@given(
    answers=st.lists(st.tuples(st.floats(0.1, 9), st.integers(0, 10)), min_size=1, max_size=8),
    others=st.floats(0, 1000),
)
def test_the_interval_of_a_bounded_mean_stands_on_the_scale_around_it(
    answers: list[tuple[float, int]], others: float
) -> None:
    population = sum(weight for weight, _ in answers) + others
    found = bounded_mean(answers, least=0, most=10, population_weight=population)
    assert found is not None
    assert -1e-9 <= found.low <= found.value <= found.high <= 10 + 1e-9


def test_a_role_that_nobody_told_is_another_role() -> None:
    assert [role_of(each) for each in ("decision_maker", "end_user", None)] == ["decision_maker", "end_user", "other"]


roles: st.SearchStrategy[Role] = st.sampled_from(["decision_maker", "end_user", "other"])


@settings(deadline=None)
@given(given_=st.lists(st.tuples(st.integers(0, 10), roles), min_size=1, max_size=8), weight=st.integers(1, 9))
def test_the_score_is_the_mean_of_as_many_voices_as_the_weights_say(
    given_: list[tuple[int, Role]], weight: int
) -> None:
    answers = [said(score, role, f"c-{n}") for n, (score, role) in enumerate(given_)]
    scoring = AccountScoring(decision_maker=weight, end_user=1, other=2)
    voices = [score for score, role in given_ for _ in range(int(scoring.weight(role)))]
    found = account_score("transactional", answers, {}, scoring)
    assert found is not None
    assert found.score == pytest.approx(sum(voices) / len(voices))
    assert found.flagged == any(score <= 6 for score, role in given_ if role == "decision_maker")
    assert [each.score for each in found.answers] == sorted(score for score, _ in given_)


@pytest.mark.parametrize(
    ("answered", "n", "low", "high"),
    # R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17, 1998,
    # table I: the score method without continuity correction.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_of_a_rate_is_that_of_the_literature(answered: int, n: int, low: float, high: float) -> None:
    found = rate(invited=n + 7, bounced=7, answered=answered, waiting=0)
    assert found.value == answered / n
    assert [found.low, found.high] == pytest.approx([low, high], abs=5e-5)


def test_where_nobody_was_reached_there_is_no_rate() -> None:
    found = rate(invited=3, bounced=3, answered=0, waiting=0)
    assert (found.reached, found.value, found.low, found.high) == (0, None, None, None)


@settings(deadline=None)
@given(sizes=st.lists(st.integers(0, 30), max_size=8))
def test_no_small_group_can_be_told_by_subtraction(sizes: list[int]) -> None:
    unseen = hidden(sizes, 5)
    assert all(place in unseen for place, size in enumerate(sizes) if 0 < size < 5)
    left = sum(sizes[place] for place in unseen)
    assert left == 0 or left >= 5 or all(size < 5 for size in sizes)
    if all(size == 0 or size >= 5 for size in sizes):
        assert not unseen


@pytest.mark.parametrize(
    ("contact", "important"),
    [
        (Contact("key", "x", None, None, False), True),
        (Contact("high", "x", "a-1", "decision_maker", True), True),
        (Contact("high", "x", "a-1", "decision_maker", False), False),
        (Contact("high", "x", "a-1", "end_user", True), False),
    ],
)
def test_whose_silence_counts(contact: Contact, *, important: bool) -> None:
    assert contact.important is important


def test_classes_in_these_tests_are_those_of_scoring(an_instrument: Any) -> None:  # noqa: ANN401 - a factory
    assert [said(score).nps_class for score in range(11)] == [nps_class(an_instrument(), score) for score in range(11)]
