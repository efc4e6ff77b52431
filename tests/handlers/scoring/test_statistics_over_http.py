"""Numbers over HTTP: other metrics, groups that may not be shown, weights, comparisons, departments."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from libs.events.database import Database
from libs.events.event import Event
from services.scoring.jobs import count_tiers

AnAnswer = Callable[..., Event[Any]]
Deliver = Callable[..., Coroutine[None, None, None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
ACustomer = Callable[..., dict[str, Any]]

SEVEN = {"metric": "ces", "scale_min": 1, "scale_max": 7}
EFFORT = {"metric": "ces", "scale_min": 1, "scale_max": 5, "higher_is_worse": True}


async def tell(deliver: Deliver, an_answer: AnAnswer, *scores: int | None, **changes: object) -> None:
    prefix = repr(sorted(changes.items(), key=str))
    await deliver(*(an_answer(f"{prefix}-{n}", score=score, **changes) for n, score in enumerate(scores)))


async def read(client: httpx.AsyncClient, path: str, **params: str | float) -> Any:  # noqa: ANN401 - JSON
    answer = await client.get(f"/v1/metrics/{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_effort_is_told_by_scale_and_turned_round_where_high_was_bad(
    client: httpx.AsyncClient, deliver: Deliver, an_answer: AnAnswer
) -> None:
    await tell(deliver, an_answer, 7, 7, 6, 5, 2, None, asked=SEVEN)
    await tell(deliver, an_answer, 1, 1, 2, 5, asked=EFFORT)
    old, new = (await read(client, "ces"))["items"]
    assert (old["scale_max"], old["higher_is_worse"], old["n"], old["mean"], old["good"]) == (5, True, 4, 3.75, 3)
    assert old["scores"] == {"1": 1, "2": 0, "3": 0, "4": 1, "5": 2}
    assert (new["scale_max"], new["n"], new["mean"], new["good"], new["good_share"]) == (7, 5, 5.4, 4, 0.8)
    assert new["ci_low"] < 5.4 < new["ci_high"]
    assert new["good_share_ci_low"] < 0.8 < new["good_share_ci_high"]
    assert (await read(client, "csat"))["items"] == []


async def test_a_scale_that_nobody_published_a_good_share_for_has_a_mean_alone(
    client: httpx.AsyncClient, deliver: Deliver, an_answer: AnAnswer
) -> None:
    await tell(deliver, an_answer, 4, 6, asked={"metric": "csat", "scale_min": 1, "scale_max": 6})
    (item,) = (await read(client, "csat", by="month"))["items"]
    assert (item["group"], item["mean"], item["good"], item["good_share"]) == ("2026-01", 5.0, None, None)


async def test_small_groups_are_hidden_and_cannot_be_told_from_the_others(
    discreet: httpx.AsyncClient, deliver: Deliver, an_answer: AnAnswer
) -> None:
    await tell(deliver, an_answer, 9, 9, 3, touchpoint="small")
    await tell(deliver, an_answer, *[9] * 6, touchpoint="middle")
    await tell(deliver, an_answer, *[9] * 7, touchpoint="large")
    items = {item["group"]: item for item in (await read(discreet, "nps", by="touchpoint"))["items"]}
    assert {name for name, item in items.items() if item["hidden"]} == {"small", "middle"}
    assert items["small"] == {
        "kind": "transactional",
        "group": "small",
        "hidden": True,
        **dict.fromkeys(("n", "promoters", "passives", "detractors", "nps", "ci_low", "ci_high", "coverage")),
    }
    assert items["large"]["n"] == 7
    (total,) = (await read(discreet, "nps"))["items"]
    assert total["n"] == 16
    # Nor by asking for them one by one.
    for touchpoint, shown in (("small", False), ("middle", False), ("large", True)):
        (item,) = (await read(discreet, "nps", touchpoint=touchpoint))["items"]
        assert (item["hidden"], item["n"] is not None) == (not shown, shown)
        for by in ("segment", "day"):
            (item,) = (await read(discreet, "nps", touchpoint=touchpoint, by=by))["items"]
            assert item["hidden"] is not shown
    found = await read(discreet, "compare", kind="transactional", a_touchpoint="large", b_touchpoint="small")
    assert (found["hidden"], found["n_a"], found["n_b"], found["difference"]) == (True, None, None, None)


async def test_an_nps_can_be_weighted_by_tiers(
    database: Database, client: httpx.AsyncClient, deliver: Deliver, an_answer: AnAnswer, a_customer: ACustomer
) -> None:
    await client.put("/v1/customers/rich", json=a_customer(current_value=9_000_000))
    for n in range(3):
        profile = a_customer(current_value=1_000_000 / 3, potential_value=None, email=None)
        await client.put(f"/v1/customers/c-{n}", json=profile)
    await tell(deliver, an_answer, 1, customer_id="rich")
    await tell(deliver, an_answer, 10, 10, 10, 10, customer_id="c-1")
    assert (await read(client, "nps"))["items"][0]["nps"] == 60
    assert (await read(client, "nps", weights="value"))["items"][0]["nps"] is None
    await count_tiers(database)
    by_customers = await read(client, "nps", weights="customers")
    by_value = await read(client, "nps", weights="value")
    assert (by_customers["items"][0]["nps"], by_customers["items"][0]["coverage"]) == (50, 1)
    assert (by_value["items"][0]["nps"], by_value["items"][0]["n"], by_value["weighted_by"]) == (-80, 5, "value")
    assert by_value["weights_counted_at"] is not None


async def test_two_groups_are_compared(client: httpx.AsyncClient, deliver: Deliver, an_answer: AnAnswer) -> None:
    await tell(deliver, an_answer, *[10] * 40, *[3] * 20, touchpoint="app")
    await tell(deliver, an_answer, *[10] * 20, *[3] * 40, touchpoint="branch")
    found = await read(client, "compare", kind="transactional", a_touchpoint="app", b_touchpoint="branch")
    assert (found["n_a"], found["n_b"], found["a"], found["b"]) == (60, 60, 33.33, -33.33)
    differ = found["difference"]
    assert 0 < differ["ci_low"] < differ["value"] < differ["ci_high"]
    assert differ["p_value"] < 0.001
    nobody = await read(client, "compare", kind="relationship", a_touchpoint="app", b_touchpoint="branch")
    assert (nobody["n_a"], nobody["difference"]) == (0, None)


async def test_scores_are_compared_by_mean_and_by_share(
    client: httpx.AsyncClient, deliver: Deliver, an_answer: AnAnswer
) -> None:
    await tell(deliver, an_answer, 7, 7, 6, 5, 5, 6, touchpoint="app", asked=SEVEN)
    await tell(deliver, an_answer, 1, 2, 6, 2, 3, 1, touchpoint="branch", asked=SEVEN)
    found = await read(client, "compare", metric="ces", kind="transactional", a_touchpoint="app", b_touchpoint="branch")
    assert (found["a"], found["b"], found["good_share_a"]) == (6.0, 2.5, 1.0)
    assert found["difference"]["value"] == 3.5
    assert found["good_share_difference"]["value"] == pytest.approx(0.8333)
    await tell(deliver, an_answer, 1, 2, touchpoint="old", asked=EFFORT)
    params = {"metric": "ces", "kind": "transactional", "a_touchpoint": "app", "b_touchpoint": "old"}
    answer = await client.get("/v1/metrics/compare", params=params)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:otklik:problem:different-scales")


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"a_touchpoint": "app"}, 422),
        ({"a_touchpoint": "app", "b_region": "Урал"}, 422),
        ({"a_segment": "key", "b_segment": "key"}, 422),
        ({"a_to": "2026-01-01T00:00:00Z", "b_from": "2026-01-01T00:00:00Z"}, 200),
        ({"a_segment": "key", "b_segment": "low"}, 200),
        ({"a_segment": "gold", "b_segment": "low"}, 422),
        ({"a_from": "yesterday", "b_segment": "low"}, 422),
    ],
)
async def test_groups_that_may_overlap_are_not_compared(
    client: httpx.AsyncClient, params: dict[str, str], status: int
) -> None:
    answer = await client.get("/v1/metrics/compare", params=params | {"kind": "relationship"})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("params", "n"),
    [
        ({"margin": 5}, 1534),  # 1.96² / 0.05² - 3
        ({"margin": 5, "promoters": 50, "detractors": 20}, 935),  # 0.61 · 1536.58 - 3 = 934.3
        ({"metric": "csat", "margin": 5}, 385),
        ({"metric": "csat", "margin": 5, "good": 90}, 139),
        ({"difference": 10}, 1567),  # (1.96 + 0.8416)² · 2 / 0.1² - 3
    ],
)
async def test_the_needed_answers_are_told(client: httpx.AsyncClient, params: dict[str, Any], n: int) -> None:
    found = await read(client, "sample-size", **params)
    assert (found["n"], found["of_two_groups"]) == (n, "difference" in params)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"margin": 5, "difference": 5},
        {"margin": 5, "promoters": 50},
        {"margin": 0},
        {"margin": 5e-324},  # whose square is 0
        {"difference": 1e-300},
        {"margin": 5, "promoters": 60, "detractors": 60},
    ],
)
async def test_a_sample_size_of_nothing_in_particular_is_refused(
    client: httpx.AsyncClient, params: dict[str, Any]
) -> None:
    assert (await client.get("/v1/metrics/sample-size", params=params)).status_code == 422


async def test_answers_belong_to_the_department_of_their_touchpoint_when_they_were_scored(
    client: httpx.AsyncClient, deliver: Deliver, an_answer: AnAnswer, a_customer: ACustomer, published: Published
) -> None:
    await client.put("/v1/customers/c-1", json=a_customer(attributes={"region": "Урал"}))
    await deliver(an_answer("r-early", touchpoint="app"))
    items = [
        {"touchpoint": "app", "program": None, "department": "digital"},
        {"touchpoint": "branch", "program": "b2b", "department": "corporate"},
        {"touchpoint": "branch", "program": None, "department": "retail"},
    ]
    put = await client.put("/v1/touchpoints", json={"items": items}, headers={"If-Match": '"1"'})
    assert (put.status_code, put.headers["ETag"]) == (200, '"2"')
    assert (await client.put("/v1/touchpoints", json={"items": items})).headers["ETag"] == '"2"'
    assert (await client.put("/v1/touchpoints", json={"items": []}, headers={"If-Match": '"1"'})).status_code == 412
    twice = await client.put("/v1/touchpoints", json={"items": [*items, items[0]]})
    assert (twice.status_code, twice.json()["errors"][0]["pointer"]) == (422, "/items/3")
    read_back = (await client.get("/v1/touchpoints")).json()
    assert sorted(map(str, read_back["items"])) == sorted(map(str, items))
    await deliver(
        an_answer("r-1", touchpoint="app"),
        an_answer("r-2", touchpoint="branch"),
        an_answer("r-3", touchpoint="branch", program="b2b", customer_id="c-2"),
        an_answer("r-4", touchpoint=None),
    )
    found = {item["group"]: item["n"] for item in (await read(client, "nps", by="department"))["items"]}
    assert found == {None: 2, "digital": 1, "retail": 1, "corporate": 1}
    found = {item["group"]: item["n"] for item in (await read(client, "nps", by="region"))["items"]}
    assert found == {None: 1, "Урал": 4}
    (only,) = (await read(client, "nps", department="digital", region="Урал", channel="email"))["items"]
    assert only["n"] == 1
    told = {event.subject: event.payload for _, event in await published() if event.type.startswith("survey.response")}
    assert (told["r-3"].department, told["r-3"].region, told["r-3"].channel) == ("corporate", None, "email")
    body = (await client.get("/v1/responses/r-1")).json()
    assert (body["department"], body["region"], body["channel"]) == ("digital", "Урал", "email")


async def test_tiers_are_counted_as_they_are_now(database: Database, client: httpx.AsyncClient) -> None:
    async with database.transaction() as tx:
        await tx.execute(text("INSERT INTO tier_totals VALUES ('key', 5, 5, now())"))
    await count_tiers(database)
    assert (await read(client, "nps", weights="customers"))["weights_counted_at"] is None
