from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.contracts.responses import ResponseReceived, ResponseRevised
from services.ingest.domain.deliveries import (
    Arrival,
    Ignored,
    Known,
    NotUnderstood,
    Outcome,
    Plan,
    Status,
    after_replay,
    delivery_key,
    hash_of,
    new_delivery_id,
    plan,
)
from services.ingest.domain.publication import event_of, key_of
from services.ingest.domain.responses import (
    DeliveryId,
    Latest,
    NextRevision,
    Outdated,
    Response,
    ResponseId,
    SameContent,
    content_hash,
    decide,
    event_id,
    response_id,
)

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
AnArrival = Callable[..., Arrival]


def minute(number: int) -> datetime:
    return MONDAY + timedelta(minutes=number)


def latest_of(response: Response, revision: int = 1, received_at: datetime = MONDAY) -> Latest:
    id_ = response_id("s", response.vendor_response_id)
    return Latest(revision, content_hash(response), response.revised_at, event_id(id_, revision), received_at)


def decided(
    known: Response | None, told: Response, *, replayed_from: datetime | None = None
) -> NextRevision | SameContent | Outdated:
    latest = None if known is None else latest_of(known)
    return decide(latest, told, content_hash(told), replayed_from=replayed_from)


class Memory:
    """What a database would hold, for plans that are made batch after batch."""

    def __init__(self) -> None:
        self.rows: list[Known] = []
        self.latest: dict[ResponseId, Latest] = {}
        self.published: list[UUID] = []
        self.copies = 0

    def record(self, arrivals: Sequence[Arrival]) -> Plan:
        found = plan(arrivals, self.rows, self.latest)
        for row in found.rows:
            arrival = row.arrival
            key = (arrival.source.name, arrival.key, arrival.body_hash)
            self.rows.append(Known(*key, row.conflicting, row.outcome))
        for id_, revised in (found.new | found.changed).items():
            self.latest[id_] = revised.latest
        self.published += [revision.event_id for revision in found.revisions]
        self.copies += found.copies.total()
        return found


def test_the_first_revision_is_number_one(a_response: Callable[..., Response]) -> None:
    assert decided(None, a_response()) == NextRevision(1)


def test_the_same_content_again_is_nothing_new(a_response: Callable[..., Response]) -> None:
    assert decided(a_response(), a_response()) == SameContent(None)
    told = a_response(revised_at=minute(5))
    assert decided(a_response(revised_at=minute(1)), told) == SameContent(minute(5))
    # It was confirmed later than another content that may still be on its way.
    assert decided(told, a_response(revised_at=minute(1))) == SameContent(minute(5))
    assert decided(told, a_response()) == SameContent(minute(5))


@pytest.mark.parametrize(
    "change",
    [
        {"score": 4},
        {"score": None},
        {"comment": "Долго"},
        {"customer_id": "c-2"},
        {"customer_id": None},
        {"touchpoint": "branch"},
        {"language": "en"},
        {"answered_at": minute(1)},
        {"claimed_class": "passive"},
    ],
)
def test_any_other_content_is_the_next_revision(a_response: Callable[..., Response], change: dict[str, Any]) -> None:
    assert decided(a_response(), a_response(**change)) == NextRevision(2)


def test_an_older_revision_is_outdated_by_the_vendor_s_own_time(a_response: Callable[..., Response]) -> None:
    known = a_response(score=9, revised_at=minute(5))
    assert decided(known, a_response(score=3, revised_at=minute(4))) == Outdated()
    assert decided(known, a_response(score=3, revised_at=minute(5))) == NextRevision(2)
    assert decided(known, a_response(score=3, revised_at=minute(6))) == NextRevision(2)
    assert decided(known, a_response(score=3)) == NextRevision(2)  # told nothing: what comes later is later


def test_a_replay_does_not_bring_back_what_was_replaced(a_response: Callable[..., Response]) -> None:
    known = a_response(score=9)  # received at MONDAY
    assert decided(known, a_response(score=3), replayed_from=minute(-1)) == Outdated()
    assert decided(known, a_response(score=3), replayed_from=minute(1)) == NextRevision(2)
    # The same delivery by another field map is the next revision of itself.
    assert decided(known, a_response(score=3), replayed_from=MONDAY) == NextRevision(2)


def test_ids_follow_from_source_vendor_s_id_and_revision() -> None:
    assert response_id("a", "r-1") == response_id("a", "r-1")
    ids = {response_id("a", "r-1"), response_id("b", "r-1"), response_id("a", "r-2"), response_id("ar-", "1")}
    assert len(ids) == 4
    assert event_id(response_id("a", "r-1"), 2) == uuid5(response_id("a", "r-1"), "2")


def test_ids_of_deliveries_are_in_order_of_time() -> None:
    ids = [
        new_delivery_id(MONDAY + timedelta(milliseconds=n), randomness)
        for n in range(50)
        for randomness in (2**74 - 1, 0)
    ]
    assert [id_.time_low for id_ in ids] == sorted(id_.time_low for id_ in ids)
    assert all(later > earlier for earlier, later in zip(ids[::2], ids[2::2], strict=False))
    assert {id_.version for id_ in ids} == {7}


def test_a_delivery_is_known_by_the_vendor_s_id_or_by_its_body() -> None:
    body_hash = hash_of(b"{}")
    assert delivery_key("evt-1", body_hash) == "evt-1"
    none: object
    for none in (None, "", 7, ["evt"], {}):
        assert delivery_key(none, body_hash) == f"sha256:{body_hash.hex()}"
    for odd in ("x" * 201, "a\0b", "a\nb", "\ud800"):
        key = delivery_key(odd, body_hash)
        assert key.startswith("sha256-of-id:")
        assert key.isprintable()
        assert key != delivery_key(odd + "x", body_hash)


def test_the_same_delivery_again_is_answered_with_the_first(an_arrival: AnArrival) -> None:
    memory = Memory()
    [first] = memory.record([an_arrival(b"1", key="k")]).outcomes
    again = memory.record([an_arrival(b"1", key="k", minute=1), an_arrival(b"1", key="k", minute=2)])
    assert [(o.status, o.delivery_id, o.event_ids) for o in again.outcomes] == [
        (Status.DUPLICATE, first.delivery_id, first.event_ids)
    ] * 2
    assert again.copies == {first.delivery_id: 2}
    assert not again.rows
    assert not again.revisions


def test_another_body_under_a_known_id_is_kept_and_marked_and_changes_nothing(an_arrival: AnArrival) -> None:
    memory = Memory()
    [first] = memory.record([an_arrival(b"1", key="k", score=3)]).outcomes
    other = memory.record([an_arrival(b"2", key="k", score=9), an_arrival(b"2", key="k", score=9, minute=1)])
    assert {outcome.status for outcome in other.outcomes} == {Status.DUPLICATE}
    assert {outcome.event_ids for outcome in other.outcomes} == {first.event_ids}
    [row] = other.rows
    assert row.conflicting
    assert row.arrival.body == b"2"
    assert str(first.delivery_id) in (row.outcome.reason or "")
    assert not other.revisions
    [once_more] = memory.record([an_arrival(b"2", key="k", score=9, minute=2)]).outcomes
    assert once_more.delivery_id == row.arrival.id
    assert len(memory.rows) == 2


def test_revisions_of_one_response_in_one_batch_are_decided_in_the_order_of_arrival(an_arrival: AnArrival) -> None:
    found = Memory().record(
        [
            an_arrival(b"1", score=3, revised_at=minute(1)),
            an_arrival(b"2", score=3, comment="Долго", revised_at=minute(2)),
            an_arrival(b"3", score=3, revised_at=minute(1)),
            an_arrival(b"4", score=4, comment="Долго", revised_at=minute(3)),
            an_arrival(b"5", score=4, comment="Долго", revised_at=minute(4)),
        ]
    )
    assert [outcome.status for outcome in found.outcomes] == [
        Status.ACCEPTED,
        Status.ACCEPTED,
        Status.IGNORED,
        Status.ACCEPTED,
        Status.DUPLICATE,
    ]
    assert [revision.revision for revision in found.revisions] == [1, 2, 3]
    [(_, revised)] = found.new.items()
    assert (revised.latest.revision, revised.latest.revised_at) == (3, minute(4))
    assert not found.changed


def test_a_response_in_between_that_a_confirmation_has_overtaken_is_outdated(an_arrival: AnArrival) -> None:
    memory = Memory()
    memory.record([an_arrival(b"1", score=3, revised_at=minute(1)), an_arrival(b"2", score=3, revised_at=minute(5))])
    [late] = memory.record([an_arrival(b"3", score=9, revised_at=minute(3))]).outcomes
    assert late.status is Status.IGNORED


def test_what_is_not_understood_is_quarantined_and_what_is_of_no_effect_ignored(an_arrival: AnArrival) -> None:
    found = Memory().record(
        [an_arrival(b"1", verdict=NotUnderstood("no score")), an_arrival(b"2", verdict=Ignored("an unsubscribe"))]
    )
    assert [(o.status, o.reason, o.event_ids) for o in found.outcomes] == [
        (Status.QUARANTINED, "no score", ()),
        (Status.IGNORED, "an unsubscribe", ()),
    ]


def test_what_was_published_stays_true_whatever_a_replay_says() -> None:
    delivery = DeliveryId(UUID(int=1))
    one, two = UUID(int=2), UUID(int=3)
    accepted = Outcome(delivery, Status.ACCEPTED, None, None, (one,))
    assert after_replay(accepted, Outcome(delivery, Status.QUARANTINED, "no score")) == accepted
    assert after_replay(accepted, Outcome(delivery, Status.DUPLICATE, "the same", None, (one,))) == accepted
    assert after_replay(accepted, Outcome(delivery, Status.ACCEPTED, None, None, (two,))).event_ids == (one, two)
    quarantined = Outcome(delivery, Status.QUARANTINED, "no score")
    assert after_replay(quarantined, accepted) == accepted


def test_the_first_revision_is_received_and_each_further_one_revises_all_of_it(an_arrival: AnArrival) -> None:
    found = Memory().record(
        [an_arrival(b"1", score=3), an_arrival(b"2", score=3, comment="Долго", claimed_class="passive")]
    )
    first, second = (event_of(revision, MONDAY) for revision in found.revisions)
    assert isinstance(first.payload, ResponseReceived)
    assert isinstance(second.payload, ResponseRevised)
    assert (second.payload.score, second.payload.comment, second.payload.revision) == (3, "Долго", 2)
    assert second.payload.claimed_class == "passive"
    assert (second.payload.program, second.payload.source) == ("retail", "typeform-main")
    assert second.subject == first.subject == second.payload.response_id
    assert first.traceparent is not None
    assert msgspec.json.decode(msgspec.json.encode(second.payload), type=ResponseRevised) == second.payload


def test_events_are_ordered_by_customer_and_else_by_response(an_arrival: AnArrival) -> None:
    found = Memory().record([an_arrival(b"1", customer_id="c-9"), an_arrival(b"2", id_="r-2", customer_id=None)])
    known, unknown = found.revisions
    assert key_of(known) == "c-9"
    assert key_of(unknown) == str(unknown.response_id)


DELIVERIES = st.lists(
    st.tuples(st.sampled_from(["r-1", "r-2", "r-3"]), st.integers(0, 5), st.sampled_from([None, "a", "b", "c", "d"])),
    max_size=25,
)


@given(DELIVERIES, st.data())
def test_any_sequence_in_any_batches_counts_each_response_once_with_its_latest_revision(
    an_arrival: AnArrival, deliveries: list[tuple[str, int, str | None]], data: st.DataObject
) -> None:
    memory = Memory()
    arrivals = [
        an_arrival(f"{response}/{at}".encode(), key=key, minute=n, id_=response, score=at, revised_at=minute(at))
        for n, (response, at, key) in enumerate(deliveries)
    ]
    rest = list(arrivals)
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        memory.record(rest[:size])
        rest = rest[size:]

    effective = list({arrival.key: arrival for arrival in reversed(arrivals)}.values())[::-1]
    best: dict[str, int] = {}
    published = 0
    for arrival in sorted(effective, key=lambda arrival: arrival.received_at):
        told: Response = arrival.verdict.response  # type: ignore[union-attr] # all are understood here
        if told.score is not None and told.score > best.get(told.vendor_response_id, -1):
            best[told.vendor_response_id] = told.score
            published += 1
    assert len(memory.published) == len(set(memory.published)) == published
    assert {id_: latest.revised_at for id_, latest in memory.latest.items()} == {
        response_id("typeform-main", id_): minute(revised) for id_, revised in best.items()
    }
    assert len(memory.rows) == len({(arrival.key, arrival.body) for arrival in arrivals})
    assert len(memory.rows) + memory.copies == len(arrivals)
