"""Answers in, each counted once with its latest revision, and announced whenever that changed."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from libs.events.contracts.responses import ResponseWithdrawn
from libs.events.contracts.scores import ResponseRescored, ResponseRetracted, ResponseScored
from libs.events.database import Database
from libs.events.errors import PermanentError
from libs.events.event import Event, EventId
from libs.statistics.nps import nps
from services.scoring.handlers import score_responses
from services.scoring.store import responses as responses_store

AnAnswer = Callable[..., Event[Any]]
Deliver = Callable[..., Coroutine[None, None, None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
Rows = Callable[..., Awaitable[Sequence[Any]]]
Statements = Callable[[], AbstractContextManager[list[str]]]

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
on_a_database = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


async def test_a_first_answer_is_scored_under_its_customers_key(
    an_answer: AnAnswer, deliver: Deliver, published: Published
) -> None:
    answer = an_answer(score=3)
    await deliver(answer)
    ((key, event),) = await published()
    assert key == "c-1"
    assert isinstance(event.payload, ResponseScored)
    assert (event.payload.score, event.payload.nps_class, event.payload.comment) == (
        3,
        "detractor",
        "Ждала сорок минут",
    )
    assert (event.payload.tier, event.payload.tier_reason) == ("standard", "unknown customer")
    assert (event.payload.answered_at, event.traceparent) == (MONDAY, "00-a-b-01")
    assert (event.subject, event.source) == ("r-1", "/scoring")


async def test_an_answer_of_nobody_goes_under_its_own_key(
    an_answer: AnAnswer, deliver: Deliver, published: Published
) -> None:
    await deliver(an_answer("r-1", customer_id=None), an_answer("r-2", customer_id=""))
    assert [(key, event.payload.customer_id) for key, event in await published()] == [("r-1", None), ("r-2", None)]


async def test_a_late_comment_is_announced_with_what_was_before(
    an_answer: AnAnswer, deliver: Deliver, published: Published
) -> None:
    await deliver(an_answer(score=9, comment=None))
    await deliver(an_answer(revision=2, score=4, comment="Передумал"))
    _, (_, event) = await published()
    assert isinstance(event.payload, ResponseRescored)
    assert (event.payload.score, event.payload.nps_class, event.payload.comment) == (4, "detractor", "Передумал")
    assert (event.payload.previous_score, event.payload.previous_class) == (9, "promoter")


async def test_an_older_revision_changes_nothing_and_says_nothing(
    an_answer: AnAnswer, deliver: Deliver, published: Published, rows: Rows
) -> None:
    await deliver(an_answer(revision=2, score=10))
    await deliver(an_answer(revision=1, score=2))
    ((_, event),) = await published()
    assert isinstance(event.payload, ResponseScored)
    assert event.payload.revision == 2
    ((row),) = await rows("SELECT revision, score, nps_class FROM responses")
    assert tuple(row) == (2, 10, "promoter")


async def test_the_same_revision_under_another_id_says_nothing_new(
    an_answer: AnAnswer, deliver: Deliver, published: Published, rows: Rows
) -> None:
    first, same = an_answer(score=9), replace(an_answer(score=2), id=EventId(uuid4()))
    await deliver(first, same)
    await deliver(replace(same, id=EventId(uuid4())))
    assert [event.payload.score for _, event in await published()] == [9]
    assert [tuple(row) for row in await rows("SELECT score FROM responses")] == [(9,)]


async def test_revisions_in_one_batch_are_told_in_their_order(
    an_answer: AnAnswer, deliver: Deliver, published: Published, rows: Rows
) -> None:
    await deliver(an_answer(score=9), an_answer(revision=3, score=2), an_answer(revision=2, score=7))
    events = [event.payload for _, event in await published()]
    assert [(type(e).__name__, e.revision) for e in events] == [("ResponseScored", 1), ("ResponseRescored", 3)]
    assert events[1].previous_score == 9
    ((row),) = await rows("SELECT revision, score FROM responses")
    assert tuple(row) == (3, 2)


async def test_a_missing_score_has_no_class_and_counts_nowhere(
    an_answer: AnAnswer, deliver: Deliver, published: Published, client: httpx.AsyncClient
) -> None:
    await deliver(an_answer(score=None))
    ((_, event),) = await published()
    assert event.payload.nps_class is None
    assert (await client.get("/v1/metrics/nps")).json()["items"] == []


async def test_the_customers_tier_and_account_join_the_answer(
    an_answer: AnAnswer,
    deliver: Deliver,
    published: Published,
    client: httpx.AsyncClient,
    a_customer: Callable[..., dict[str, Any]],
) -> None:
    await client.put("/v1/customers/c-1", json=a_customer(account_id="a-1"))
    await deliver(an_answer(), an_answer("r-2", customer_id="c-2"))
    scores = [event.payload for _, event in await published() if isinstance(event.payload, ResponseScored)]
    assert [(s.tier, s.tier_reason, s.account_id) for s in scores] == [
        ("key", "key because potential value ≥ 1,000,000", "a-1"),
        ("standard", "unknown customer", None),
    ]


async def test_a_class_that_the_vendor_claims_is_recomputed_and_the_contradiction_kept(
    an_answer: AnAnswer, deliver: Deliver, client: httpx.AsyncClient
) -> None:
    await deliver(an_answer(score=9, claimed_class="passive"), an_answer("r-2", score=9, claimed_class="promoter"))
    first, second = [(await client.get(f"/v1/responses/{id_}")).json() for id_ in ("r-1", "r-2")]
    assert (first["nps_class"], first["claimed_class"], first["class_contradicted"]) == ("promoter", "passive", True)
    assert second["class_contradicted"] is False


async def test_another_way_of_asking_is_the_next_version_of_the_instrument(
    an_answer: AnAnswer, deliver: Deliver, published: Published
) -> None:
    sms = {"channel": "sms"}
    await deliver(
        an_answer("r-1"), an_answer("r-2", asked=sms, answered_at=MONDAY + timedelta(days=1)), an_answer("r-3")
    )
    await deliver(
        an_answer("r-4", asked=sms), an_answer("r-5", asked={"branded": False}), an_answer("r-6", program="b2b")
    )
    scores = [event.payload for _, event in await published()]
    assert [s.instrument_version for s in scores] == [1, 2, 1, 2, 3, 1]
    assert len({s.instrument_id for s in scores}) == 2


async def test_a_late_answer_moves_the_beginning_of_its_version(
    an_answer: AnAnswer, deliver: Deliver, client: httpx.AsyncClient
) -> None:
    await deliver(an_answer())
    await deliver(an_answer("r-2", answered_at=MONDAY - timedelta(days=40)))
    (instrument,) = (await client.get("/v1/instruments")).json()["items"]
    assert datetime.fromisoformat(instrument["first_answered_at"]) == MONDAY - timedelta(days=40)


@pytest.mark.parametrize(
    "changes",
    [
        {"score": 11},
        {"score": -1},
        {"comment": "a\0b"},
        {"customer_id": "\0"},
        {"asked": {"question": "\0"}},
        {"revision": 2**31},
        {"asked": {"scale_max": 2**40}},
        {"customer_id": "c" * 201},
    ],
)
async def test_an_answer_that_cannot_be_stored_is_refused_for_good(
    an_answer: AnAnswer, deliver: Deliver, published: Published, changes: dict[str, Any]
) -> None:
    with pytest.raises(PermanentError):
        await deliver(an_answer("r-0"), an_answer(**changes))
    assert await published() == []


async def test_two_that_meet_the_same_new_response_at_once_count_it_once(
    database: Database,
    an_answer: AnAnswer,
    deliver: Deliver,
    published: Published,
    rows: Rows,
    somebody_waits: Callable[[], Awaitable[None]],
) -> None:
    # The customer became known with the second revision, so the two travelled on two partitions.
    async with database.transaction() as tx:
        await score_responses(tx, [an_answer(revision=1, customer_id=None, score=9)])
        other = asyncio.create_task(deliver(an_answer(revision=2, score=2)))
        await somebody_waits()
    await other
    events = [event.payload for _, event in await published()]
    assert [(type(e).__name__, e.revision) for e in events] == [("ResponseScored", 1), ("ResponseRescored", 2)]
    assert [tuple(row) for row in await rows("SELECT revision, score FROM responses")] == [(2, 2)]


async def test_what_a_response_says_so_far_is_read_when_nobody_else_is_changing_it(
    database: Database, an_answer: AnAnswer, deliver: Deliver, somebody_waits: Callable[[], Awaitable[None]]
) -> None:
    async def look() -> dict[str, responses_store.Standing]:
        async with database.transaction() as tx:
            return await responses_store.lock(tx, ["r-1"])

    await deliver(an_answer(revision=1, score=9))
    async with database.transaction() as tx:
        await score_responses(tx, [an_answer(revision=3, score=2)])
        looking = asyncio.create_task(look())
        await somebody_waits()
    assert (await looking)["r-1"].revision == 3


async def test_two_that_meet_the_same_new_instrument_at_once_register_it_once(
    database: Database,
    an_answer: AnAnswer,
    deliver: Deliver,
    rows: Rows,
    somebody_waits: Callable[[], Awaitable[None]],
) -> None:
    async with database.transaction() as tx:
        await score_responses(tx, [an_answer("r-1"), an_answer("r-2", asked={"channel": "sms"})])
        other = asyncio.create_task(deliver(an_answer("r-3", asked={"channel": "sms"}), an_answer("r-4")))
        await somebody_waits()
    await other
    found = await rows("SELECT version, channel FROM instrument_versions ORDER BY version")
    assert len(found) == 2
    versions = await rows("SELECT channel, count(*) FROM responses JOIN instrument_versions USING (instrument_id)"
                          " WHERE version = instrument_version GROUP BY 1 ORDER BY 1")  # fmt: skip
    assert [tuple(row) for row in versions] == [("email", 2), ("sms", 2)]


@pytest.mark.parametrize("kind", ["new", "revised", "stale"])
async def test_the_number_of_statements_does_not_grow_with_the_batch(
    an_answer: AnAnswer, deliver: Deliver, statements: Statements, kind: str
) -> None:
    counted = []
    for size in (2, 20, 400):
        batch = [an_answer(f"r-{size}-{n}", customer_id=f"c-{n}", revision=2) for n in range(size)]
        if kind == "revised":
            await deliver(*(an_answer(f"r-{size}-{n}") for n in range(size)))
        elif kind == "stale":
            await deliver(*(an_answer(f"r-{size}-{n}", revision=3) for n in range(size)))
        else:
            await deliver(an_answer(f"warm-{size}"))
        with statements() as seen:
            await deliver(*batch)
        counted.append(len(seen))
    assert len(set(counted)) == 1
    assert counted[0] <= 10


@dataclass(frozen=True)
class Delivery:
    response: int
    revision: int
    score: int | None
    kind: str


responses = st.dictionaries(
    st.integers(0, 4),
    st.lists(st.tuples(st.none() | st.integers(0, 10), st.sampled_from(["relationship", "transactional"])),
             min_size=1, max_size=4),
    min_size=1,
)  # fmt: skip


@st.composite
def histories(draw: st.DrawFn) -> list[list[Delivery]]:
    """Revisions of some responses, some of them several times, in any order, cut into batches anywhere."""
    all_of_them = [
        Delivery(response, number, score, kind)
        for response, revisions in draw(responses).items()
        for number, (score, kind) in enumerate(revisions, start=1)
    ]
    again = draw(st.lists(st.sampled_from(all_of_them), max_size=6))
    order = draw(st.permutations(all_of_them + again))
    cuts = sorted(draw(st.sets(st.integers(1, len(order)), max_size=4)))
    return [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True) if a < b]


@on_a_database
@given(history=histories())
async def test_in_any_order_each_response_counts_once_with_its_latest_revision(
    history: list[list[Delivery]],
    clear: Callable[[], Awaitable[None]],
    an_answer: AnAnswer,
    deliver: Deliver,
    published: Published,
    rows: Rows,
    client: httpx.AsyncClient,
) -> None:
    await clear()
    latest: dict[int, Delivery] = {}
    for batch in history:
        await deliver(
            *(
                an_answer(f"r-{d.response}", d.revision, score=d.score, asked={"kind": d.kind}, customer_id=None)
                for d in batch
            )
        )
        for d in batch:
            if d.response not in latest or latest[d.response].revision < d.revision:
                latest[d.response] = d

    stored = await rows("SELECT id, revision, score, kind FROM responses")
    assert {tuple(row) for row in stored} == {(f"r-{d.response}", d.revision, d.score, d.kind) for d in latest.values()}

    told: defaultdict[str, list[Any]] = defaultdict(list)
    events = [event for _, event in await published()]
    assert len({event.id for event in events}) == len(events)
    for event in events:
        told[event.payload.response_id].append(event.payload)
    assert told.keys() == {f"r-{response}" for response in latest}
    for response, d in latest.items():
        first, *others = told[f"r-{response}"]
        assert isinstance(first, ResponseScored)
        assert others == [] or others[-1].revision == d.revision
        before: ResponseScored | ResponseRescored = first
        for each in others:
            assert isinstance(each, ResponseRescored)
            assert each.revision > before.revision
            assert (each.previous_score, each.previous_class) == (before.score, before.nps_class)
            before = each
        assert before.revision == d.revision

    answer = (await client.get("/v1/metrics/nps")).json()
    for kind in ("relationship", "transactional"):
        scores = [d.score for d in latest.values() if d.kind == kind and d.score is not None]
        expected = nps(
            promoters=sum(s >= 9 for s in scores),
            passives=sum(7 <= s <= 8 for s in scores),
            detractors=sum(s <= 6 for s in scores),
        )
        items = [item for item in answer["items"] if item["kind"] == kind]
        if not scores:
            assert items == []
            continue
        (item,) = items
        assert (item["n"], item["promoters"], item["detractors"]) == (
            expected.n,
            expected.promoters,
            expected.detractors,
        )
        assert item["nps"] == pytest.approx(expected.value, abs=0.005)
        assert item["ci_low"] == pytest.approx(expected.low, abs=0.005)
        assert item["ci_high"] == pytest.approx(expected.high, abs=0.005)


def withdrawn(response: str = "r-1", revision: int = 2) -> Event[Any]:
    payload = ResponseWithdrawn(
        response_id=response,
        revision=revision,
        source="shop",
        vendor_response_id="v-1",
        program="retail",
        withdrawn_at=MONDAY,
        received_at=MONDAY,
    )
    id_ = EventId(uuid5(NAMESPACE_URL, f"{response}/{revision}/withdrawn"))
    return Event.root(id_, payload, subject=response, time=MONDAY, source="/ingest/shop", traceparent="00-a-b-01")


async def test_a_withdrawn_answer_counts_no_longer_and_is_retracted(
    an_answer: AnAnswer, deliver: Deliver, published: Published, client: httpx.AsyncClient, rows: Rows
) -> None:
    await deliver(an_answer("r-1", score=3), an_answer("r-2", score=9, customer_id="c-2"))
    await deliver(withdrawn("r-1"))
    *_, (key, event) = await published()
    assert key == "c-1"
    assert isinstance(event.payload, ResponseRetracted)
    assert (event.payload.revision, event.payload.score, event.payload.comment) == (2, None, None)
    assert (event.payload.previous_score, event.payload.previous_class) == (3, "detractor")
    found = (await client.get("/v1/metrics/nps")).json()
    assert sum(series["n"] for series in found["items"]) == 1
    (row,) = await rows("SELECT score, nps_class, comment, withdrawn FROM responses WHERE id = 'r-1'")
    assert tuple(row) == (None, None, None, True)


async def test_an_answer_and_its_withdrawal_in_one_batch_are_told_in_order(
    an_answer: AnAnswer, deliver: Deliver, published: Published
) -> None:
    await deliver(an_answer(score=3), withdrawn())
    assert [type(event.payload) for _, event in await published()] == [ResponseScored, ResponseRetracted]


async def test_a_withdrawal_is_told_once_and_an_older_one_changes_nothing(
    an_answer: AnAnswer, deliver: Deliver, published: Published
) -> None:
    await deliver(an_answer(score=3), an_answer(revision=3, score=4))
    await deliver(withdrawn(revision=2))
    assert len(await published()) == 2
    await deliver(withdrawn(revision=4))
    await deliver(withdrawn(revision=4))
    assert len(await published()) == 3


async def test_a_withdrawal_of_nothing_that_is_known_says_nothing(deliver: Deliver, published: Published) -> None:
    await deliver(withdrawn("nobody's"))
    assert await published() == []


async def test_what_is_newer_than_a_withdrawal_counts_again(
    an_answer: AnAnswer, deliver: Deliver, published: Published, rows: Rows
) -> None:
    await deliver(an_answer(score=3))
    await deliver(withdrawn(revision=2))
    await deliver(an_answer(revision=3, score=8))
    *_, (_, event) = await published()
    assert isinstance(event.payload, ResponseRescored)
    assert (event.payload.score, event.payload.previous_score) == (8, None)
    (row,) = await rows("SELECT score, withdrawn FROM responses")
    assert tuple(row) == (8, False)
