"""Who is not written to, and when: whatever holds a message back is recorded, with why and until when."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx

from libs.events.contracts.responses import address_mark
from services.notify.store import suppressions
from tests.handlers.notify.mail_trap import MailTrap
from tests.handlers.notify.post import Post
from tests.handlers.notify.world import Clock, World

RULES: dict[str, Any] = {
    "channels": {"courtesy": ["email"]},
    "ask_first": [],
    "quiet_hours": [],
    "caps": [],
    "patience_hours": 72,
}


async def set_rules(client: httpx.AsyncClient, **changes: object) -> None:
    seen = await client.get("/v1/contact-rules")
    put = await client.put("/v1/contact-rules", json=RULES | changes, headers={"If-Match": seen.headers["ETag"]})
    assert put.status_code == 200, put.text


async def test_the_usual_rules_are_shown_and_changed_by_whoever_saw_them_last(client: httpx.AsyncClient) -> None:
    usual = await client.get("/v1/contact-rules")
    assert (usual.json()["revision"], usual.headers["ETag"]) == (0, '"0"')
    assert usual.json()["channels"]["service"] == ["email"]
    assert (await client.put("/v1/contact-rules", json=RULES)).status_code == 428
    await set_rules(client)
    late = await client.put("/v1/contact-rules", json=RULES, headers={"If-Match": '"0"'})
    assert late.status_code == 412
    assert (await client.get("/v1/contact-rules")).json()["by"] == "operator"
    agent = {"Otklik-Person": "e-1", "Otklik-Role": "agent", "If-Match": '"1"'}
    assert (await client.put("/v1/contact-rules", json=RULES, headers=agent)).status_code == 403


async def test_a_message_waits_until_quiet_hours_end_and_says_so(
    world: World, post: Post, trap: MailTrap, clock: Clock, client: httpx.AsyncClient
) -> None:
    quiet = {"channels": ["email"], "purposes": ["courtesy"], "start": "10:00", "end": "14:00"}
    await set_rules(client, quiet_hours=[quiet])
    await world.customers(world.profile())
    await world.thank("one")
    await world.cases(world.assigned())
    await post.rest()
    assert [envelope.rcpt_tos for envelope in trap.envelopes] == [["anna@company.example"]]
    (hold,) = (await client.get("/v1/holds")).json()["items"]
    assert (hold["reason"], hold["until"], hold["channel"]) == ("quiet_hours", "2026-03-02T11:00:00Z", "email")
    assert (hold["kind"], hold["customer_id"], hold["status"]) == ("thanks", "c-1", "queued")
    (held,) = [event for event in await world.published() if event.type == "message.held.v1"]
    assert held.payload.until == clock.now + timedelta(hours=2)

    clock.move(timedelta(hours=2))
    await post.rest()
    assert len(trap.mails) == 2
    assert (await client.get("/v1/holds")).json()["items"][0]["status"] == "sent", "that it waited stays known"


async def test_what_would_wait_too_long_is_suppressed(world: World, post: Post, client: httpx.AsyncClient) -> None:
    quiet = {"channels": ["email"], "purposes": ["courtesy"], "start": "10:00", "end": "14:00"}
    await set_rules(client, quiet_hours=[quiet], patience_hours=1)
    await world.customers(world.profile())
    await world.thank("one")
    await post.rest()
    assert (await world.statuses())[0][1:] == ("suppressed", "too_late")
    (hold,) = (await client.get("/v1/holds", params={"reason": "too_late", "recipient": "c-1"})).json()["items"]
    assert hold["until"] is None


async def test_nobody_gets_more_than_the_cap_however_many_send_at_once(
    world: World, a_post: Callable[..., Post], trap: MailTrap, clock: Clock, client: httpx.AsyncClient
) -> None:
    await set_rules(client, caps=[{"purposes": ["courtesy", "news"], "messages": 2, "days": 1}])
    await world.customers(world.profile(), world.profile("c-2"))
    posts = [a_post(), a_post()]
    await world.thank(*"abc")
    await world.thank("for another", customer_id="c-2")
    await asyncio.gather(*(each.rest() for each in posts))
    await world.thank(*"de")
    await asyncio.gather(*(each.rest() for each in posts))
    assert sorted(envelope.rcpt_tos[0] for envelope in trap.envelopes) == [
        "c-1@mail.example",
        "c-1@mail.example",
        "c-2@mail.example",
    ]
    holds = (await client.get("/v1/holds", params={"reason": "frequency"})).json()["items"]
    assert len({hold["message_id"] for hold in holds}) == 3
    clock.move(timedelta(days=1, minutes=1))
    await asyncio.gather(*(each.rest() for each in posts))
    assert len(trap.mails) == 5, "the next two"


async def test_an_address_on_the_list_is_not_written_to_until_it_is_taken_off(
    world: World, post: Post, trap: MailTrap, client: httpx.AsyncClient
) -> None:
    await world.customers(world.profile())
    added = await client.post("/v1/suppressions", json={"address": "C-1@Mail.example ", "why": "asked by phone"})
    assert (added.status_code, added.json()["added_by"]) == (201, "operator")
    again = await client.post("/v1/suppressions", json={"address": "c-1@mail.example", "why": "asked again"})
    assert again.status_code == 409
    await world.thank("one")
    await world.cases(world.assigned())
    await post.rest()
    assert [envelope.rcpt_tos for envelope in trap.envelopes] == [["anna@company.example"]]
    assert ("customer:c-1", "suppressed", "listed") in await world.statuses()
    assert "c-1@" not in (await client.get("/v1/suppressions")).text, "the list holds no address"

    entry = f"/v1/suppressions/{added.json()['id']}/remove"
    removed = await client.post(entry, json={"why": "asked to be written to again"})
    assert removed.json()["removed_why"] == "asked to be written to again"
    assert (await client.post(entry, json={"why": "twice"})).status_code == 409
    assert (await client.get("/v1/suppressions")).json()["items"] == []
    assert len((await client.get("/v1/suppressions", params={"removed": True})).json()["items"]) == 1
    (known,) = (await client.post("/v1/suppressions/find", json={"address": "c-1@mail.example"})).json()
    assert known["removed_by"] == "operator"
    message = next(row for row in await world.rows() if row.kind == "thanks")
    assert (await client.post(f"/v1/messages/{message.id}/resolve", json={"outcome": "resend"})).status_code == 200
    await post.rest()
    assert [envelope.rcpt_tos for envelope in trap.envelopes][1:] == [["c-1@mail.example"]]


async def test_what_is_listed_for_a_while_ends_and_an_employees_address_can_be_listed(
    world: World, post: Post, trap: MailTrap, clock: Clock
) -> None:
    async with world.database.transaction() as tx:
        for address in ("anna@company.example", "c-1@mail.example"):
            mark = address_mark(address)
            until = tx.now + timedelta(hours=1)
            await suppressions.add(
                tx,
                suppressions.Addition(
                    id=uuid4(), mark=mark, medium="email", reason="undeliverable", why="full", by="x", until=until
                ),
            )
    await world.customers(world.profile())
    await world.cases(world.assigned())
    await post.rest()
    assert (await world.statuses()) == [("employee:e-anna", "suppressed", "undeliverable")]
    clock.move(timedelta(hours=2))
    await world.thank("one")
    await post.rest()
    assert [envelope.rcpt_tos for envelope in trap.envelopes] == [["c-1@mail.example"]]


async def test_a_customers_no_holds_for_its_purpose_alone_and_is_announced(
    world: World, post: Post, trap: MailTrap, client: httpx.AsyncClient
) -> None:
    await world.customers(world.profile())
    said = await client.put("/v1/consents/c-1/email/courtesy", json={"granted": False, "why": "said on the phone"})
    assert said.json()[0] | {"at": None} == {
        "channel": "email",
        "purpose": "courtesy",
        "granted": False,
        "at": None,
        "by": "operator",
        "why": "said on the phone",
    }
    assert (await world.published_types()) == ["customer.unsubscribed"]
    await world.thank("one")
    await world.cases(world.resolved())
    await post.rest()
    assert ("customer:c-1", "suppressed", "unsubscribed") in await world.statuses()
    assert len(trap.mails) == 1
    await client.put("/v1/consents/c-1/email/courtesy", json={"granted": True, "why": "changed their mind"})
    assert (await world.published_types())[-1] == "customer.subscribed"
    await world.thank("two")
    await post.rest()
    assert len(trap.mails) == 2

    await world.customers(world.erasure())
    assert (await client.get("/v1/consents/c-1")).json() == []


async def test_addresses_are_verified_without_asking_anybody(client: httpx.AsyncClient) -> None:
    good = (await client.post("/v1/addresses/verify", json={"address": "анна@почта.рф"})).json()
    assert good == {"valid": True, "problem": None, "ascii": "анна@xn--80a1acny.xn--p1ai"}
    assert not (await client.post("/v1/addresses/verify", json={"address": "anna@"})).json()["valid"]
