"""Dry runs among many customers: gone through set by set, resumed where a process died, two at a time, cancelled."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.events.crashpoint import VARIABLE
from libs.events.database import Database
from services.scoring import dry_run_jobs
from services.scoring.api import dry_runs as answering
from services.scoring.domain.segment_documents import parse
from services.scoring.domain.segments import cuts_of, valued, with_cuts
from services.scoring.domain.worth import Worth
from services.scoring.dry_run_jobs import DryRuns, forget_old_dry_runs
from services.scoring.jobs import recompute_tiers
from services.scoring.store import customers
from services.scoring.store import dry_runs as store

ROOT = Path(__file__).parents[3]
ACustomer = Callable[..., dict[str, Any]]
ALL_KEY = {"default": "key", "rules": []}
RICH = {"rules": [{"tier": "key", "when": [{"field": "potential_value", "op": ">=", "value": 500}]}]}
# One step, as the loop makes it, of a process that ends in it.
CHILD = """
import asyncio, sys
from libs.events.database import Database
from services.scoring import dry_run_jobs
dry_run_jobs.CUSTOMERS_AT_ONCE = 2
asyncio.run(dry_run_jobs.DryRuns(Database.connect(sys.argv[1], pool_size=1)).step())
"""
FIELDS = ("current_value", "potential_value", "attributes.seats", "account.seats")
NUMBERS = st.integers(0, 6)
CONDITIONS = st.one_of(
    st.builds(
        lambda field, op, value: {"field": field, "op": op, "value": value},
        st.sampled_from(FIELDS),
        st.sampled_from([">=", "<"]),
        NUMBERS,
    ),
    st.builds(
        lambda field, op, share: {"field": field, "op": op, "value": share},
        st.sampled_from(FIELDS),
        st.sampled_from(["top", "bottom"]),
        st.sampled_from([0.2, 0.5, 0.9]),
    ),
    st.builds(lambda product: {"field": "product", "op": "=", "value": product}, st.sampled_from(["deposit", "card"])),
    st.just({"field": "attributes.region", "op": "in", "value": ["north", "east"]}),
    st.just({"field": "account_role", "op": "=", "value": "end_user"}),
)
PEOPLE = st.lists(
    st.fixed_dictionaries(
        {
            "current_value": st.none() | NUMBERS,
            "potential_value": NUMBERS,
            "seats": st.none() | NUMBERS,
            "region": st.sampled_from(["north", "south"]),
            "account": st.none() | st.integers(0, 2),
            "products": st.sampled_from([[], ["deposit"], ["deposit", "card"]]),
        }
    ),
    max_size=9,
)


@pytest.fixture(autouse=True)
def small_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """No population is small enough for one request, and a set has two customers."""
    monkeypatch.setattr(answering, "ANSWERED_AT_ONCE", -1)
    monkeypatch.setattr(dry_run_jobs, "CUSTOMERS_AT_ONCE", 2)


async def load(client: httpx.AsyncClient, a_customer: ACustomer, **values: float) -> None:
    items = [a_customer(id=id_, potential_value=value) for id_, value in values.items()]
    (await client.post("/v1/customers/batch", json={"items": items})).raise_for_status()


async def ask(client: httpx.AsyncClient, document: dict[str, Any]) -> str:
    answer = await client.put("/v1/segment-rules", params={"dry_run": True}, json=document)
    assert (answer.status_code, answer.json()["status"], answer.json()["result"]) == (202, "running", None)
    assert answer.headers["Location"] == f"/v1/segment-rules/dry-runs/{answer.json()['id']}"
    return str(answer.headers["Location"])


async def told(client: httpx.AsyncClient, location: str) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(location)).raise_for_status().json()
    return found


async def finish(database: Database) -> None:
    runs = DryRuns(database)
    async with asyncio.timeout(60):
        while await runs.step():
            pass


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(people=PEOPLE, conditions=st.lists(CONDITIONS, min_size=1, max_size=3), others=st.lists(CONDITIONS, max_size=2))
async def test_what_is_found_set_by_set_is_what_a_plain_recomputation_finds(
    database: Database,
    client: httpx.AsyncClient,
    a_customer: ACustomer,
    clear: Callable[[], Awaitable[None]],
    people: list[dict[str, Any]],
    conditions: list[dict[str, Any]],
    others: list[dict[str, Any]],
) -> None:
    await clear()
    await client.put("/v1/segment-rules", json={"default": "standard", "rules": []})
    document = {
        "default": "low",
        "rules": [
            {"tier": "key", "when": conditions},
            *({"tier": "high", "when": [each]} for each in others if each not in conditions),
        ],
    }
    accounts = [{"id": f"a-{n}", "name": "x", "attributes": {"seats": n}} for n in range(3)]
    await client.post("/v1/accounts/batch", json={"items": accounts})
    known = [
        a_customer(
            id=f"c-{n}",
            current_value=each["current_value"],
            potential_value=each["potential_value"],
            attributes={"region": each["region"]} | ({} if each["seats"] is None else {"seats": each["seats"]}),
            account_id=None if each["account"] is None else f"a-{each['account']}",
            account_role=None if each["account"] is None else "end_user",
            products=each["products"],
        )
        for n, each in enumerate(people)
    ]
    if known:
        (await client.post("/v1/customers/batch", json={"items": known})).raise_for_status()
    answer = await client.put("/v1/segment-rules", params={"dry_run": True}, json=document)
    if answer.status_code == 422:
        return  # a rule that is never reached
    await finish(database)
    found = await told(client, answer.headers["Location"])
    assert (found["status"], found["customers_seen"], found["customers"]) == ("done", len(known), len(known))
    result = found["result"]
    cuts = {(each["field"], each["op"], each["share"]): each["cut"] for each in result["cut_points"]}
    rules = parse(document)
    rules = with_cuts(rules, {quantile: cuts[quantile] for quantile in cuts_of(rules)})
    expected = {
        each["id"]: valued(
            Worth(
                each["current_value"],
                each["potential_value"],
                each["account_role"],
                each["attributes"],
                tuple(each["products"]),
                each["account_id"],
                {} if each["account_id"] is None else {"seats": int(each["account_id"][2:])},
            ),
            rules,
        )
        for each in known
    }
    counts = Counter(each.tier for each in expected.values())
    assert result["matrix"] == [
        {"from_tier": "standard", "to_tier": tier, "customers": n} for tier, n in sorted(counts.items())
    ]
    assert {each["id"]: (each["to_tier"], each["reason"]) for each in result["movers"]} == {
        id_: (valuation.tier, valuation.reason) for id_, valuation in expected.items()
    }


async def test_it_goes_on_where_a_process_died_and_counts_nobody_twice(
    database: Database, client: httpx.AsyncClient, a_customer: ACustomer, tmp_path: Path
) -> None:
    await load(client, a_customer, a=1000, b=1, c=1000, d=1, e=1000)
    location = await ask(client, RICH)
    runs = DryRuns(database)
    assert await runs.step(), "begun"
    assert await runs.step(), "the first two"
    before = await told(client, location)
    assert (before["status"], before["customers_seen"], before["customers"]) == ("running", 2, 5)
    (tmp_path / "scoring.dry_runs.before_commit").touch()
    url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, url,
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), VARIABLE: str(tmp_path)},
    )  # fmt: skip
    async with asyncio.timeout(60):
        assert await process.wait() == -signal.SIGKILL
    assert await told(client, location) == before
    await finish(database)
    found = await told(client, location)
    assert (found["status"], found["customers_seen"], found["outdated"]) == ("done", 5, False)
    assert [each["id"] for each in found["result"]["movers"]] == ["a", "c", "e"]
    assert found["result"]["moves"] == [{"from_tier": "standard", "to_tier": "key", "customers": 3}]


async def test_two_go_on_in_turns_and_in_two_processes_at_once(
    database: Database, client: httpx.AsyncClient, a_customer: ACustomer
) -> None:
    await load(client, a_customer, a=1000, b=1, c=1000, d=1, e=1000)
    first, second = await ask(client, RICH), await ask(client, ALL_KEY)
    runs = DryRuns(database)
    for _ in range(4):
        assert await runs.step()
    assert [(await told(client, each))["customers_seen"] for each in (first, second)] == [2, 2]
    await asyncio.gather(finish(database), finish(database))
    await finish(database)
    moved = [(await told(client, each))["result"]["moves"] for each in (first, second)]
    assert [each[0]["customers"] for each in moved] == [3, 5]
    listed = (await client.get("/v1/segment-rules/dry-runs?limit=1")).json()
    assert [each["status"] for each in listed["items"]] == ["done"]
    rest = (await client.get("/v1/segment-rules/dry-runs", params={"cursor": listed["next_cursor"]})).json()
    ids = [each["id"] for each in (*listed["items"], *rest["items"])]
    assert ids == [each.rpartition("/")[2] for each in (second, first)]


async def test_rules_that_come_into_force_meanwhile_make_it_outdated(
    database: Database, client: httpx.AsyncClient, a_customer: ACustomer
) -> None:
    await load(client, a_customer, a=1000, b=1, c=1000)
    location = await ask(client, RICH)
    runs = DryRuns(database)
    await runs.step()
    await runs.step()
    (await client.put("/v1/segment-rules", json=ALL_KEY)).raise_for_status()
    await recompute_tiers(database)
    await finish(database)
    found = await told(client, location)
    assert (found["status"], found["outdated"], found["rules_version"]) == ("done", True, 1)
    # Those who were looked at before had another tier then; each is counted with the tier that was found.
    assert [(each["from_tier"], each["to_tier"]) for each in found["result"]["matrix"]] == [
        ("key", "key"),
        ("standard", "key"),
        ("standard", "standard"),
    ]


async def test_it_is_cancelled_and_stays_so(
    database: Database, client: httpx.AsyncClient, a_customer: ACustomer
) -> None:
    await load(client, a_customer, a=1000, b=1, c=1000)
    location = await ask(client, RICH)
    runs = DryRuns(database)
    await runs.step()
    await runs.step()
    for _ in range(2):
        ended = (await client.post(f"{location}/cancel")).json()
        assert (ended["status"], ended["customers_seen"], ended["result"]) == ("cancelled", 2, None)
    assert not await runs.step()
    assert await told(client, location) == ended
    unknown = location[:-4] + "0000"
    assert [(await client.get(unknown)).status_code, (await client.post(f"{unknown}/cancel")).status_code] == [404, 404]


async def test_who_is_erased_is_named_by_no_dry_run_and_old_ones_are_forgotten(
    database: Database, client: httpx.AsyncClient, a_customer: ACustomer
) -> None:
    await load(client, a_customer, a=1000, b=1000, c=1)
    location = await ask(client, RICH)
    await finish(database)
    await client.delete("/v1/customers/a")
    result = (await told(client, location))["result"]
    assert ([each["id"] for each in result["movers"]], result["customers"]) == (["b"], 3)
    await forget_old_dry_runs(database)
    assert (await client.get(location)).status_code == 200
    later = Database.connect(
        database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False),
        pool_size=1,
        clock=lambda: database.clock() + dry_run_jobs.KEPT * 2,
    )
    await forget_old_dry_runs(later)
    await later.close()
    assert (await client.get(location)).status_code == 404


async def test_rules_that_raise_end_their_own_dry_run_alone(
    database: Database, client: httpx.AsyncClient, a_customer: ACustomer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await load(client, a_customer, a=1000)
    broken, sound = await ask(client, RICH), await ask(client, ALL_KEY)
    plain = customers.worths

    async def worths(*arguments: Any) -> list[customers.Valued]:  # noqa: ANN401 - whatever it is asked for
        if "potential_value" in arguments[3]:
            raise ArithmeticError
        return await plain(*arguments)

    monkeypatch.setattr(customers, "worths", worths)
    await finish(database)
    failed = await told(client, broken)
    assert (failed["status"], failed["failure"], failed["result"]) == ("failed", "ArithmeticError", None)
    assert (await told(client, sound))["status"] == "done"


async def test_among_few_customers_it_is_told_at_once(
    client: httpx.AsyncClient, a_customer: ACustomer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await load(client, a_customer, a=1000, b=1)
    monkeypatch.setattr(answering, "ANSWERED_AT_ONCE", 2)
    answer = await client.put("/v1/segment-rules", params={"dry_run": True}, json=RICH)
    assert (answer.status_code, answer.json()["customers"]) == (200, 2)
    await load(client, a_customer, c=1)
    key = {"Idempotency-Key": "once"}
    twice = [await client.put("/v1/segment-rules", params={"dry_run": True}, json=RICH, headers=key) for _ in range(2)]
    assert [each.status_code for each in twice] == [202, 202]
    assert twice[0].json() == twice[1].json()


async def test_of_many_that_are_asked_for_at_once_no_more_than_fit_are_taken_up(
    database: Database, client: httpx.AsyncClient, a_customer: ACustomer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_RUNNING", 3)
    await load(client, a_customer, a=1000)
    asking = (client.put("/v1/segment-rules", params={"dry_run": True}, json=RICH) for _ in range(6))
    answers = await asyncio.gather(*asking)
    assert sorted(each.status_code for each in answers) == [202, 202, 202, 409, 409, 409]
    refused = next(each.json() for each in answers if each.status_code == 409)
    assert (refused["type"], refused["detail"]) == (
        "urn:otklik:problem:too-many-dry-runs",
        "No more than 3 at once. Wait until one is done, or cancel one.",
    )
    taken_up = next(each for each in answers if each.status_code == 202)
    await client.post(f"{taken_up.headers['Location']}/cancel")
    await ask(client, RICH)
    await finish(database)
    await ask(client, RICH)
