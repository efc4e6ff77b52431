"""What customers are worth: versions of their source, accounts' attributes, quantiles, rules of programs."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.events.database import Database
from libs.events.event import Event
from services.scoring.jobs import count_cut_points, recompute_tiers
from services.scoring.store import rules

ACustomer = Callable[..., dict[str, Any]]
AnAnswer = Callable[..., Event[Any]]
Clear = Callable[[], Awaitable[None]]
Deliver = Callable[..., Coroutine[None, None, None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
Rows = Callable[..., Awaitable[Sequence[Any]]]

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
TOP_HALF = {"rules": [{"tier": "key", "when": [{"field": "current_value", "op": "top", "value": 0.5}]}]}
BANKS = {"rules": [{"tier": "key", "when": [{"field": "account.industry", "op": "=", "value": "bank"}]}]}


async def load(client: httpx.AsyncClient, *items: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await client.post("/v1/customers/batch", json={"items": list(items)})
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def settle(database: Database) -> None:
    while await recompute_tiers(database):
        pass


async def test_older_data_never_overwrites_newer(client: httpx.AsyncClient, a_customer: ACustomer) -> None:
    new = a_customer(name="Анна Белова", source_version=7)
    assert (await client.put("/v1/customers/c-1", json=new)).status_code == 201
    late = await client.put("/v1/customers/c-1", json=a_customer(source_version=6))
    assert (late.status_code, late.json()["type"]) == (409, "urn:otklik:problem:older-than-known")
    (result,) = await load(client, a_customer(id="c-1", source_version=6))
    assert (result["status"], result["version"]) == ("stale", 1)
    by_hand = await client.put("/v1/customers/c-1", json=a_customer(name="Анна Серова"))
    assert by_hand.status_code == 200  # a person says no version
    (result,) = await load(client, a_customer(id="c-1", source_version=6))
    assert result["status"] == "stale"
    found = (await client.get("/v1/customers/c-1")).json()
    assert (found["name"], found["source_version"], found["version"]) == ("Анна Серова", 7, 2)


async def test_the_same_profile_said_anew_is_remembered_as_new(
    client: httpx.AsyncClient, a_customer: ACustomer
) -> None:
    def at(day: int, **changes: object) -> dict[str, Any]:
        return a_customer(id="c-1", source_updated_at=(MONDAY + timedelta(days=day)).isoformat(), **changes)

    statuses = [(await load(client, each))[0]["status"] for each in (at(1), at(3), at(2, name="Старая"), at(4))]
    assert statuses == ["created", "unchanged", "stale", "unchanged"]
    assert (await client.get("/v1/customers/c-1")).json()["source_updated_at"] == "2026-01-09T09:00:00Z"


async def test_what_is_from_before_an_erasure_brings_nobody_back(
    client: httpx.AsyncClient, a_customer: ACustomer
) -> None:
    export = a_customer(source_updated_at=MONDAY.isoformat())
    await client.put("/v1/customers/c-1", json=export)
    await client.delete("/v1/customers/c-1")
    assert (await client.put("/v1/customers/c-1", json=export)).status_code == 409
    (result,) = await load(client, {**export, "id": "c-1"})
    assert (result["status"], result["version"]) == ("stale", None)
    assert (await client.get("/v1/customers/c-1")).status_code == 404
    later = a_customer(source_updated_at=(datetime.now(UTC) + timedelta(days=1)).isoformat())
    assert (await client.put("/v1/customers/c-1", json=later)).json()["version"] == 2


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    said=st.lists(st.tuples(st.sampled_from(["c-1", "c-2"]), st.integers(0, 9)), min_size=1, max_size=8),
    sizes=st.integers(1, 3),
)
async def test_however_versions_are_ordered_and_cut_into_batches_the_newest_stays(
    client: httpx.AsyncClient, a_customer: ACustomer, clear: Clear, said: list[tuple[str, int]], sizes: int
) -> None:
    await clear()
    for start in range(0, len(said), sizes):
        batch = dict(said[start : start + sizes])  # an id once in a batch
        for id_ in batch:
            batch[id_] = max(version for other, version in said[start : start + sizes] if other == id_)
        await load(client, *(a_customer(id=id_, name=f"v{n}", source_version=n) for id_, n in batch.items()))
    for id_ in {id_ for id_, _ in said}:
        newest = max(version for other, version in said if other == id_)
        assert (await client.get(f"/v1/customers/{id_}")).json()["name"] == f"v{newest}"


async def test_the_attributes_of_an_account_decide_about_its_customers(
    database: Database, client: httpx.AsyncClient, a_customer: ACustomer, published: Published
) -> None:
    await client.put("/v1/segment-rules", json=BANKS)
    await load(client, a_customer(id="c-1", account_id="a-1"), a_customer(id="c-2"))
    account = {"name": "Ромашка", "attributes": {"industry": "bank"}}
    assert (await client.put("/v1/accounts/a-1", json=account)).status_code == 201
    await settle(database)
    found = (await client.get("/v1/customers/c-1")).json()
    assert (found["tier"], found["tier_reason"]) == ("key", "key because account industry is bank")
    assert found["tier_facts"] == [{"field": "account.industry", "op": "=", "value": "bank", "cut": None}]
    (result,) = await load(client, a_customer(id="c-3", account_id="a-1"))
    assert result["tier"] == "key"
    key, event = (await published())[-1]
    assert (key, event.payload.account_name, event.payload.tier_facts[0].field) == (
        "c-3",
        "Ромашка",
        "account.industry",
    )
    await client.put("/v1/accounts/a-1", json={"name": "Ромашка", "attributes": {"industry": "retail"}})
    await settle(database)
    tiers = {each["id"]: each["tier"] for each in (await client.get("/v1/customers")).json()["items"]}
    assert tiers == {"c-1": "standard", "c-2": "standard", "c-3": "standard"}


async def test_accounts_are_loaded_in_batches_each_accepted_for_itself(client: httpx.AsyncClient) -> None:
    items: list[Any] = [
        {"id": "a-1", "name": "Ромашка", "source_version": 2, "attributes": {"seats": 5}},
        {"id": "a-2", "name": " "},
        {"id": "a-1", "name": "Ромашка"},
        {"id": "a-3", "name": "Василёк", "version": 1},
        "a-4",
    ]
    answer = await client.post("/v1/accounts/batch", json={"items": items})
    found = answer.json()["items"]
    assert [each["status"] for each in found] == ["created", "invalid", "invalid", "conflict", "invalid"]
    assert [error["pointer"] for error in found[1]["errors"]] == ["/items/1/name"]
    again = [{"id": "a-1", "name": "Роза", "source_version": 1}, {"id": "a-4", "name": "Астра"}]
    answer = await client.post("/v1/accounts/batch", json={"items": again})
    assert [each["status"] for each in answer.json()["items"]] == ["stale", "created"]
    first = (await client.get("/v1/accounts", params={"limit": 1})).json()
    second = (await client.get("/v1/accounts", params={"limit": 1, "cursor": first["next_cursor"]})).json()
    names = [(each["name"], each["attributes"]) for each in (*first["items"], *second["items"])]
    assert (names, second["next_cursor"]) == ([("Астра", {}), ("Ромашка", {"seats": 5})], None)


async def test_the_cut_points_are_counted_when_rules_are_put_into_force_and_again_every_day(
    database: Database, client: httpx.AsyncClient, a_customer: ACustomer
) -> None:
    await load(client, *(a_customer(id=f"c-{n}", current_value=n * 10) for n in range(1, 5)))
    put = (await client.put("/v1/segment-rules", json=TOP_HALF)).json()
    cut = {"field": "current_value", "op": "top", "share": 0.5, "cut": 30.0}
    assert (put["cut_points"], put["cut_points_customers"], put["version"]) == ([cut], 4, 2)
    await settle(database)
    key = (await client.get("/v1/customers", params={"tier": "key"})).json()["items"]
    assert [each["id"] for each in key] == ["c-3", "c-4"]
    assert key[0]["tier_reason"] == "key because current value is in the top 50 % (≥ 30)"

    await load(client, *(a_customer(id=f"d-{n}", current_value=1000) for n in range(4)))
    assert await count_cut_points(database) is False
    assert (await client.get("/v1/segment-rules")).json()["cut_points"] == [cut]  # not yet a day
    database.clock = lambda: datetime.now(UTC) + timedelta(days=1, minutes=1)  # type: ignore[misc]  # time goes by
    await count_cut_points(database)
    await settle(database)
    now = (await client.get("/v1/segment-rules")).json()
    assert (now["cut_points"][0]["cut"], now["version"], now["customers_waiting"]) == (1000.0, 2, 0)
    key = (await client.get("/v1/customers", params={"tier": "key"})).json()["items"]
    assert [each["id"] for each in key] == ["d-0", "d-1", "d-2", "d-3"]
    async with database.reading() as tx:
        before = (await rules.current(tx)).valuation
    await count_cut_points(database)
    async with database.reading() as tx:
        assert (await rules.current(tx)).valuation == before  # nothing moved: nobody is valued again


@pytest.mark.parametrize("field", ["current_value", "attributes.seats", "account.seats"])
@pytest.mark.parametrize("op", ["top", "bottom"])
async def test_cut_points_are_those_of_a_plain_count(
    client: httpx.AsyncClient, a_customer: ACustomer, field: str, op: str
) -> None:
    values = [5, 1, 9.5, 7, 7, 3, -2, 8, 7, 0]
    await client.post(
        "/v1/accounts/batch",
        json={"items": [{"id": f"a-{n}", "name": "x", "attributes": {"seats": n}} for n in values]},
    )
    await load(
        client,
        a_customer(id="none", current_value=None, attributes={"seats": "many"}),
        *(
            a_customer(id=f"c-{n}", current_value=value, attributes={"seats": value}, account_id=f"a-{value}")
            for n, value in enumerate(values)
        ),
    )
    condition = {"field": field, "op": op, "value": 0.3}
    document = {"rules": [{"tier": "key", "when": [condition]}]}
    answer = await client.put("/v1/segment-rules", params={"dry_run": True}, json=document)
    expected = sorted(values, reverse=op == "top")[2]
    assert answer.json()["cut_points"] == [{"field": field, "op": op, "share": 0.3, "cut": float(expected)}]


async def test_a_dry_run_foretells_what_happens_and_its_movers_can_be_paged_through(
    database: Database, client: httpx.AsyncClient, a_customer: ACustomer
) -> None:
    await load(client, *(a_customer(id=f"c-{n:02}", current_value=n * 20_000, potential_value=None) for n in range(60)))
    foretold = (await client.put("/v1/segment-rules", params={"dry_run": True}, json=TOP_HALF)).json()
    assert sum(move["customers"] for move in foretold["matrix"]) == foretold["customers"] == 60
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        params: dict[str, Any] = {"from_tier": "high", "to_tier": "key", "limit": 7} | (
            {"cursor": cursor} if cursor else {}
        )
        page = (await client.post("/v1/segment-rules/movers", params=params, json=TOP_HALF)).json()
        found += [each["id"] for each in page["items"]]
        cursor = page["next_cursor"]
    before = {each["id"]: each["tier"] for each in (await client.get("/v1/customers?limit=200")).json()["items"]}
    await client.put("/v1/segment-rules", json=TOP_HALF)
    await settle(database)
    after = {each["id"]: each["tier"] for each in (await client.get("/v1/customers?limit=200")).json()["items"]}
    moved = [(before[id_], after[id_]) for id_ in before]
    assert {(each["from_tier"], each["to_tier"]): each["customers"] for each in foretold["matrix"]} == {
        move: moved.count(move) for move in moved
    }
    assert found == [id_ for id_ in sorted(before) if (before[id_], after[id_]) == ("high", "key")]
    assert len(found) > 7


async def test_a_program_values_its_answers_by_its_own_rules(
    client: httpx.AsyncClient, a_customer: ACustomer, an_answer: AnAnswer, deliver: Deliver, published: Published
) -> None:
    leasing = {
        "default": "low",
        "rules": [{"tier": "key", "when": [{"field": "product", "op": "=", "value": "leasing"}]}],
    }
    await client.put("/v1/segment-rules", json={"programs": {"b2b": leasing}})
    await load(client, a_customer(id="c-1", products=["leasing"]), a_customer(id="c-2"))
    await deliver(
        an_answer("r-1", customer_id="c-1", program="b2b"),
        an_answer("r-2", customer_id="c-1", program="retail"),
        an_answer("r-3", customer_id="c-2", program="b2b"),
        an_answer("r-4", customer_id="nobody", program="b2b"),
        an_answer("r-5", customer_id="nobody", program="retail"),
    )
    said = {event.subject: (event.payload.tier, event.payload.tier_reason) for _, event in (await published())[2:]}
    assert said == {
        "r-1": ("key", "key because product is leasing"),
        "r-2": ("standard", "standard because no rule matches"),
        "r-3": ("low", "low because no rule matches"),
        "r-4": ("low", "unknown customer"),
        "r-5": ("standard", "unknown customer"),
    }


async def test_customers_are_listed_by_tier_and_account(client: httpx.AsyncClient, a_customer: ACustomer) -> None:
    await load(
        client,
        a_customer(id="c-1", account_id="a-1"),
        a_customer(id="c-2", account_id="a-1", potential_value=1, current_value=1),
        a_customer(id="c-3"),
    )

    async def ids(**params: str) -> list[str]:
        answer = await client.get("/v1/customers", params=params)
        return [each["id"] for each in answer.json()["items"]]

    assert await ids() == ["c-1", "c-2", "c-3"]
    assert await ids(tier="key") == ["c-1", "c-3"]
    assert await ids(account_id="a-1") == ["c-1", "c-2"]
    assert await ids(account_id="a-1", tier="low") == ["c-2"]
