"""Responses that come in parts, and responses that are taken back."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.contracts.responses import ResponseReceived, ResponseRevised, ResponseWithdrawn
from services.ingest.domain.deliveries import Arrival, Plan, Status, Understood, plan
from services.ingest.domain.publication import event_of, key_of
from services.ingest.domain.responses import Latest, Response, ResponseId

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
AnArrival = Callable[..., Arrival]
AResponse = Callable[..., Response]


def minute(number: int) -> datetime:
    return MONDAY + timedelta(minutes=number)


@pytest.fixture(scope="session")
def a_part(an_arrival: AnArrival, a_response: AResponse) -> Callable[..., Arrival]:
    """A delivery that tells one part of response r-1 at a minute."""

    def make(at: int, **told: object) -> Arrival:
        nothing = {"score": None, "customer_id": None, "language": None}
        part = a_response(**{**nothing, "answered_at": minute(at), "revised_at": minute(at), **told})
        verdict = Understood.of("typeform-main", part, partial=True)
        return an_arrival(repr((at, told)).encode(), minute=at, verdict=verdict)

    return make


def record(*arrivals: Arrival) -> tuple[list[Plan], dict[ResponseId, Latest]]:
    """Each in a batch of its own."""
    latest: dict[ResponseId, Latest] = {}
    plans = []
    for arrival in arrivals:
        found = plan([arrival], (), latest)
        plans.append(found)
        latest |= {id_: revised.latest for id_, revised in (found.new | found.changed).items()}
    return plans, latest


def told(latest: dict[ResponseId, Latest]) -> Response:
    [only] = latest.values()
    assert only.told is not None
    return only.told


def test_the_parts_of_a_response_are_one_response(a_part: Callable[..., Arrival]) -> None:
    plans, latest = record(a_part(0, score=3), a_part(1, comment="Долго"), a_part(2, customer_id="c-1"))
    assert [each.revisions[0].revision for each in plans] == [1, 2, 3]
    whole = told(latest)
    assert (whole.score, whole.comment, whole.customer_id) == (3, "Долго", "c-1")
    assert whole.answered_at == minute(0)
    assert plans[-1].revisions[0].response == whole


def test_the_parts_may_come_in_one_batch(a_part: Callable[..., Arrival]) -> None:
    found = plan([a_part(0, score=3), a_part(1, comment="Долго")], (), {})
    assert [(each.revision, each.response.score, each.response.comment) for each in found.revisions] == [
        (1, 3, None),
        (2, 3, "Долго"),
    ]


def test_in_whatever_order_the_parts_come_the_response_is_the_same(a_part: Callable[..., Arrival]) -> None:
    parts = [a_part(0, score=3), a_part(1, comment="Долго"), a_part(2, customer_id="c-1"), a_part(3, language="ru")]
    ends = {repr(told(record(*order)[1])) for order in permutations(parts)}
    assert len(ends) == 1


@given(again=st.lists(st.integers(0, 2), max_size=8))
def test_a_part_that_comes_again_changes_nothing(a_part: Callable[..., Arrival], again: list[int]) -> None:
    parts = [a_part(0, score=3), a_part(1, comment="Долго"), a_part(2, customer_id="c-1")]
    _, once = record(*parts)
    plans, latest = record(*parts, *(parts[number] for number in again))
    assert told(latest) == told(once)
    assert sum(len(each.revisions) for each in plans) == 3
    assert all(each.outcomes[0].status is Status.DUPLICATE for each in plans[3:])


def test_a_later_answer_to_the_same_question_counts_and_an_earlier_one_does_not(a_part: Callable[..., Arrival]) -> None:
    assert told(record(a_part(0, score=3), a_part(1, score=9))[1]).score == 9
    assert told(record(a_part(1, score=9), a_part(0, score=3))[1]).score == 9


def test_the_clock_starts_with_the_first_part(a_part: Callable[..., Arrival]) -> None:
    assert told(record(a_part(5, comment="Долго"), a_part(0, score=3))[1]).answered_at == minute(0)


@pytest.fixture(scope="session")
def withdrawn(an_arrival: AnArrival, a_response: AResponse) -> Callable[..., Arrival]:
    def make(at: int) -> Arrival:
        nothing: dict[str, Any] = {"score": None, "customer_id": None, "language": None}
        response = a_response(**nothing, answered_at=minute(at), revised_at=minute(at), withdrawn=True)
        return an_arrival(b"withdrawn %d" % at, minute=at, verdict=Understood.of("typeform-main", response))

    return make


def test_a_withdrawal_is_published_once(an_arrival: AnArrival, withdrawn: Callable[..., Arrival]) -> None:
    plans, _ = record(an_arrival(b"1", score=3, revised_at=minute(0)), withdrawn(1), withdrawn(2))
    events = [event_of(revision, minute(3)) for each in plans for revision in each.revisions]
    assert [type(event.payload) for event in events] == [ResponseReceived, ResponseWithdrawn]
    payload = events[1].payload
    assert isinstance(payload, ResponseWithdrawn)
    assert (payload.revision, payload.withdrawn_at, payload.vendor_response_id) == (2, minute(1), "r-1")
    assert key_of(plans[1].revisions[0]) == "c-1"  # behind what it takes back
    assert plans[2].outcomes[0].status is Status.DUPLICATE


def test_what_is_older_than_a_withdrawal_does_not_bring_the_response_back(
    an_arrival: AnArrival, withdrawn: Callable[..., Arrival]
) -> None:
    plans, _ = record(withdrawn(5), an_arrival(b"1", score=3, revised_at=minute(0)))
    assert plans[1].outcomes[0].status is Status.IGNORED
    assert plans[1].revisions == []


def test_what_is_newer_than_a_withdrawal_counts_again(an_arrival: AnArrival, withdrawn: Callable[..., Arrival]) -> None:
    plans, _ = record(withdrawn(5), an_arrival(b"1", score=3, revised_at=minute(6)))
    [revision] = plans[1].revisions
    assert isinstance(event_of(revision, minute(7)).payload, ResponseRevised)
