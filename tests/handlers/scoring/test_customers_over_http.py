"""Customers and accounts over REST: versions, conflicts, repetitions, batches, erasure."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from libs.events.contracts.customers import CustomerErased, CustomerProfileChanged
from libs.events.database import Database
from libs.events.event import Event
from libs.webapi import keys
from services.scoring.handlers import score_responses
from services.scoring.store import locks

ACustomer = Callable[..., dict[str, Any]]
AnAnswer = Callable[..., Event[Any]]
Deliver = Callable[..., Coroutine[None, None, None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
Rows = Callable[..., Awaitable[Sequence[Any]]]
SomebodyWaits = Callable[[], Awaitable[None]]

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)


async def test_a_new_customer_is_created_with_a_tier_and_announced(
    client: httpx.AsyncClient, a_customer: ACustomer, published: Published
) -> None:
    answer = await client.put("/v1/customers/c-1", json=a_customer())
    assert answer.status_code == 201
    assert answer.headers["ETag"] == '"1"'
    assert answer.json() == {
        "id": "c-1",
        "version": 1,
        "tier": "key",
        "tier_reason": "key because potential value ≥ 1,000,000",
    }
    ((key, event),) = await published()
    assert key == "c-1"
    assert isinstance(event.payload, CustomerProfileChanged)
    assert (event.payload.version, event.payload.email, event.payload.tier) == (1, "anna@example.org", "key")


async def test_a_customer_reads_as_it_was_put(client: httpx.AsyncClient, a_customer: ACustomer) -> None:
    body = a_customer(attributes={"region": "север", "seats": 12, "trial": False}, account_role="end_user")
    await client.put("/v1/customers/c-1", json=body)
    answer = await client.get("/v1/customers/c-1")
    assert answer.status_code == 200
    assert answer.headers["ETag"] == '"1"'
    found = answer.json()
    assert {name: found[name] for name in body} == body
    assert (found["id"], found["version"], found["account_name"]) == ("c-1", 1, None)


async def test_a_customers_id_may_hold_anything_that_vendors_send(
    client: httpx.AsyncClient, a_customer: ACustomer
) -> None:
    path = "/v1/customers/" + "crm%2Fанна%20орлова%3F@example.org"
    assert (await client.put(path, json=a_customer())).json()["id"] == "crm/анна орлова?@example.org"
    assert (await client.get(path)).status_code == 200
    assert (await client.delete(path)).status_code == 204


async def test_versions_count_up_and_the_same_again_changes_nothing(
    client: httpx.AsyncClient, a_customer: ACustomer, published: Published
) -> None:
    await client.put("/v1/customers/c-1", json=a_customer())
    again = await client.put("/v1/customers/c-1", json=a_customer())
    other = await client.put("/v1/customers/c-1", json=a_customer(name="Анна Белова"))
    assert [(a.status_code, a.headers["ETag"]) for a in (again, other)] == [(200, '"1"'), (200, '"2"')]
    assert [event.payload.version for _, event in await published()] == [1, 2]


async def test_unknown_customers_and_responses_are_not_found(client: httpx.AsyncClient) -> None:
    for path in ("/v1/customers/nobody", "/v1/accounts/nothing", "/v1/responses/none"):
        answer = await client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
        assert answer.json()["type"] == "urn:otklik:problem:not-found"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": " "}, "/name"),
        ({"email": "anna"}, "/email"),
        ({"email": "a@b.c\nBcc: x@y.z"}, "/email"),
        ({"phone": "call me"}, "/phone"),
        ({"language": "de"}, "/language"),
        ({"time_zone": "Mars/Base"}, "/time_zone"),
        ({"account_role": "boss"}, "/account_role"),
        ({"current_value": "1"}, "/current_value"),
        ({"attributes": {"a b": 1}}, "/attributes/a b/[key]"),
        ({"attributes": {f"a{n}": n for n in range(51)}}, "/attributes"),
        ({"email_consent": 1}, "/email_consent"),
        ({"nickname": "Аня"}, "/nickname"),
    ],
)
async def test_an_invalid_profile_is_refused_with_its_place(
    client: httpx.AsyncClient, a_customer: ACustomer, change: dict[str, Any], pointer: str
) -> None:
    answer = await client.put("/v1/customers/c-1", json=a_customer(**change))
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert (await client.get("/v1/customers/c-1")).status_code == 404


async def test_an_update_of_what_somebody_changed_meanwhile_is_refused(
    client: httpx.AsyncClient, a_customer: ACustomer
) -> None:
    await client.put("/v1/customers/c-1", json=a_customer())
    await client.put("/v1/customers/c-1", json=a_customer(name="Анна Белова"))
    late = await client.put("/v1/customers/c-1", json=a_customer(name="Анна Серова"), headers={"If-Match": '"1"'})
    assert (late.status_code, late.headers["content-type"]) == (412, "application/problem+json")
    assert late.headers["ETag"] == '"2"'
    right = await client.put("/v1/customers/c-1", json=a_customer(name="Анна Серова"), headers={"If-Match": '"2"'})
    assert (right.status_code, right.headers["ETag"]) == (200, '"3"')
    unknown = await client.put("/v1/customers/c-2", json=a_customer(), headers={"If-Match": '"1"'})
    assert unknown.status_code == 412
    assert (await client.get("/v1/customers/c-2")).status_code == 404


async def test_of_two_who_saw_the_same_version_one_wins(
    database: Database, client: httpx.AsyncClient, a_customer: ACustomer, somebody_waits: SomebodyWaits
) -> None:
    await client.put("/v1/customers/c-1", json=a_customer())
    seen = {"If-Match": '"1"'}
    async with database.transaction() as tx:
        await locks.changing_account(tx)  # holds both up until both are there
        both = [
            asyncio.create_task(client.put("/v1/customers/c-1", json=a_customer(name=name), headers=seen))
            for name in ("Анна Белова", "Анна Серова")
        ]
        await somebody_waits()
    answers = await asyncio.gather(*both)
    assert sorted(answer.status_code for answer in answers) == [200, 412]
    assert (await client.get("/v1/customers/c-1")).json()["version"] == 2


async def test_two_who_create_the_same_customer_make_one(
    client: httpx.AsyncClient, a_customer: ACustomer, published: Published
) -> None:
    answers = await asyncio.gather(
        *(client.put("/v1/customers/c-1", json=a_customer(name=name)) for name in ("Анна", "Аня", "Анюта"))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 200, 201]
    assert sorted(answer.json()["version"] for answer in answers) == [1, 2, 3]
    assert sorted(event.payload.version for _, event in await published()) == [1, 2, 3]


async def test_the_same_command_sent_twice_happens_once(
    client: httpx.AsyncClient, a_customer: ACustomer, published: Published
) -> None:
    key = {"Idempotency-Key": "import-7"}
    first = await client.put("/v1/customers/c-1", json=a_customer(), headers=key)
    await client.put("/v1/customers/c-1", json=a_customer(name="Анна Белова"))
    again = await client.put("/v1/customers/c-1", json=a_customer(), headers=key)
    assert (again.status_code, again.json(), again.headers["ETag"]) == (201, first.json(), '"1"')
    assert (await client.get("/v1/customers/c-1")).json()["name"] == "Анна Белова"
    assert len(await published()) == 2
    other = await client.put("/v1/customers/c-2", json=a_customer(), headers=key)
    assert (other.status_code, other.json()["type"]) == (422, "urn:otklik:problem:idempotency-key-reused")


async def test_a_batch_has_a_result_per_item_in_order(
    client: httpx.AsyncClient, a_customer: ACustomer, published: Published
) -> None:
    await client.put("/v1/customers/c-old", json=a_customer())
    await client.put("/v1/customers/c-same", json=a_customer())
    answer = await client.post(
        "/v1/customers/batch",
        json={
            "items": [
                a_customer(id="c-new", potential_value=None),
                a_customer(id="c-old", name="Анна Белова", version=1),
                a_customer(id="c-same"),
                a_customer(id="c-stale", version=4),
                a_customer(id="c-bad", language="de"),
                a_customer(id="c-new"),
                "c-text",
            ]
        },
    )
    assert answer.status_code == 200
    results = answer.json()["items"]
    assert [(r["id"], r["status"], r["version"]) for r in results] == [
        ("c-new", "created", 1),
        ("c-old", "updated", 2),
        ("c-same", "unchanged", 1),
        ("c-stale", "conflict", None),
        ("c-bad", "invalid", None),
        ("c-new", "invalid", None),
        (None, "invalid", None),
    ]
    assert results[0]["tier"] == "standard"
    assert [[error["pointer"] for error in r["errors"]] for r in results[4:]] == [
        ["/items/4/language"],
        ["/items/5/id"],
        ["/items/6"],
    ]
    assert [key for key, _ in await published()] == ["c-old", "c-same", "c-new", "c-old"]


async def test_a_batch_of_more_than_ten_thousand_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/customers/batch", json={"items": [{"id": str(n)} for n in range(10_001)]})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/items")
    assert (await client.post("/v1/customers/batch", json={"items": []})).status_code == 422
    assert (await client.post("/v1/customers/batch", content=b" " * 17_000_000)).status_code == 413


async def test_the_number_of_statements_does_not_grow_with_the_batch_of_customers(
    client: httpx.AsyncClient, a_customer: ACustomer, statements: Callable[[], AbstractContextManager[list[str]]]
) -> None:
    counted = []
    for name in ("Анна Орлова", "Анна Белова"):
        for size in (2, 1000):
            items = [a_customer(id=f"c-{n}", name=name, account_id=f"a-{n}") for n in range(1000 - size, 1000)]
            with statements() as seen:
                answer = await client.post("/v1/customers/batch", json={"items": items})
            assert {result["status"] for result in answer.json()["items"]} <= {"created", "updated", "unchanged"}
            counted.append(len(seen))
    assert max(counted) <= 14


async def test_an_accounts_name_reaches_its_customers_whenever_it_becomes_known_or_changes(
    client: httpx.AsyncClient, a_customer: ACustomer, published: Published
) -> None:
    await client.put("/v1/customers/c-1", json=a_customer(account_id="a-1"))
    await client.put("/v1/customers/c-2", json=a_customer())
    created = await client.put("/v1/accounts/a-1", json={"name": "Ромашка"})
    same = await client.put("/v1/accounts/a-1", json={"name": "Ромашка"})
    renamed = await client.put("/v1/accounts/a-1", json={"name": "Ромашка и Ко"}, headers={"If-Match": '"1"'})
    late = await client.put("/v1/accounts/a-1", json={"name": "Лютик"}, headers={"If-Match": '"1"'})
    unknown = await client.put("/v1/accounts/a-2", json={"name": "Лютик"}, headers={"If-Match": '"1"'})
    assert [a.status_code for a in (created, same, renamed, late, unknown)] == [201, 200, 200, 412, 412]
    assert [a.headers["ETag"] for a in (created, same, renamed)] == ['"1"', '"1"', '"2"']
    assert (await client.get("/v1/accounts/a-1")).json()["name"] == "Ромашка и Ко"
    assert (await client.get("/v1/customers/c-1")).json()["account_name"] == "Ромашка и Ко"
    told = [
        (event.payload.customer_id, event.payload.version, event.payload.account_name) for _, event in await published()
    ]
    assert told == [("c-1", 1, None), ("c-2", 1, None), ("c-1", 2, "Ромашка"), ("c-1", 3, "Ромашка и Ко")]


async def test_a_profile_that_is_being_published_while_its_account_is_renamed_gets_the_new_name(
    database: Database,
    client: httpx.AsyncClient,
    a_customer: ACustomer,
    published: Published,
    somebody_waits: SomebodyWaits,
) -> None:
    async with database.transaction() as tx:
        await locks.publishing_profiles(tx)  # as a profile's transaction that has not read the name yet
        rename = asyncio.create_task(client.put("/v1/accounts/a-1", json={"name": "Ромашка"}))
        await somebody_waits()
        put = asyncio.create_task(client.put("/v1/customers/c-1", json=a_customer(account_id="a-1")))
    await asyncio.gather(rename, put)
    assert (await published())[-1][1].payload.account_name == "Ромашка"


async def test_erasure_leaves_the_score_and_forgets_the_person(
    client: httpx.AsyncClient,
    a_customer: ACustomer,
    an_answer: AnAnswer,
    deliver: Deliver,
    published: Published,
    rows: Rows,
) -> None:
    put = {"Idempotency-Key": "put-1"}
    await client.put("/v1/customers/c-1", json=a_customer(), headers=put)
    await deliver(an_answer(comment="Это была Анна Орлова"))
    assert (await client.delete("/v1/customers/c-1")).status_code == 204

    assert (await client.get("/v1/customers/c-1")).status_code == 404
    response = (await client.get("/v1/responses/r-1")).json()
    assert (response["score"], response["nps_class"], response["erased"]) == (3, "detractor", True)
    assert [response[name] for name in ("comment", "customer_id", "vendor_response_id", "language")] == [None] * 4
    assert (await client.get("/v1/metrics/nps")).json()["items"][0]["n"] == 1
    assert isinstance((await published())[-1][1].payload, CustomerErased)
    tables = await rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'scoring'")
    for (table,) in tables:
        if table == "outbox":  # a moment later on the topic, whose retention and compaction forget
            continue
        for secret in ("c-1", "Анна", "anna@example.org", "000-00-01", "vendor-r-1"):
            dump = await rows(f"SELECT string_agg(t::text, ' ') AS dump FROM {table} t")  # noqa: S608 - our own tables
            assert secret not in (dump[0].dump or "")
    replayed = await client.put("/v1/customers/c-1", json=a_customer(), headers=put)
    assert replayed.headers["Idempotency-Replayed"] == "true"
    assert (await client.get("/v1/customers/c-1")).status_code == 404


async def test_erasing_again_says_nothing_new(
    client: httpx.AsyncClient, a_customer: ACustomer, published: Published
) -> None:
    await client.put("/v1/customers/c-1", json=a_customer())
    answers = [await client.delete("/v1/customers/c-1") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [204] * 3
    assert [type(event.payload) for _, event in await published()] == [CustomerProfileChanged, CustomerErased]


async def test_what_an_erased_customer_had_answered_is_forgotten_when_it_arrives(
    client: httpx.AsyncClient, an_answer: AnAnswer, deliver: Deliver, published: Published, rows: Rows
) -> None:
    await deliver(an_answer("r-known", revision=1))
    await client.delete("/v1/customers/c-1")
    later = datetime.now(UTC) + timedelta(days=1)
    await deliver(
        an_answer("r-known", revision=2, score=5, answered_at=later),
        an_answer("r-late", score=2),
        an_answer("r-after", score=1, answered_at=later),
    )
    found = await rows("SELECT id, score, comment, customer_id, erased FROM responses ORDER BY id")
    assert [tuple(row) for row in found] == [
        ("r-after", 1, "Ждала сорок минут", "c-1", False),
        ("r-known", 5, None, None, True),
        ("r-late", 2, None, None, True),
    ]
    told = [(key, event.payload.comment) for key, event in (await published())[2:]]
    assert told == [("r-known", None), ("r-late", None), ("c-1", "Ждала сорок минут")]


async def test_an_answer_that_is_being_stored_during_the_erasure_is_erased_too(
    database: Database, client: httpx.AsyncClient, an_answer: AnAnswer, rows: Rows, somebody_waits: SomebodyWaits
) -> None:
    async with database.transaction() as tx:
        await score_responses(tx, [an_answer()])
        erasure = asyncio.create_task(client.delete("/v1/customers/c-1"))
        await somebody_waits()
    assert (await erasure).status_code == 204
    assert [tuple(row) for row in await rows("SELECT comment, customer_id, erased FROM responses")] == [
        (None, None, True)
    ]


async def test_who_comes_back_after_an_erasure_goes_on_counting(
    client: httpx.AsyncClient, a_customer: ACustomer, published: Published
) -> None:
    await client.put("/v1/customers/c-1", json=a_customer())
    await client.put("/v1/customers/c-1", json=a_customer(name="Анна Белова"))
    await client.delete("/v1/customers/c-1")
    back = await client.put("/v1/customers/c-1", json=a_customer())
    assert (back.status_code, back.json()["version"]) == (201, 3)
    assert (await published())[-1][1].payload.version == 3


NO_SUGGESTION = "00000000-0000-0000-0000-000000000003"
NO_DRY_RUN = "00000000-0000-0000-0000-000000000004"
ROUTES = [
    ("PUT", "/v1/customers/c-1", "customers:write", {"manager", "administrator"}),
    ("GET", "/v1/customers/c-1", "customers:read", {"agent", "manager", "executive", "administrator"}),
    ("DELETE", "/v1/customers/c-1", "customers:write", {"administrator"}),
    ("POST", "/v1/customers/batch", "customers:write", {"manager", "administrator"}),
    ("GET", "/v1/customers", "customers:read", {"agent", "manager", "executive", "administrator"}),
    ("POST", "/v1/accounts/batch", "customers:write", {"manager", "administrator"}),
    ("GET", "/v1/accounts", "customers:read", {"agent", "manager", "executive", "administrator"}),
    ("PUT", "/v1/accounts/a-1", "customers:write", {"manager", "administrator"}),
    ("GET", "/v1/accounts/a-1", "customers:read", {"agent", "manager", "executive", "administrator"}),
    ("GET", "/v1/segment-rules", "rules:read", {"manager", "executive", "administrator"}),
    ("PUT", "/v1/segment-rules", "rules:write", {"executive", "administrator"}),
    ("GET", "/v1/segment-rules/dry-runs", "rules:read", {"manager", "executive", "administrator"}),
    ("GET", f"/v1/segment-rules/dry-runs/{NO_DRY_RUN}", "rules:read", {"manager", "executive", "administrator"}),
    ("POST", f"/v1/segment-rules/dry-runs/{NO_DRY_RUN}/cancel", "rules:write", {"executive", "administrator"}),
    ("GET", "/v1/account-scores", "customers:read", {"agent", "manager", "executive", "administrator"}),
    ("GET", "/v1/account-scores/a-1", "customers:read", {"agent", "manager", "executive", "administrator"}),
    ("POST", "/v1/invitations", "customers:write", {"manager", "administrator"}),
    ("GET", "/v1/silences", "customers:read", {"agent", "manager", "executive", "administrator"}),
    ("GET", "/v1/metrics/response-rates", "metrics:read", None),
    ("POST", "/v1/segment-rules/movers", "rules:read", {"manager", "executive", "administrator"}),
    ("GET", "/v1/responses/r-1", "customers:read", {"agent", "manager", "executive", "administrator"}),
    ("GET", "/v1/responses", "customers:read", {"agent", "manager", "executive", "administrator"}),
    ("GET", "/v1/contact-changes", "customers:read", {"agent", "manager", "executive", "administrator"}),
    ("GET", "/v1/instruments", "metrics:read", None),
    ("GET", "/v1/instruments/00000000-0000-0000-0000-000000000001/versions/1", "metrics:read", None),
    (
        "PUT",
        "/v1/instruments/00000000-0000-0000-0000-000000000001/versions/1",
        "rules:write",
        {"executive", "administrator"},
    ),
    ("GET", "/v1/class-mismatches", "metrics:read", None),
    ("GET", "/v1/metrics/drivers", "metrics:read", None),
    ("GET", "/v1/driver-runs/00000000-0000-0000-0000-000000000002", "metrics:read", None),
    ("POST", "/v1/driver-runs", "rules:write", {"executive", "administrator"}),
    ("GET", "/v1/metrics/nps", "metrics:read", None),
    ("GET", "/v1/metrics/ces", "metrics:read", None),
    ("GET", "/v1/metrics/csat", "metrics:read", None),
    ("GET", "/v1/metrics/compare", "metrics:read", None),
    ("GET", "/v1/metrics/sample-size", "metrics:read", None),
    ("GET", "/v1/touchpoints", "metrics:read", None),
    ("PUT", "/v1/touchpoints", "rules:write", {"executive", "administrator"}),
    ("GET", "/v1/themes", "rules:read", None),
    ("GET", "/v1/themes/versions", "rules:read", None),
    ("PUT", "/v1/themes", "rules:write", {"manager", "executive", "administrator"}),
    ("GET", "/v1/theme-suggestions", "rules:read", {"manager", "executive", "administrator"}),
    ("POST", f"/v1/theme-suggestions/{NO_SUGGESTION}/accept", "rules:write", {"manager", "executive", "administrator"}),
    (
        "POST",
        f"/v1/theme-suggestions/{NO_SUGGESTION}/dismiss",
        "rules:write",
        {"manager", "executive", "administrator"},
    ),
    ("GET", "/v1/metrics/themes", "metrics:read", None),
]
ROLES = ("agent", "manager", "executive", "employee", "operator", "administrator")


@pytest.mark.parametrize(("method", "path", "scope", "roles"), ROUTES)
async def test_every_route_asks_for_its_scope_and_role(
    database: Database, client: httpx.AsyncClient, method: str, path: str, scope: str, roles: set[str] | None
) -> None:
    async with database.transaction() as tx:
        only = await keys.create_key(tx, name="only", scopes=[scope])
        others = {"customers:read", "customers:write", "rules:read", "rules:write", "metrics:read"} - {scope}
        without = await keys.create_key(tx, name="without", scopes=others)
    statuses = {}
    for name, headers in {
        "nobody": {"Authorization": ""},
        "without": {"Authorization": f"Bearer {without}"},
        "only": {"Authorization": f"Bearer {only}"},
        **{role: {"Otklik-Person": "p-1", "Otklik-Role": role} for role in ROLES},
    }.items():
        body: dict[str, Any] | None = {} if method in {"PUT", "POST"} else None
        statuses[name] = (await client.request(method, path, json=body, headers=headers)).status_code
    assert statuses.pop("nobody") == 401
    assert statuses.pop("without") == 403
    assert statuses.pop("only") not in {401, 403}
    assert {role for role, status in statuses.items() if status != 403} == set(ROLES if roles is None else roles)


def test_every_route_of_the_app_is_among_those_tested(database: Database) -> None:
    from services.scoring.api import build_app  # noqa: PLC0415

    paths = build_app(database).openapi()["paths"]
    templates = {
        "c-1": "{customer_id}",
        "a-1": "{account_id}",
        "r-1": "{response_id}",
        NO_SUGGESTION: "{suggestion_id}",
        NO_DRY_RUN: "{dry_run_id}",
        "00000000-0000-0000-0000-000000000002": "{run_id}",
        "00000000-0000-0000-0000-000000000001/versions/1": "{instrument_id}/versions/{version}",
    }
    tested = set()
    for method, path, _, _ in ROUTES:
        for example, template in templates.items():
            path = path.replace(example, template)  # noqa: PLW2901
        tested.add((method.lower(), path))
    assert tested == {(method, path) for path, operations in paths.items() for method in operations}
