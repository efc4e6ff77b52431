"""`/v1/messages`: the ledger for services and operators."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from libs.events.database import Database
from libs.webapi import keys
from tests.handlers.notify.mail_trap import MailTrap
from tests.handlers.notify.post import Post
from tests.handlers.notify.world import Clock, World


async def listed(client: httpx.AsyncClient, **filters: str) -> list[dict[str, Any]]:
    response = await client.get("/v1/messages", params=filters)
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


async def test_the_ledger_is_listed_by_status_case_and_recipient(world: World, client: httpx.AsyncClient) -> None:
    await world.customers(world.profile())
    await world.cases(world.assigned("case-1"), world.resolved("case-1"), world.resolved("case-2", customer_id="c-2"))
    assert len(await listed(client)) == 3
    assert {item["case_id"] for item in await listed(client, status="waiting")} == {"case-2"}
    assert {item["kind"] for item in await listed(client, case="case-1")} == {"case_assigned", "confirmation_request"}
    assert [item["employee_id"] for item in await listed(client, recipient="e-anna")] == ["e-anna"]
    assert [item["customer_id"] for item in await listed(client, recipient="c-1", status="queued")] == ["c-1"]
    assert await listed(client, recipient="nobody") == []
    response = await client.get("/v1/messages", params={"status": "lost"})
    assert response.status_code == 422


async def test_the_ledger_tells_no_contact_detail(world: World, client: httpx.AsyncClient, post: Post) -> None:
    await world.customers(world.profile())
    await world.cases(world.assigned(), world.resolved())
    await post.rest()
    response = await client.get("/v1/messages")
    assert "@" not in response.text
    assert "Иван" not in response.text


async def test_pages_follow_one_another_without_gap_or_repetition(
    world: World, client: httpx.AsyncClient, clock: Clock
) -> None:
    for number in range(7):
        await world.cases(world.assigned(f"case-{number}"), world.assigned(f"more-{number}"))
        clock.move(timedelta(seconds=1))
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = (await client.get("/v1/messages", params={"limit": "3"} | ({"cursor": cursor} if cursor else {}))).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [item["id"] for item in await listed(client)]
    assert len(set(seen)) == 14
    assert (await client.get("/v1/messages", params={"cursor": "nonsense"})).status_code == 422


async def test_one_message(world: World, client: httpx.AsyncClient) -> None:
    assigned = world.assigned()
    await world.cases(assigned)
    (item,) = await listed(client)
    assert (await client.get(f"/v1/messages/{item['id']}")).json() == item
    assert item["cause_id"] == str(assigned.id)
    assert item["status"] == "queued"
    assert item["due_at"] is not None
    missing = await client.get(f"/v1/messages/{uuid4()}")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")


async def doubtful(world: World, post: Post, trap: MailTrap) -> str:
    trap.tell("dot", "cut")
    await world.cases(world.assigned())
    await post.rest()
    return str((await world.row()).id)


async def test_an_operator_says_that_a_doubtful_message_arrived(
    world: World, client: httpx.AsyncClient, post: Post, trap: MailTrap
) -> None:
    id_ = await doubtful(world, post, trap)
    assert [item["id"] for item in await listed(client, status="doubtful")] == [id_]
    response = await client.post(f"/v1/messages/{id_}/resolve", json={"outcome": "sent"})
    assert (response.status_code, response.json()["status"]) == (200, "sent")
    assert await world.published_types() == ["message.queued", "message.failed", "message.sent"]
    await post.rest()
    assert trap.mails == []
    assert await listed(client, status="doubtful") == []


async def test_an_operator_has_a_doubtful_message_sent_again_under_the_same_message_id(
    world: World, client: httpx.AsyncClient, post: Post, trap: MailTrap
) -> None:
    id_ = await doubtful(world, post, trap)
    headers = {"Idempotency-Key": "resend-1"}
    for _ in range(2):
        response = await client.post(f"/v1/messages/{id_}/resolve", json={"outcome": "resend"}, headers=headers)
        assert (response.status_code, response.json()["status"]) == (200, "queued")
        await post.rest()
    assert [str(mail["Message-ID"]) for mail in trap.mails] == [f"<{id_.replace('-', '')}@romashka.example>"]
    assert (await world.published_types())[1:] == ["message.failed", "message.queued", "message.sent"]


async def test_a_failed_message_may_be_sent_again_but_not_declared_sent(
    world: World, client: httpx.AsyncClient, post: Post, trap: MailTrap
) -> None:
    trap.tell("RCPT", "550 5.7.1 not from here")
    await world.cases(world.assigned())
    await post.rest()
    id_ = (await world.row()).id
    assert (await client.post(f"/v1/messages/{id_}/resolve", json={"outcome": "sent"})).status_code == 409
    assert (await client.post(f"/v1/messages/{id_}/resolve", json={"outcome": "resend"})).status_code == 200
    await post.rest()
    assert (await world.row()).status == "sent"


async def test_what_is_not_in_doubt_is_not_resolved(world: World, client: httpx.AsyncClient, post: Post) -> None:
    await world.cases(world.assigned())
    await post.rest()
    id_ = (await world.row()).id
    response = await client.post(f"/v1/messages/{id_}/resolve", json={"outcome": "resend"})
    assert (response.status_code, response.json()["type"]) == (409, "urn:otklik:problem:message-not-in-doubt")
    assert (await client.post(f"/v1/messages/{uuid4()}/resolve", json={"outcome": "sent"})).status_code == 404
    assert (await client.post(f"/v1/messages/{id_}/resolve", json={"outcome": "lost"})).status_code == 422


@pytest.mark.parametrize(
    ("scopes", "role", "reads", "resolves"),
    [
        ([], None, 403, 403),
        (["messages:read"], None, 200, 403),
        (["messages:write"], None, 403, 404),
        (["messages:read", "messages:write", "on-behalf"], "agent", 200, 403),
        (["messages:read", "messages:write", "on-behalf"], "employee", 403, 403),
        (["messages:read", "messages:write", "on-behalf"], "operator", 200, 404),
    ],
)
async def test_who_may_do_what(
    client: httpx.AsyncClient, database: Database, *, scopes: list[str], role: str | None, reads: int, resolves: int
) -> None:
    async with database.transaction() as tx:
        key = await keys.create_key(tx, name="somebody", scopes=scopes)
    headers = {"Authorization": f"Bearer {key}"}
    if role is not None:
        headers |= {"Otklik-Person": "p-1", "Otklik-Role": role}
    assert (await client.get("/v1/messages", headers=headers)).status_code == reads
    response = await client.post(f"/v1/messages/{uuid4()}/resolve", json={"outcome": "sent"}, headers=headers)
    assert response.status_code == resolves


async def test_nobody_reads_the_ledger_without_a_key(client: httpx.AsyncClient) -> None:
    for headers in ({"Authorization": ""}, {"Authorization": f"Bearer {keys.new_key()}"}):
        assert (await client.get("/v1/messages", headers=headers)).status_code == 401
