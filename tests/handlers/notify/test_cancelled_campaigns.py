"""A campaign that was cancelled sends nothing that was not on the line, whatever comes back of it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from libs.events.database import Tx
from services.notify import campaigns
from services.notify.domain import campaigns as rules
from services.notify.domain import outcomes
from services.notify.domain.campaigns import CampaignId
from services.notify.domain.messages import Entry
from services.notify.journal import record
from services.notify.store import campaigns as store
from services.notify.store import delivery
from tests.handlers.notify.campaigning import (
    carried_out,
    post_json,
    started,
    state,
)
from tests.handlers.notify.mail_trap import MailTrap
from tests.handlers.notify.post import Post
from tests.handlers.notify.world import Clock, World


async def test_a_cancelled_campaign_tells_nobody_more_and_says_so_of_each(
    world: World, client: httpx.AsyncClient, post: Post, trap: MailTrap
) -> None:
    await world.customers(*(world.profile(f"c-{number:02}") for number in range(5)))
    campaign_id = await started(world, client, per_minute=3)
    await campaigns.step(world.database)
    await campaigns.step(world.database)
    cancelled = await post_json(client, f"/v1/campaigns/{campaign_id}/cancel", {"reason": "Ошибка"})
    assert cancelled.json()["status"] == "cancelled"
    await carried_out(world, post)
    assert trap.mails == []
    assert {(row.status, row.reason) for row in await world.rows()} == {("suppressed", "cancelled")}
    assert (await post_json(client, f"/v1/campaigns/{campaign_id}/resume", {})).status_code == 409
    assert (await state(client, campaign_id))["history"][-1]["reason"] == "Ошибка"


async def in_the_queue(world: World, client: httpx.AsyncClient) -> str:
    """A campaign of which one message waits to be sent."""
    await world.customers(world.profile("c-1"))
    campaign_id = await started(world, client)
    await campaigns.step(world.database)
    await campaigns.step(world.database)
    return campaign_id


async def cancel(client: httpx.AsyncClient, campaign_id: str) -> None:
    assert (await post_json(client, f"/v1/campaigns/{campaign_id}/cancel", {"reason": "Ошибка"})).status_code == 200


async def test_a_message_that_was_on_the_line_when_its_campaign_was_cancelled_is_never_tried_again(
    world: World, client: httpx.AsyncClient, post: Post, trap: MailTrap, clock: Clock
) -> None:
    campaign_id = await in_the_queue(world, client)
    mark = post.journal.before_last_dot

    async def cancel_after(entry: Entry) -> bool:
        allowed: bool = await mark(entry)
        await cancel(client, campaign_id)  # beyond recall now
        return allowed

    post.journal.before_last_dot = cancel_after  # type: ignore[method-assign]  # in the last moment
    trap.tell("dot", "451 4.3.0 later")
    await post.rest()
    clock.move(timedelta(hours=1))
    await post.rest()  # and nobody looked after the campaign meanwhile
    assert trap.mails == []
    assert await world.statuses() == [("customer:c-1", "suppressed", "cancelled")]
    assert [event.type for event in await world.published()][-1] == "message.suppressed.v1"


async def test_a_message_in_hand_when_its_campaign_is_cancelled_is_broken_off_before_its_last_dot(
    world: World, client: httpx.AsyncClient, post: Post, trap: MailTrap
) -> None:
    campaign_id = await in_the_queue(world, client)
    mark = post.journal.before_last_dot

    async def cancel_first(entry: Entry) -> bool:
        await cancel(client, campaign_id)
        allowed: bool = await mark(entry)
        return allowed

    post.journal.before_last_dot = cancel_first  # type: ignore[method-assign]  # in the last moment
    await post.rest()
    assert trap.mails == []
    assert await world.statuses() == [("customer:c-1", "suppressed", "cancelled")]


@pytest.mark.parametrize("first", ["the cancel", "the answer of the server"])
async def test_a_message_that_comes_back_while_its_campaign_is_being_cancelled_does_not_stay_in_the_queue(
    world: World, client: httpx.AsyncClient, first: str, somebody_waits: Callable[[], Awaitable[None]]
) -> None:
    campaign_id = CampaignId(UUID(await in_the_queue(world, client)))
    (claimed,) = await delivery.claim(world.database, sender=1, limit=1)
    await delivery.mark_transmitting(world.database, [claimed.entry])
    later = (claimed.entry.id, claimed.entry.attempt, outcomes.deferred("451 later", 0))

    async def cancelling(tx: Tx) -> None:
        stored = await store.lock(tx, campaign_id)
        assert stored is not None
        await store.save(tx, rules.cancel(stored.campaign, "e-elena", tx.now), "cancelled", "e-elena")
        await campaigns.recall(tx, campaign_id)

    async def coming_back(tx: Tx) -> None:
        await record(tx, [later])

    async def second(act: Callable[[Tx], Awaitable[None]]) -> None:
        async with world.database.transaction() as tx:
            await act(tx)

    acts = (cancelling, coming_back) if first == "the cancel" else (coming_back, cancelling)
    async with world.database.transaction() as tx:
        await acts[0](tx)
        other = asyncio.create_task(second(acts[1]))
        await somebody_waits()
    await other
    assert await world.statuses() == [("customer:c-1", "suppressed", "cancelled")]


async def test_nobody_sends_a_message_of_a_cancelled_campaign_again(
    world: World, client: httpx.AsyncClient, post: Post, trap: MailTrap
) -> None:
    await cancel(client, await in_the_queue(world, client))
    (row,) = await world.rows()
    headers = {"Otklik-Person": "e-oleg", "Otklik-Role": "operator"}
    refused = await post_json(client, f"/v1/messages/{row.id}/resolve", {"outcome": "resend"}, headers)
    assert refused.status_code == 409
    assert refused.json()["type"].endswith("campaign-cancelled")
    await post.rest()
    assert trap.mails == []
