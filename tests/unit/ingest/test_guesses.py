"""What a field map probably is, guessed from each vendor's documented sample."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.fields import FieldMap, Reference
from services.ingest.domain.guesses import Candidate, guess
from services.ingest.vendors import VENDORS
from services.ingest.vendors.candidates import candidates, payload_of


@pytest.mark.parametrize(
    ("vendor", "expected"),
    [
        ("tally", {"score": "question_3EKz4n", "comment": "question_nr5GP6", "customer": "customer_id"}),
        ("survicate", {"score": "12123", "customer": "customer_id"}),
        ("smartsurvey", {"score": "10002"}),
        ("wootric", {"score": "response.score", "customer": "response.external_id"}),
        ("asknicely", {"score": "question.score", "comment": "question.comment", "customer": "customer_id"}),
        ("zenloop", {"score": "answer.score", "comment": "answer.comment", "customer": "customer_id"}),
        ("generic", {"score": "score", "touchpoint": "touchpoint", "customer": "customer_id"}),
        ("limesurvey", {"score": "NPS", "comment": "WHY"}),
        ("jotform", {"comment": "q4_why", "score": "q3_how"}),
        ("typeform", {"customer": "customer_id"}),
    ],
)
def test_the_map_is_guessed_from_the_sample(
    sample: Callable[[str], bytes], content_types: Mapping[str, str], vendor: str, expected: dict[str, str]
) -> None:
    description = VENDORS[vendor]
    content_type = content_types.get(vendor, "application/json")
    guessed = guess(candidates(description, payload_of(description, sample(vendor), content_type)))
    found = {name: reference.name for name in expected if (reference := getattr(guessed, name)) is not None}
    assert found == expected


def test_a_question_about_recommending_goes_before_another_rating() -> None:
    places = [
        Candidate(Reference("question", "q1"), "How was the food?", 3),
        Candidate(Reference("question", "q2"), "Порекомендуете ли вы нас?", 9),
    ]
    assert guess(places).score == Reference("question", "q2")


def test_two_ratings_that_nobody_can_tell_apart_are_not_guessed() -> None:
    places = [Candidate(Reference("question", name), "", 3) for name in ("q1", "q2")]
    assert guess(places).score is None


def test_nothing_is_guessed_from_nothing() -> None:
    assert guess([]) == FieldMap()


PLACES = st.lists(
    st.builds(
        Candidate,
        st.builds(Reference, st.sampled_from(["question", "hidden", "path"]), st.text(max_size=10)),
        st.text(max_size=30),
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())),
    ),
    max_size=20,
)


@given(places=PLACES)
def test_a_guess_names_places_that_are_there_and_hold_what_fits(places: list[Candidate]) -> None:
    guessed = guess(places)
    values: dict[Reference, list[Any]] = {}
    for place in places:
        values.setdefault(place.reference, []).append(place.value)
    for name in ("score", "comment", "customer", "touchpoint", "language"):
        reference = getattr(guessed, name)
        assert reference is None or reference in values
    if guessed.score is not None:
        assert any(isinstance(value, (int, str)) for value in values[guessed.score])
