"""`kill -9` after a provider or a chat has answered: asked again under the same key, or listed as doubtful."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.handlers.notify.gateway import Gateway
from tests.handlers.notify.mail_trap import MailTrap
from tests.handlers.notify.post import Post
from tests.handlers.notify.world import Clock, World

Victim = Callable[..., Awaitable[asyncio.subprocess.Process]]

RULES: dict[str, Any] = {
    "channels": {"courtesy": ["sms"], "work": ["chat", "email"]},
    "ask_first": [],
    "quiet_hours": [],
    "caps": [],
    "patience_hours": 720,
}


async def set_up(client: httpx.AsyncClient, gateway: Gateway, *, key: str | None) -> None:
    address = f"127.0.0.1:{gateway.port}"
    provider = {"channel": "sms", "url": f"http://{address}/send", "body": {"to": "{to}"}, "idempotency_header": key}
    assert (await client.put("/v1/providers/gateway", json=provider)).status_code == 200
    rules = await client.put("/v1/contact-rules", json=RULES, headers={"If-Match": '"0"'})
    assert rules.status_code == 200, rules.text
    chat = {"address": f"json://{address}/hook"}
    assert (await client.put("/v1/employees/e-anna/chat", json=chat)).status_code == 200


async def killed_at(point: str, victim: Victim) -> None:
    process = await victim(point)
    async with asyncio.timeout(60):
        assert await process.wait() == -signal.SIGKILL


async def taken_over(world: World, post: Post, clock: Clock) -> None:
    clock.now = datetime.now(UTC) + timedelta(seconds=1)
    async with asyncio.timeout(60):
        while any(row.sender is not None for row in await world.rows()):
            await post.attendant.recovery()
            await post.rest()
    clock.move(timedelta(hours=1))
    await post.rest()


@pytest.mark.parametrize("key", ["X-Key", None])
async def test_killed_after_the_provider_s_yes_it_is_asked_again_under_its_key_or_never(
    world: World,
    a_post: Callable[..., Post],
    clock: Clock,
    client: httpx.AsyncClient,
    gateway: Gateway,
    victim: Victim,
    key: str | None,
) -> None:
    await set_up(client, gateway, key=key)
    await world.customers(world.profile(phone="+79000000000"))
    await world.thank("one")
    await killed_at("notify.after_provider", victim)
    assert len(gateway.sent) == 1
    await taken_over(world, a_post(), clock)
    row = await world.row()
    if key:
        assert (row.status, len(gateway.asked), len(gateway.sent)) == ("sent", 2, 1)
        assert len({headers["x-key"] for headers, _ in gateway.asked}) == 1
    else:
        assert (row.status, len(gateway.asked)) == ("doubtful", 1)
        listed = (await client.get("/v1/messages", params={"status": "doubtful"})).json()["items"]
        assert [each["id"] for each in listed] == [str(row.id)]


async def test_killed_after_the_chat_s_yes_it_is_doubtful_listed_and_not_said_again(
    world: World,
    a_post: Callable[..., Post],
    clock: Clock,
    client: httpx.AsyncClient,
    gateway: Gateway,
    trap: MailTrap,
    victim: Victim,
) -> None:
    await set_up(client, gateway, key=None)
    await world.cases(world.assigned())
    await killed_at("notify.after_chat", victim)
    assert len(gateway.sent) == 1
    await taken_over(world, a_post(), clock)
    row = await world.row()
    assert (row.status, row.channel, len(gateway.asked), trap.mails) == ("doubtful", "chat", 1, [])
    assert [event.type for event in await world.published()] == ["message.queued.v1", "message.failed.v1"]
    settled = await client.post(f"/v1/messages/{row.id}/resolve", json={"outcome": "resend"})
    assert settled.status_code == 200, settled.text
    await a_post().rest()
    assert ((await world.row()).status, len(gateway.sent)) == ("sent", 2)
