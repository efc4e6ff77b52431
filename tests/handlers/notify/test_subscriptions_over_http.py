"""Subscriptions over HTTP: their secrets, who sees them, how they are changed, and what is refused."""

import json
from datetime import timedelta
from typing import Any

import pytest

from services.notify.domain.hook_signatures import key_of, signature
from tests.handlers.notify.web_hooks import CONTACT, Api, Hooks, Receiver
from tests.handlers.notify.world import Clock, World


async def test_a_rotated_secret_signs_beside_the_old_one_for_a_while(
    hooks: Hooks, world: World, receiver: Receiver, clock: Clock
) -> None:
    made = await hooks.subscribe(receiver.url)
    rotated = (await hooks.client.post(f"/v1/subscriptions/{made['id']}/secret", json={})).json()
    assert rotated["secret"] != made["secret"]
    test = await hooks.client.post(f"/v1/subscriptions/{made['id']}/test")
    assert test.status_code == 202
    await hooks.rest()
    clock.move(timedelta(days=2))
    await hooks.happen(world.assigned())
    await hooks.rest()
    (first, tested), (second, body) = receiver.got
    assert json.loads(tested)["type"] == "subscription.test"
    old, new = key_of(made["secret"]), key_of(rotated["secret"])
    for (headers, content), known in (((first, tested), [new, old]), ((second, body), [new])):
        timestamp = int(headers["webhook-timestamp"])
        expected = signature(known, id_=headers["webhook-id"], timestamp=timestamp, body=content)
        assert headers["webhook-signature"] == expected


async def test_a_key_sees_its_own_subscriptions_and_what_its_scopes_allow(
    hooks: Hooks, api: Api, receiver: Receiver
) -> None:
    made = await hooks.subscribe(receiver.url)
    other = await api("reports")
    assert (await other.get("/v1/subscriptions")).json()["items"] == []
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/disable"), ("POST", "/test"), ("GET", "/deliveries")):
        answer = await other.request(method, f"/v1/subscriptions/{made['id']}{path}")
        assert answer.status_code == 404, (method, path)
    body = {"name": "x", "url": receiver.url, "types": ["*"], "contact": CONTACT, "sees": ["facts", "people"]}
    refused = await other.post("/v1/subscriptions", json=body)
    assert (refused.status_code, refused.json()["scope"]) == (403, "events:people")
    operator = {"Otklik-Person": "p-1", "Otklik-Role": "operator"}
    listed = await hooks.client.get("/v1/subscriptions", headers=operator)
    assert [each["id"] for each in listed.json()["items"]] == [made["id"]]
    assert (await hooks.client.post("/v1/subscriptions", json=body, headers=operator)).status_code == 403


async def test_a_subscription_is_changed_disabled_and_deleted(hooks: Hooks, world: World, receiver: Receiver) -> None:
    made = await hooks.subscribe("http://127.0.0.1:1/", sees=["facts", "people"])
    path = f"/v1/subscriptions/{made['id']}"
    await hooks.happen(world.profile())
    tag = (await hooks.client.get(path)).headers["ETag"]
    body = {"name": "all", "url": receiver.url, "types": ["customer.*"], "contact": CONTACT}
    assert (await hooks.client.put(path, json=body, headers={"If-Match": '"9"'})).status_code == 412
    assert (await hooks.client.put(path, json=body, headers={"If-Match": tag})).json()["sees"] == ["facts"]
    # What waited goes to the new address, and with no more than what may be seen by now.
    await hooks.rest()
    (told,) = receiver.bodies()
    assert "name" not in told["data"]
    assert told["data"]["customer_id"] == "c-1"
    assert (await hooks.client.post(f"{path}/disable")).json()["disabled_reason"] == "by_hand"
    assert (await hooks.client.post(f"{path}/test")).status_code == 409
    assert (await hooks.client.delete(path)).status_code == 204
    assert await hooks.deliveries() == []
    assert (await hooks.client.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"url": "ftp://x.example/"}, "/url"),
        ({"types": ["case.unheard.v1"]}, "/types/0"),
        ({"sees": ["people"]}, "/sees"),
        ({"contact": {**CONTACT, "email": "nobody"}}, "/contact/email"),
    ],
)
async def test_what_cannot_be_is_refused_by_its_field(hooks: Hooks, change: dict[str, Any], pointer: str) -> None:
    body = {"name": "all", "url": "http://127.0.0.1:1/", "types": ["*"], "contact": CONTACT, **change}
    refused = await hooks.client.post("/v1/subscriptions", json=body)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer)
