"""Segment rules put into force, and the numbers."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from libs.events.database import Database
from libs.events.event import Event
from libs.statistics.nps import nps
from services.scoring import jobs
from services.scoring.jobs import recompute_tiers
from services.scoring.store import customers

ACustomer = Callable[..., dict[str, Any]]
AnAnswer = Callable[..., Event[Any]]
Deliver = Callable[..., Coroutine[None, None, None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
Rows = Callable[..., Awaitable[Sequence[Any]]]
Statements = Callable[[], AbstractContextManager[list[str]]]

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
MORE_KEY = {"rules": [{"tier": "key", "when": [{"field": "potential_value", "op": ">=", "value": 100}]}]}


async def load(client: httpx.AsyncClient, a_customer: ACustomer, **values: float | None) -> None:
    items = [a_customer(id=id_, potential_value=value) for id_, value in values.items()]
    answer = await client.post("/v1/customers/batch", json={"items": items})
    assert {result["status"] for result in answer.json()["items"]} == {"created"}


async def test_there_are_rules_from_the_first_day(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/segment-rules")
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"1"')
    body = answer.json()
    assert (body["version"], body["default"], body["customers_waiting"]) == (1, "standard", 0)
    assert body["rules"][0] == {"tier": "key", "when": [{"field": "current_value", "op": ">=", "value": 1000000}]}


async def test_new_rules_move_customers_and_only_those_who_move_are_announced(
    database: Database, client: httpx.AsyncClient, a_customer: ACustomer, published: Published
) -> None:
    await load(client, a_customer, poor=1, rich=5000, richer=3_000_000, silent=None)
    before = len(await published())
    put = await client.put("/v1/segment-rules", json=MORE_KEY, headers={"If-Match": '"1"'})
    assert (put.status_code, put.headers["ETag"], put.json()["customers_waiting"]) == (200, '"2"', 4)
    assert await recompute_tiers(database) is False
    told = {key: (event.payload.tier, event.payload.version) for key, event in (await published())[before:]}
    # `richer` stays key, and is told the new reason.
    assert told == {"rich": ("key", 2), "richer": ("key", 2)}
    assert (await client.get("/v1/customers/rich")).json()["tier_reason"] == "key because potential value ≥ 100"
    assert (await client.get("/v1/segment-rules")).json()["customers_waiting"] == 0
    assert await recompute_tiers(database) is False
    assert len(await published()) == before + 2


async def test_many_customers_are_taken_some_at_a_time(
    database: Database,
    client: httpx.AsyncClient,
    a_customer: ACustomer,
    published: Published,
    statements: Statements,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "CUSTOMERS_AT_ONCE", 100)
    await load(client, a_customer, **{f"c-{n:03}": n for n in range(250)})
    await client.put("/v1/segment-rules", json=MORE_KEY)
    counts, more = [], True
    while more:
        with statements() as seen:
            more = await recompute_tiers(database)
        counts.append(len(seen))
    assert len(counts) == 3
    assert max(counts) <= 12
    tiers = [event.payload.tier for _, event in (await published())[250:]]
    assert tiers == ["key"] * 150


async def test_a_profile_written_by_the_old_rules_meanwhile_is_found_later(
    database: Database, client: httpx.AsyncClient, a_customer: ACustomer, rows: Rows
) -> None:
    await load(client, a_customer, rich=5000)
    await client.put("/v1/segment-rules", json=MORE_KEY)
    async with database.transaction() as tx:
        # Somebody else writes this profile at the moment, having read the old rules.
        await customers.lock(tx, ["rich"])
        assert await recompute_tiers(database) is False
    await recompute_tiers(database)
    assert [tuple(row) for row in await rows("SELECT tier, rules_version FROM customers")] == [("key", 2)]


async def test_one_who_is_moved_twice_by_the_same_rules_is_announced_twice(
    database: Database, client: httpx.AsyncClient, a_customer: ACustomer, published: Published
) -> None:
    await load(client, a_customer, rich=5000)
    await client.put("/v1/segment-rules", json=MORE_KEY)
    await recompute_tiers(database)
    async with database.transaction() as tx:
        # A profile that was put by the old rules at the same time, and committed after the first round.
        await tx.execute(text("UPDATE customers SET version = version + 1, tier = 'standard', rules_version = 1"))
    await recompute_tiers(database)
    told = [event for _, event in await published()]
    assert [(event.payload.version, event.payload.tier) for event in told] == [(1, "standard"), (2, "key"), (4, "key")]
    assert len({event.id for event in told}) == 3


async def test_a_dry_run_tells_who_would_move_and_changes_nothing(
    client: httpx.AsyncClient, a_customer: ACustomer, published: Published
) -> None:
    await load(client, a_customer, poor=1, rich=5000, richer=3_000_000)
    answer = await client.put("/v1/segment-rules", params={"dry_run": True}, json=MORE_KEY)
    assert answer.status_code == 200
    fact = {"field": "potential_value", "op": ">=", "value": 100, "cut": None}
    move = {"from_tier": "standard", "to_tier": "key"}
    assert answer.json() == {
        "customers": 3,
        "matrix": [
            {"from_tier": "key", "to_tier": "key", "customers": 1},
            move | {"customers": 1},
            {"from_tier": "standard", "to_tier": "standard", "customers": 1},
        ],
        "moves": [move | {"customers": 1}],
        "movers": [{"id": "rich", **move, "reason": "key because potential value ≥ 100", "facts": [fact]}],
        "cut_points": [],
    }
    assert (await client.get("/v1/segment-rules")).json()["version"] == 1
    assert len(await published()) == 3


async def test_rules_that_are_wrong_are_refused_with_their_place(client: httpx.AsyncClient) -> None:
    wrong = {"rules": [{"tier": "key", "when": [{"field": "potential_value", "op": ">=", "value": "much"}]}]}
    for params in ({}, {"dry_run": "true"}):
        answer = await client.put("/v1/segment-rules", json=wrong, params=params)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
        assert answer.json()["type"] == "urn:otklik:problem:invalid-segment-rules"
        assert answer.json()["errors"] == [
            {
                "pointer": "/rules/0/when/0/value",
                "detail": "is not a number up to 1,000,000,000,000,000",
                "why": {"code": "no-number", "parameters": {"most": 10**15}},
            }
        ]
    assert (await client.put("/v1/segment-rules", json=[])).status_code == 422
    assert (await client.get("/v1/segment-rules")).json()["version"] == 1


async def test_rules_that_somebody_changed_meanwhile_are_not_overwritten(client: httpx.AsyncClient) -> None:
    await client.put("/v1/segment-rules", json=MORE_KEY)
    late = await client.put("/v1/segment-rules", json={"rules": []}, headers={"If-Match": '"1"'})
    assert (late.status_code, late.headers["ETag"]) == (412, '"2"')
    same = await client.put("/v1/segment-rules", json=MORE_KEY)
    assert (same.status_code, same.json()["version"]) == (200, 2)


async def answers(deliver: Deliver, an_answer: AnAnswer, *scores: int | None, **changes: object) -> None:
    prefix = repr(sorted(changes.items(), key=str))
    await deliver(*(an_answer(f"{prefix}-{n}", score=score, **changes) for n, score in enumerate(scores)))


async def test_the_nps_says_its_n_and_its_interval(
    client: httpx.AsyncClient, deliver: Deliver, an_answer: AnAnswer
) -> None:
    await answers(deliver, an_answer, 10, 9, 9, 7, 3, None)
    body = (await client.get("/v1/metrics/nps")).json()
    expected = nps(promoters=3, passives=1, detractors=1)
    assert expected.low is not None
    assert expected.high is not None
    assert body == {
        "confidence": 0.95,
        "weighted_by": None,
        "weights_counted_at": None,
        "items": [
            {
                "kind": "transactional",
                "group": None,
                "hidden": False,
                "n": 5,
                "promoters": 3,
                "passives": 1,
                "detractors": 1,
                "nps": 40.0,
                "ci_low": round(expected.low, 2),
                "ci_high": round(expected.high, 2),
                "coverage": None,
            }
        ],
        "instrument_breaks": [],
    }


async def test_survey_kinds_are_never_mixed(client: httpx.AsyncClient, deliver: Deliver, an_answer: AnAnswer) -> None:
    await answers(deliver, an_answer, 10, 9)
    await answers(deliver, an_answer, 1, asked={"kind": "relationship"})
    items = (await client.get("/v1/metrics/nps")).json()["items"]
    assert [(item["kind"], item["n"], item["nps"]) for item in items] == [
        ("relationship", 1, -100.0),
        ("transactional", 2, 100.0),
    ]
    (chosen,) = (await client.get("/v1/metrics/nps", params={"kind": "relationship"})).json()["items"]
    assert chosen == items[0]


async def test_a_chosen_kind_has_an_item_even_where_nobody_answered(client: httpx.AsyncClient) -> None:
    (item,) = (await client.get("/v1/metrics/nps", params={"kind": "relationship"})).json()["items"]
    assert (item["n"], item["nps"], item["ci_low"], item["ci_high"]) == (0, None, None, None)


async def test_other_metrics_and_scales_do_not_count(
    client: httpx.AsyncClient, deliver: Deliver, an_answer: AnAnswer
) -> None:
    await answers(deliver, an_answer, 5, asked={"metric": "csat", "scale_min": 1, "scale_max": 5})
    await answers(deliver, an_answer, 5, asked={"scale_min": 1, "scale_max": 5})
    assert (await client.get("/v1/metrics/nps")).json()["items"] == []


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"by": "touchpoint"}, {None: 1, "app": 1, "branch": 3}),
        ({"by": "program"}, {"b2b": 1, "retail": 4}),
        ({"by": "segment"}, {"key": 2, "standard": 3}),
        ({"by": "day"}, {"2026-01-05": 3, "2026-01-06": 2}),
        ({"program": "retail"}, {None: 4}),
        ({"touchpoint": "branch"}, {None: 3}),
        ({"segment": "key"}, {None: 2}),
        ({"from": "2026-01-06T00:00:00Z"}, {None: 2}),
        ({"to": "2026-01-06T00:00:00+00:00"}, {None: 3}),
        ({"from": "2026-01-06T03:00:00+03:00", "to": "2026-01-06T09:00:00Z"}, {}),
        ({"program": "retail", "by": "touchpoint", "segment": "standard"}, {"app": 1, "branch": 1}),
        ({"segment": "low"}, {}),
    ],
)
async def test_answers_are_filtered_and_grouped(
    client: httpx.AsyncClient,
    deliver: Deliver,
    an_answer: AnAnswer,
    a_customer: ACustomer,
    params: dict[str, str],
    expected: dict[str | None, int],
) -> None:
    await client.put("/v1/customers/c-1", json=a_customer())
    tuesday = MONDAY + timedelta(days=1)
    await deliver(
        an_answer("r-1"),
        an_answer("r-2", answered_at=tuesday),
        an_answer("r-3", customer_id=None),
        an_answer("r-4", customer_id="c-2", touchpoint="app"),
        an_answer("r-5", customer_id="c-2", touchpoint=None, program="b2b", answered_at=tuesday),
    )
    items = (await client.get("/v1/metrics/nps", params=params)).json()["items"]
    assert {item["group"]: item["n"] for item in items} == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("by", "moon"),
        ("kind", "both"),
        ("segment", "gold"),
        ("from", "2026-01-01T00:00:00"),
        ("to", "0001-01-01T00:00:00Z"),
    ],
)
async def test_what_cannot_be_asked_is_refused(client: httpx.AsyncClient, name: str, value: str) -> None:
    answer = await client.get("/v1/metrics/nps", params={name: value})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    (error,) = answer.json()["errors"]
    assert (error["pointer"], error["in"]) == (f"/{name}", "query")


async def test_a_series_breaks_where_the_question_changed(
    client: httpx.AsyncClient, deliver: Deliver, an_answer: AnAnswer
) -> None:
    tuesday = MONDAY + timedelta(days=1)
    await deliver(
        an_answer("r-1"),
        an_answer("r-2", asked={"question": "Посоветуете нас?"}, answered_at=tuesday),
        an_answer("r-3", asked={"kind": "relationship"}, answered_at=tuesday),
    )
    (found,) = (await client.get("/v1/metrics/nps")).json()["instrument_breaks"]
    assert (found["program"], found["touchpoint"], found["kind"]) == ("retail", "branch", "transactional")
    assert (datetime.fromisoformat(found["at"]), found["changed"]) == (tuesday, ["question"])
    for params in ({"program": "b2b"}, {"kind": "relationship"}, {"from": "2026-01-07T00:00:00Z"}):
        assert (await client.get("/v1/metrics/nps", params=params)).json()["instrument_breaks"] == []


async def test_instruments_are_listed_page_by_page(
    client: httpx.AsyncClient, deliver: Deliver, an_answer: AnAnswer
) -> None:
    await deliver(
        an_answer("r-1"),
        an_answer("r-2", asked={"channel": "sms"}),
        an_answer("r-3", touchpoint=None),
        an_answer("r-4", program="b2b"),
    )
    seen, cursor = [], None
    while True:
        params = {"limit": "1"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/v1/instruments", params=params)).json()
        seen += [(each["program"], each["touchpoint"], each["version"]) for each in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [("b2b", "branch", 1), ("retail", None, 1), ("retail", "branch", 1), ("retail", "branch", 2)]
    assert (await client.get("/v1/instruments", params={"cursor": "?"})).status_code == 422


async def test_a_response_reads_with_its_latest_revision(
    client: httpx.AsyncClient, deliver: Deliver, an_answer: AnAnswer
) -> None:
    await deliver(an_answer(), an_answer(revision=2, score=8))
    answer = await client.get("/v1/responses/r-1")
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    body = answer.json()
    assert (body["score"], body["nps_class"], body["comment"]) == (8, "passive", "Ждала сорок минут")
