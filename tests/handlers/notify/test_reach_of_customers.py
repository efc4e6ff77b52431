"""How one customer may be reached, said beforehand by the rules that decide when a message's turn comes."""

from datetime import timedelta
from typing import Any

import httpx

World = Any
Post = Any
Clock = Any
Gateway = Any

BY_SMS_TOO: dict[str, Any] = {
    "channels": {"service": ["sms", "email"], "courtesy": ["email"], "news": ["messenger", "email"]},
    "ask_first": [{"channel": "messenger", "purpose": "news"}],
    "quiet_hours": [{"channels": ["sms"], "purposes": ["service"], "start": "09:00", "end": "18:00"}],
    "caps": [{"purposes": ["courtesy", "news"], "messages": 1, "days": 30}],
    "patience_hours": 72,
}


async def reach(client: httpx.AsyncClient, customer_id: str = "c-1") -> dict[str, Any]:
    answer = await client.get("/v1/reach", params={"customer_id": customer_id})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def said(found: dict[str, Any]) -> dict[str, tuple[str | None, str | None]]:
    return {each["purpose"]: (each["channel"], each["reason"]) for each in found["purposes"]}


def doors(found: dict[str, Any], purpose: str) -> dict[str, str | None]:
    (prospect,) = [each for each in found["purposes"] if each["purpose"] == purpose]
    return {each["channel"]: each["closed"] for each in prospect["doors"]}


async def test_whoever_is_not_known_cannot_be_reached(client: httpx.AsyncClient) -> None:
    found = await reach(client, "nobody/at all")
    assert (found["is_known"], found["time_zone"]) == (False, "Europe/Moscow")
    assert set(said(found).values()) == {(None, "no_profile")}


async def test_what_would_become_of_a_message_is_what_becomes_of_it(
    world: World, post: Post, client: httpx.AsyncClient, gateway: Gateway
) -> None:
    await world.customers(world.profile(phone="+79000000000"))
    assert said(await reach(client)) == dict.fromkeys(("service", "courtesy", "news"), ("email", None))
    seen = await client.get("/v1/contact-rules")
    await client.put("/v1/contact-rules", json=BY_SMS_TOO, headers={"If-Match": seen.headers["ETag"]})
    assert doors(await reach(client), "service") == {"email": None, "sms": "no_provider", "messenger": "not_used"}
    provider = {"channel": "sms", "url": f"http://127.0.0.1:{gateway.port}/", "body": {"to": "{to}"}}
    await client.put("/v1/providers/gateway", json=provider)
    await world.thank("one")
    await post.rest()

    found = await reach(client)

    # It is noon in Moscow.
    assert said(found) == {
        "service": ("sms", "quiet_hours"),
        "courtesy": ("email", "frequency"),
        "news": ("email", "frequency"),
    }
    assert found["purposes"][0]["until"] == "2026-03-02T15:00:00Z"
    assert found["caps"] == [{"purposes": ["courtesy", "news"], "messages": 1, "days": 30, "sent": 1}]
    await world.thank("two")
    await post.rest()
    (hold,) = (await client.get("/v1/holds", params={"recipient": "c-1"})).json()["items"]
    assert (hold["reason"], hold["kind"]) == ("frequency", "thanks"), "as it was foretold"


async def test_what_they_said_and_that_their_address_is_listed_closes_doors(
    world: World, client: httpx.AsyncClient, clock: Clock
) -> None:
    await world.customers(world.profile("c/1", phone="+79000000000"))
    no = {"granted": False, "why": "said so on the phone"}
    put = await client.put("/v1/consents/c%2F1/email/news", json=no)
    assert put.status_code == 200, put.text
    assert said(await reach(client, "c/1"))["news"] == (None, "unsubscribed")
    listed = {
        "address": "C/1@mail.example",
        "why": "asked by letter",
        "until": (clock() + timedelta(days=1)).isoformat(),
    }
    assert (await client.post("/v1/suppressions", json=listed)).status_code == 201

    found = await reach(client, "c/1")

    assert said(found)["service"] == (None, "listed")
    assert [(each["channel"], each["purpose"], each["why"]) for each in found["said"]] == [
        ("email", "news", "said so on the phone")
    ]
    assert [(each["reason"], each["holds"]) for each in found["listed"]] == [("listed", True)]
    clock.move(timedelta(days=2))
    found = await reach(client, "c/1")
    assert (said(found)["service"], found["listed"][0]["holds"]) == (("email", None), False)
