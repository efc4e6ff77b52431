"""SMS and chat over real HTTP: providers that behave and misbehave, and never two messages of one."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.handlers.notify.gateway import Gateway
from tests.handlers.notify.mail_trap import MailTrap
from tests.handlers.notify.post import Post
from tests.handlers.notify.world import Clock, World

BY_SMS: dict[str, Any] = {
    "channels": {"courtesy": ["sms"], "work": ["chat", "email"]},
    "ask_first": [],
    "quiet_hours": [],
    "caps": [],
    "patience_hours": 720,
}


async def set_up(client: httpx.AsyncClient, gateway: Gateway, **changes: object) -> None:
    provider = {
        "channel": "sms",
        "url": f"http://127.0.0.1:{gateway.port}/send",
        "headers": {"Authorization": "Bearer secret-of-the-provider"},
        "body": {"to": "{to}", "text": "{text}", "id": "{id}"},
        "idempotency_header": "X-Key",
        "reading": {"pointer": "/status", "accepted": ["ok"]},
        **changes,
    }
    put = await client.put("/v1/providers/gateway", json=provider)
    assert put.status_code == 200, put.text
    seen = await client.get("/v1/contact-rules")
    rules = await client.put("/v1/contact-rules", json=BY_SMS, headers={"If-Match": seen.headers["ETag"]})
    assert rules.status_code == 200, rules.text


async def test_an_sms_goes_out_over_the_provider_once_with_its_key(
    world: World, post: Post, trap: MailTrap, client: httpx.AsyncClient, gateway: Gateway
) -> None:
    await set_up(client, gateway)
    await world.customers(world.profile(phone="+79000000000"), world.profile("c-2"))
    await world.thank("one")
    await world.thank("two", customer_id="c-2")
    await post.rest()
    ((headers, body),) = gateway.asked
    row = next(row for row in await world.rows() if row.customer_id == "c-1")
    assert (row.status, row.channel, row.provider) == ("sent", "sms", "gateway")
    assert body == {"to": "+79000000000", "text": "Ромашка: Спасибо за Ваш ответ", "id": row.id.hex}
    assert (headers["x-key"], headers["authorization"]) == (row.id.hex, "Bearer secret-of-the-provider")
    assert trap.mails == []
    assert ("customer:c-2", "suppressed", "no_address") in await world.statuses(), "without a phone"
    shown = (await client.get("/v1/providers")).text
    assert "secret-of-the-provider" not in shown
    assert json.loads(shown)[0]["headers"] == ["Authorization"]


@pytest.mark.parametrize("trouble", ["cut", 429, 500, 503])
async def test_with_a_key_it_is_asked_for_again_and_sent_once(
    world: World,
    post: Post,
    clock: Clock,
    client: httpx.AsyncClient,
    gateway: Gateway,
    trouble: Any,  # noqa: ANN401
) -> None:
    await set_up(client, gateway)
    await world.customers(world.profile(phone="+79000000000"))
    gateway.script = [trouble]
    await world.thank("one")
    await post.rest()
    assert (await world.row()).status == "queued"
    clock.move(timedelta(minutes=1))
    await post.rest()
    assert (await world.row()).status == "sent"
    assert len(gateway.sent) == 1
    assert len({headers["x-key"] for headers, _ in gateway.asked}) == 1
    assert len(gateway.asked) == 2


async def test_without_a_key_a_doubt_is_listed_and_never_asked_for_again(
    world: World, post: Post, clock: Clock, client: httpx.AsyncClient, gateway: Gateway
) -> None:
    await set_up(client, gateway, idempotency_header=None)
    await world.customers(world.profile(phone="+79000000000"))
    gateway.script = ["cut", 429]
    await world.thank("one")
    await post.rest()
    (doubt,) = (await client.get("/v1/messages", params={"status": "doubtful"})).json()["items"]
    assert doubt["channel"] == "sms"
    clock.move(timedelta(days=2))
    await post.attendant.doubts()
    await post.rest()
    assert len(gateway.asked) == 1
    await world.thank("two")
    await post.rest()
    clock.move(timedelta(minutes=1))
    await post.rest()
    assert sorted(row.status for row in await world.rows()) == ["doubtful", "sent"], "a certain no is asked again"


async def test_a_provider_that_forgot_the_key_is_not_asked_again(
    world: World, post: Post, clock: Clock, client: httpx.AsyncClient, gateway: Gateway
) -> None:
    await set_up(client, gateway, repeat_hours=1)
    await world.customers(world.profile(phone="+79000000000"))
    gateway.script = ["cut"]
    await world.thank("one")
    await post.rest()
    clock.move(timedelta(hours=2))
    await post.rest()
    assert (await world.row()).status == "doubtful"
    assert len(gateway.asked) == 1


async def test_a_refusal_for_good_and_a_provider_that_is_away(
    world: World, post: Post, clock: Clock, client: httpx.AsyncClient, gateway: Gateway
) -> None:
    await set_up(client, gateway, idempotency_header=None)
    await world.customers(world.profile(phone="+79000000000"))
    gateway.script = [400]
    await world.thank("one")
    await post.rest()
    assert (await world.row()).status == "failed"
    await gateway.stop()
    await world.thank("two")
    await post.rest()
    assert sorted(row.status for row in await world.rows()) == ["failed", "queued"], "never reached: no doubt"
    await gateway.start()
    clock.move(timedelta(minutes=1))
    await post.rest()
    assert sorted(row.status for row in await world.rows()) == ["failed", "sent"]


@pytest.mark.parametrize("with_key", [True, False])
async def test_killed_while_the_provider_is_asked_it_is_once_or_listed(
    world: World,
    a_post: Callable[..., Post],
    clock: Clock,
    client: httpx.AsyncClient,
    gateway: Gateway,
    *,
    with_key: bool,
) -> None:
    await set_up(client, gateway, idempotency_header="X-Key" if with_key else None)
    await world.customers(world.profile(phone="+79000000000"))
    asked = asyncio.Event()
    gateway.script = [asked.set]
    victim, heir = a_post(), a_post()
    await world.thank("one")
    await victim.until(asked.is_set)
    await victim.killed()
    await heir.attendant.recovery()
    clock.move(timedelta(minutes=1))
    await heir.rest()
    row = await world.row()
    assert (row.status, len(gateway.asked)) == (("sent", 2) if with_key else ("doubtful", 1))
    assert len(gateway.sent) == int(with_key)


async def test_an_employee_is_told_in_chat_and_a_chat_without_a_yes_is_a_doubt(
    world: World, post: Post, trap: MailTrap, client: httpx.AsyncClient, gateway: Gateway
) -> None:
    await set_up(client, gateway)
    chat = {"address": f"json://127.0.0.1:{gateway.port}/hook"}
    assert (await client.put("/v1/employees/e-anna/chat", json=chat)).status_code == 200
    assert str(gateway.port) not in (await client.get("/v1/employees/e-anna/chat")).text
    await world.cases(world.assigned())
    await post.rest()
    row = await world.row()
    assert (row.status, row.channel) == ("sent", "chat")
    assert "https://portal.example/cases/case-1" in gateway.asked[0][1]["message"]
    gateway.script = [500]
    await world.cases(world.warned())
    await post.rest()
    assert [row.status for row in await world.rows()] == ["sent", "doubtful"]
    assert (await client.delete("/v1/employees/e-anna/chat")).status_code == 204
    await world.cases(world.breached(responsible=None))
    await post.rest()
    assert len(trap.mails) == 1
    async with world.database.reading() as tx:
        marks = await tx.fetch(text("SELECT channel FROM messages WHERE channel = 'chat'"))
    assert len(marks) == 2


async def test_a_provider_is_checked_before_it_is_kept(client: httpx.AsyncClient) -> None:
    for wrong in (
        {"url": "ftp://x"},
        {"url": "http://xn--/"},
        {"url": "https://sms.example:99999/"},
        {"body": {"a": "{nobody}"}},
        {"headers": {"A": "b\r\nC: d"}},
        {"channel": "email"},
        {"reading": {"pointer": "status", "accepted": ["ok"]}},
    ):
        body = {"channel": "sms", "url": "https://sms.example", "body": {}} | wrong
        assert (await client.put("/v1/providers/p", json=body)).status_code == 422, wrong
    agent = {"Otklik-Person": "e-1", "Otklik-Role": "manager"}
    assert (await client.get("/v1/providers", headers=agent)).status_code == 403


async def test_a_provider_is_tried_once_and_shows_its_answer_without_secrets(
    world: World, client: httpx.AsyncClient, gateway: Gateway
) -> None:
    secret = "secret-of-the-provider"
    await set_up(client, gateway, enabled=False)
    body = {"to": "+79990001122", "text": "Проверка"}
    echoed = json.dumps({"status": "ok", "for": body["to"], "key": secret, "more": "x" * 5_000})
    gateway.answer = echoed
    once = {"Idempotency-Key": "try-1"}
    tried = await client.post("/v1/providers/gateway/test", json=body, headers=once)
    assert tried.status_code == 200, tried.text
    shown = tried.json()
    assert (shown["outcome"], shown["status"], shown["said"]) == ("accepted", 200, "ok, 200 by gateway")
    assert shown["answer"].startswith('{"status": "ok", "for": "<address>", "key": "<secret>", "more": "xxx')
    assert len(shown["answer"]) == 1_000
    ((headers, asked),) = gateway.asked
    assert asked["to"] == body["to"]
    assert (asked["text"], headers["authorization"]) == ("Проверка", f"Bearer {secret}")
    again = await client.post("/v1/providers/gateway/test", json=body, headers=once)
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (shown, "true")
    assert len(gateway.asked) == 1, "and nobody is asked twice"
    other = await client.post("/v1/providers/gateway/test", json=body | {"text": "Иначе"}, headers=once)
    assert other.status_code == 422

    gateway.script = [401, "cut"]
    refused = (await client.post("/v1/providers/gateway/test", json=body)).json()
    assert (refused["outcome"], refused["status"], refused["said"]) == ("later", 401, "401 by gateway")
    lost = (await client.post("/v1/providers/gateway/test", json=body)).json()
    assert (lost["outcome"], lost["status"], lost["answer"]) == ("doubtful", None, "")
    await gateway.stop()
    away = (await client.post("/v1/providers/gateway/test", json=body)).json()
    assert (away["outcome"], away["said"]) == ("later", "ConnectError before gateway was asked")

    assert list(await world.rows()) == [], "none of it was a message"
    assert await world.published() == []
    sending = (await client.get("/v1/provider-answers")).json()
    assert all(each["delivered"] == each["later"] == each["doubtful"] == 0 for each in sending["items"])
    async with world.database.reading() as tx:
        kept = [str(tuple(row)) for row in await tx.fetch(text("SELECT * FROM provider_trials"))]
    assert len(kept) == 4
    assert not any(body["to"] in row or "Проверка" in row or secret in row for row in kept)
    assert (await client.post("/v1/providers/nobody/test", json=body)).status_code == 404
    for wrong in ({"to": ""}, {"to": "+7\n9"}, {"text": " "}):
        assert (await client.post("/v1/providers/gateway/test", json=body | wrong)).status_code == 422


async def test_a_trial_whose_asker_died_is_not_asked_again(
    world: World, client: httpx.AsyncClient, gateway: Gateway
) -> None:
    await set_up(client, gateway)
    body = {"to": "+79990001122", "text": "Проверка"}
    once = {"Idempotency-Key": "try-2"}
    await client.post("/v1/providers/gateway/test", json=body, headers=once)
    async with world.database.transaction() as tx:
        await tx.execute(text("UPDATE provider_trials SET outcome = NULL, answered_at = NULL"))
    unknown = await client.post("/v1/providers/gateway/test", json=body, headers=once)
    assert (unknown.status_code, unknown.json()["type"].rpartition(":")[2]) == (409, "provider-being-tried")
    assert len(gateway.asked) == 1


async def test_how_sending_goes_is_told_by_provider(
    world: World, post: Post, trap: MailTrap, client: httpx.AsyncClient, gateway: Gateway
) -> None:
    await set_up(client, gateway)
    await world.customers(world.profile(phone="+79000000000"))
    gateway.script = [200, 400, 503]
    for name in ("one", "two", "three"):
        await world.thank(name)
        await post.rest()
    await world.cases(world.assigned())
    await post.rest()
    assert len(trap.mails) == 1

    by_mail, by_gateway = (await client.get("/v1/provider-answers")).json()["items"]

    trouble = by_gateway.pop("trouble")
    assert by_gateway == {"provider": "gateway", "delivered": 1, "later": 1, "never": 1, "doubtful": 0}
    assert trouble["said"] == "503 by gateway"
    assert by_mail == {
        "provider": None, "delivered": 1, "later": 0, "never": 0, "doubtful": 0, "trouble": None,
    }  # fmt: skip
    shown = await client.get("/v1/providers/gateway")
    assert (shown.headers["ETag"], shown.json()["headers"]) == ('"1"', ["Authorization"])
    assert (await client.get("/v1/providers/nobody")).status_code == 404
