import asyncio
import base64
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

Put = Callable[..., Awaitable[dict[str, Any]]]
Body = Callable[..., dict[str, Any]]

OTHER = "whsec_" + base64.b64encode(b"another secret, 24 bytes.").decode()
THIRD = "whsec_" + base64.b64encode(b"a third secret, 24 bytes.").decode()


async def test_a_source_is_created_read_changed_and_taken_out_of_use(
    client: httpx.AsyncClient, a_source_body: Body
) -> None:
    body = a_source_body(
        "typeform", field_map={"score": {"question": "nps"}}, touchpoint="branch", time_zone="Europe/Moscow"
    )
    created = await client.put("/v1/sources/shop", json=body)
    assert created.status_code == 201
    assert created.headers["etag"] == '"1"'
    found = await client.get("/v1/sources/shop")
    assert found.json() == created.json()
    assert found.headers["etag"] == '"1"'
    told = found.json()
    assert told["webhook"] == "/v1/webhooks/shop"
    assert (told["vendor"], told["program"], told["touchpoint"]) == ("typeform", "retail", "branch")
    assert told["time_zone"] == "Europe/Moscow"
    assert told["field_map"]["score"] == {"question": "nps", "hidden": None, "path": None}
    assert told["instrument"]["channel"] == "email"

    changed = await client.put("/v1/sources/shop", json=body | {"program": "insurance"}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert changed.json()["program"] == "insurance"

    assert (await client.delete("/v1/sources/shop")).status_code == 204
    assert (await client.get("/v1/sources/shop")).status_code == 404
    assert (await client.delete("/v1/sources/shop")).status_code == 404
    back = await client.put("/v1/sources/shop", json=body)
    assert (back.status_code, back.headers["etag"]) == (200, '"4"')


async def test_nobody_overwrites_what_they_have_not_seen(
    client: httpx.AsyncClient, a_source: Put, a_source_body: Body
) -> None:
    await a_source()
    stale = await client.put("/v1/sources/shop", json=a_source_body(), headers={"If-Match": '"7"'})
    assert (stale.status_code, stale.headers["etag"]) == (412, '"1"')
    new = await client.put("/v1/sources/new", json=a_source_body(), headers={"If-Match": '"1"'})
    assert new.status_code == 412
    assert (await client.get("/v1/sources/new")).status_code == 404


async def test_two_people_cannot_make_one_source_by_the_same_name(
    client: httpx.AsyncClient, a_source_body: Body
) -> None:
    only_new = {"If-None-Match": "*"}
    bodies = [a_source_body(program=f"program-{number}") for number in range(4)]
    answers = await asyncio.gather(*(client.put("/v1/sources/shop", json=b, headers=only_new) for b in bodies))
    assert sorted(answer.status_code for answer in answers) == [201, 412, 412, 412]
    [made] = [answer for answer in answers if answer.status_code == 201]
    refused = next(answer for answer in answers if answer.status_code == 412)
    assert (refused.headers["etag"], refused.json()["title"]) == ('"1"', "There is one already")
    assert (await client.get("/v1/sources/shop")).json() == made.json()
    # A name that is out of use may be taken again.
    await client.delete("/v1/sources/shop")
    back = await client.put("/v1/sources/shop", json=bodies[0], headers=only_new)
    assert (back.status_code, back.json()["program"]) == (200, "program-0")


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"If-None-Match": '"1"'}, 422), ({"If-None-Match": "*", "If-Match": '"1"'}, 400)],
)
async def test_a_condition_that_means_nothing_here_is_refused(
    client: httpx.AsyncClient, a_source_body: Body, headers: dict[str, str], status: int
) -> None:
    assert (await client.put("/v1/sources/shop", json=a_source_body(), headers=headers)).status_code == status


async def test_secrets_are_never_told(client: httpx.AsyncClient, a_source: Put, secret: str, other_secret: str) -> None:
    put = await a_source()
    rotated = await client.post("/v1/sources/shop/secrets", json={"secret": other_secret})
    paths = ("/v1/sources/shop", "/v1/sources", "/v1/deliveries")
    answers = [str(put), rotated.text, *[(await client.get(path)).text for path in paths]]
    assert not any(text in answer for answer in answers for text in (secret, other_secret, secret[6:]))
    assert len(rotated.json()["secrets"]) == 2


async def test_a_secret_is_needed_once_and_stays(client: httpx.AsyncClient, a_source_body: Body) -> None:
    without = a_source_body(secret=None)
    refused = await client.put("/v1/sources/shop", json=without)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/secret"
    assert (await client.get("/v1/sources/shop")).status_code == 404  # nothing of it was done
    first = (await client.put("/v1/sources/shop", json=a_source_body())).json()
    again = (await client.put("/v1/sources/shop", json=a_source_body())).json()
    kept = (await client.put("/v1/sources/shop", json=without)).json()
    assert first["secrets"] == again["secrets"] == kept["secrets"]
    replaced = (await client.put("/v1/sources/shop", json=a_source_body(secret=OTHER))).json()
    assert len(replaced["secrets"]) == 1
    assert replaced["secrets"] != first["secrets"]


@pytest.mark.parametrize("secret", ["", "short", "whsec_", "whsec_!!!", "whsec_c2hvcnQ="])
async def test_a_secret_that_protects_nothing_is_refused(
    client: httpx.AsyncClient, a_source: Put, a_source_body: Body, secret: str
) -> None:
    refused = await client.put("/v1/sources/shop", json=a_source_body(secret=secret))
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/secret"
    await a_source()
    assert (await client.post("/v1/sources/shop/secrets", json={"secret": secret})).status_code == 422


async def test_another_vendor_needs_a_secret_of_its_form(
    client: httpx.AsyncClient, a_source: Put, a_source_body: Body
) -> None:
    await a_source(vendor="delighted", secret="a secret of Delighted")
    refused = await client.put("/v1/sources/shop", json=a_source_body("generic", secret=None))
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/secret"
    assert (await client.get("/v1/sources/shop")).json()["vendor"] == "delighted"


async def test_at_most_two_secrets_are_valid_at_once(
    client: httpx.AsyncClient, a_source: Put, advance: Callable[[timedelta], None], clock: Callable[[], datetime]
) -> None:
    await a_source()
    first = await client.post("/v1/sources/shop/secrets", json={"secret": OTHER})
    assert first.status_code == 201
    old, new = first.json()["secrets"]
    assert datetime.fromisoformat(old["valid_until"]) == clock() + timedelta(days=1)
    assert new["valid_until"] is None
    again = await client.post("/v1/sources/shop/secrets", json={"secret": OTHER})
    assert again.json() == first.json()
    third = await client.post("/v1/sources/shop/secrets", json={"secret": THIRD})
    assert third.status_code == 409
    advance(timedelta(days=1))
    third = await client.post("/v1/sources/shop/secrets", json={"secret": THIRD})
    assert third.status_code == 201
    assert len(third.json()["secrets"]) == 2


@pytest.mark.parametrize("until", ["2026-03-01T09:00:00Z", "2026-05-01T09:00:00Z", "2026-03-02T10:00:00"])
async def test_the_end_of_the_old_secret_is_near(client: httpx.AsyncClient, a_source: Put, until: str) -> None:
    await a_source()
    refused = await client.post("/v1/sources/shop/secrets", json={"secret": OTHER, "old_valid_until": until})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/old_valid_until"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"vendor": "nobody"}, "/vendor"),
        ({"vendor": "typeform"}, "/field_map/score"),
        ({"program": ""}, "/program"),
        ({"time_zone": "Mars/Olympus"}, "/time_zone"),
        ({"language": "русский"}, "/language"),
        ({"field_map": {"score": {}}}, "/field_map/score"),
        ({"field_map": {"score": {"question": "a", "path": "b"}}}, "/field_map/score"),
        ({"field_map": {"scores": {"question": "a"}}}, "/field_map/scores"),
        ({"asked": {"scale_max": 5}}, "/instrument"),
        ({"asked": {"metric": "csat", "scale_min": 5, "scale_max": 5}}, "/instrument"),
        ({"asked": {"metric": "csat", "scale_min": 1, "scale_max": 10}}, "/instrument"),
        ({"asked": {"higher_is_worse": True}}, "/instrument"),
        # It is asked in both directions.
        ({"asked": {"metric": "ces", "scale_min": 1, "scale_max": 5}}, "/instrument"),
        ({"asked": {"channel": "pigeon"}}, "/instrument/channel"),
        ({"surprise": 1}, "/surprise"),
    ],
)
async def test_what_is_wrong_with_a_source_is_named(
    client: httpx.AsyncClient, a_source_body: Body, change: dict[str, Any], pointer: str
) -> None:
    refused = await client.put("/v1/sources/shop", json=a_source_body(**change))
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]


@pytest.mark.parametrize("name", ["Shop", "-shop", "s" * 64, "a b", "магазин"])
async def test_a_source_s_name_can_stand_in_an_address(
    client: httpx.AsyncClient, a_source_body: Body, name: str
) -> None:
    assert (await client.put(f"/v1/sources/{name}", json=a_source_body())).status_code == 422


async def test_sources_are_listed_page_by_page(client: httpx.AsyncClient, a_source: Put) -> None:
    for name in ("c", "a", "b"):
        await a_source(name)
    await client.delete("/v1/sources/b")
    first = (await client.get("/v1/sources", params={"limit": 1})).json()
    second = (await client.get("/v1/sources", params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert [source["name"] for source in first["items"] + second["items"]] == ["a", "c"]
    assert second["next_cursor"] is None


async def test_each_call_needs_its_scope(client: httpx.AsyncClient, a_source: Put) -> None:
    await a_source()
    calls = [
        ("GET", "/v1/sources"),
        ("GET", "/v1/sources/shop"),
        ("PUT", "/v1/sources/shop"),
        ("DELETE", "/v1/sources/shop"),
        ("POST", "/v1/sources/shop/secrets"),
        ("POST", "/v1/responses"),
        ("GET", "/v1/deliveries"),
        ("POST", "/v1/deliveries/replay"),
    ]
    for method, path in calls:
        assert (await client.request(method, path, headers={"Authorization": ""})).status_code == 401
        agent = {"Otklik-Person": "p-1", "Otklik-Role": "agent"}
        assert (await client.request(method, path, headers=agent)).status_code == 403


async def test_a_command_under_one_key_is_done_once(client: httpx.AsyncClient, a_source_body: Body) -> None:
    headers = {"Idempotency-Key": "k-1"}
    first = await client.put("/v1/sources/shop", json=a_source_body(), headers=headers)
    again = await client.put("/v1/sources/shop", json=a_source_body(), headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["etag"] == '"1"'
