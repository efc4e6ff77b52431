"""What a customer says to mails reaches scoring's profile and comes back with it; nothing goes round."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from libs.events import outbox
from libs.events.codec import Record, decode
from libs.events.contracts.messages import CustomerOptedIn, CustomerOptedOut
from libs.events.database import Database
from libs.events.event import Event, EventId
from libs.webapi import keys
from services.scoring.api import build_app
from services.scoring.choices import handle_choices, wanted_choices
from tests.handlers.notify.mail_trap import MailTrap
from tests.handlers.notify.post import Post
from tests.handlers.notify.world import Clock, World

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
ANNA: dict[str, Any] = {
    "name": "Анна Орлова",
    "email": "anna@example.org",
    "language": "ru",
    "time_zone": "Europe/Moscow",
}
PATH = "/v1/customers/c-1"


class Scoring:
    """The other service: its doors, and what it tells."""

    def __init__(self, database: Database, client: httpx.AsyncClient) -> None:
        self.database = database
        self.client = client
        self._told = 0

    async def put(self, **changes: object) -> None:
        answer = await self.client.put(PATH, json=ANNA | changes)
        assert answer.status_code in {200, 201}, answer.text

    async def customer(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.client.get(PATH)).json()
        return found

    async def history(self) -> list[tuple[str, str | None, str, str]]:
        answer = await self.client.get("/v1/contact-changes", params={"customer_id": "c-1"})
        return [(each["what"], each["before"], each["after"], each["came_by"]) for each in answer.json()["items"]]

    async def told(self) -> list[Event[Any]]:
        """What it published since it was asked last."""
        async with self.database.engine.connect() as connection:
            waiting = await outbox.oldest(connection, 1000)
        found = []
        for row in waiting:
            record = row.record
            event = decode(Record(record.topic, 0, row.id, record.key.encode(), record.value, record.headers))
            assert event is not None
            found.append(event)
        news, self._told = found[self._told :], len(found)
        return news

    async def hear(self, events: Sequence[Event[Any]]) -> None:
        async with self.database.transaction() as tx:
            wanted = await wanted_choices(tx)
            heard = [event for event in events if event.type in wanted]
            if heard:
                await handle_choices(tx, heard)


@pytest.fixture
async def scoring(service_database: Callable[[str], str], clock: Clock) -> AsyncIterator[Scoring]:
    database = Database.connect(service_database("scoring"), pool_size=4, clock=clock)
    async with database.transaction() as tx:
        key = await keys.create_key(tx, name="crm", scopes=("customers:read", "customers:write"))
    transport = httpx.ASGITransport(build_app(database))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://scoring", headers={"Authorization": f"Bearer {key}"}
    ) as client:
        yield Scoring(database, client)
    await database.close()


def no(purpose: str = "news", told_by: str = "customer", minutes: int = 0) -> Event[Any]:
    at = MONDAY + timedelta(minutes=minutes)
    payload: dict[str, Any] = {"customer_id": "c-1", "channel": "email", "purpose": purpose, "told_by": told_by}
    said = CustomerOptedOut(**payload, unsubscribed_at=at)
    return Event.root(EventId(uuid4()), said, subject="c-1", time=at, source="/notify")


def yes(purpose: str = "news", minutes: int = 0) -> Event[Any]:
    at = MONDAY + timedelta(minutes=minutes)
    payload: dict[str, Any] = {"customer_id": "c-1", "channel": "email", "purpose": purpose, "told_by": "customer"}
    said = CustomerOptedIn(**payload, subscribed_at=at)
    return Event.root(EventId(uuid4()), said, subject="c-1", time=at, source="/notify")


async def test_a_no_to_one_kind_reaches_the_profile_and_a_later_consent_lifts_it_in_both(
    world: World, post: Post, trap: MailTrap, clock: Clock, client: httpx.AsyncClient, scoring: Scoring
) -> None:
    await scoring.put()
    await world.customers(*await scoring.told())
    await client.put("/v1/consents/c-1/email/courtesy", json={"granted": False, "why": "said on the phone"})
    await scoring.hear(await world.published())
    (profile,) = await scoring.told()
    assert (profile.payload.version, profile.payload.email_consent) == (2, True)
    assert profile.payload.email_refused == ("courtesy",)
    assert (await scoring.customer())["email_refused"] == ["courtesy"]
    assert (await scoring.history())[0] == ("email_courtesy", "yes", "no", "operator")

    told_before = len(await world.published())
    await world.customers(profile)
    assert len(await world.published()) == told_before, "a profile makes nobody unsubscribe again"
    await world.thank("one")
    await post.rest()
    assert ("customer:c-1", "suppressed", "unsubscribed") in await world.statuses()

    clock.move(timedelta(hours=1))
    await scoring.put(email_consent_at=(MONDAY - timedelta(days=1)).isoformat())
    assert (await scoring.customer())["email_refused"] == ["courtesy"], "they consented before they refused"
    await scoring.put(email_consent_at=(MONDAY + timedelta(minutes=30)).isoformat())
    assert (await scoring.customer())["email_refused"] == []
    await world.customers(*await scoring.told())
    assert (await client.get("/v1/consents/c-1")).json() == []
    await world.thank("two")
    await post.rest()
    assert len(trap.mails) == 1


async def test_a_complaint_withdraws_the_consent_until_a_later_one(scoring: Scoring, clock: Clock) -> None:
    await scoring.put()
    await scoring.hear([no("courtesy", "complaint"), no("news", "complaint")])
    customer = await scoring.customer()
    assert (customer["email_consent"], customer["email_refused"]) == (False, ["courtesy", "news"])
    assert ("email_consent", "yes", "no", "complaint") in await scoring.history()
    await scoring.put(name="Анна Новая")
    assert (await scoring.customer())["email_consent"] is False, "what is repeated every night knows nothing of it"
    clock.move(timedelta(hours=1))
    await scoring.put(email_consent_at=(MONDAY + timedelta(minutes=1)).isoformat())
    customer = await scoring.customer()
    assert (customer["email_consent"], customer["email_refused"]) == (True, [])


async def test_the_last_word_counts_in_whatever_order_and_batches_it_comes(scoring: Scoring) -> None:
    await scoring.put()
    words = [no(minutes=1), yes(minutes=2), no(minutes=3)]
    for order in permutations(words):
        async with scoring.database.transaction() as tx:
            await tx.execute(text("UPDATE customers SET email_choices = '{}'"))
        for word in order:
            await scoring.hear([word])
        assert (await scoring.customer())["email_refused"] == ["news"]
    await scoring.told()
    await scoring.hear(words)
    assert await scoring.told() == [], "what is known already is no news"
    await scoring.hear([yes(minutes=5), no(minutes=4)])
    assert (await scoring.customer())["email_refused"] == []
    assert [event.payload.email_refused for event in await scoring.told()] == [()]


async def test_who_is_erased_or_spoke_of_another_channel_is_left_alone(scoring: Scoring) -> None:
    await scoring.put()
    assert (await scoring.client.delete(PATH)).status_code == 204
    await scoring.told()
    await scoring.hear([no(), no("news", "complaint", minutes=-1)])
    by_phone: dict[str, Any] = {"customer_id": "c-1", "channel": "sms", "purpose": "news", "told_by": "customer"}
    said = CustomerOptedOut(**by_phone, unsubscribed_at=MONDAY)
    await scoring.hear([Event.root(EventId(uuid4()), said, subject="c-1", time=MONDAY, source="/notify")])
    assert await scoring.told() == []
    async with scoring.database.reading() as tx:
        assert not await tx.fetch(text("SELECT * FROM consents"))
