"""Consents that are withdrawn at a survey vendor: whose, for how long, and what outweighs them."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import httpx
import pytest

from libs.events.contracts.responses import CustomerUnsubscribed, address_mark
from libs.events.database import Database
from libs.events.event import Event
from services.scoring.handlers import score_responses

Deliver = Callable[..., Coroutine[None, None, None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
Rows = Callable[..., Awaitable[Sequence[Any]]]
ACustomer = Callable[..., dict[str, Any]]
Put = Callable[..., Coroutine[None, None, None]]
Consents = Callable[..., Awaitable[bool]]
Statements = Callable[[], AbstractContextManager[list[str]]]

NOW = datetime.now(UTC)
YESTERDAY = NOW - timedelta(days=1)
ADDRESS = "anna@example.org"


def unsubscribed(customer: str | None = "c-1", *, address: str = "", **changes: object) -> Event[CustomerUnsubscribed]:
    members: dict[str, Any] = {
        "customer_id": customer,
        "address_mark": address_mark(address) if address else None,
        "source": "shop",
        "vendor": "delighted",
        "channel": "email",
        "unsubscribed_at": YESTERDAY,
        "received_at": YESTERDAY,
    } | changes
    payload = CustomerUnsubscribed(**members)
    id_ = uuid5(NAMESPACE_URL, repr(payload))
    return Event.root(id_, payload, subject="c-1", time=NOW, source="/ingest/shop", traceparent="00-a-b-01")


@pytest.fixture
def put(client: httpx.AsyncClient, a_customer: ACustomer) -> Put:
    async def put(customer: str = "c-1", **changes: object) -> None:
        answer = await client.put(f"/v1/customers/{customer}", json=a_customer(**changes))
        assert answer.status_code in {200, 201}, answer.text

    return put


@pytest.fixture
def consents(client: httpx.AsyncClient) -> Consents:
    async def consents(customer: str = "c-1") -> bool:
        return bool((await client.get(f"/v1/customers/{customer}")).json()["email_consent"])

    return consents


@pytest.mark.parametrize("event", [unsubscribed(), unsubscribed(None, address=" Anna@EXAMPLE.org ")])
async def test_a_known_customer_s_profile_changes_once(
    event: Event[CustomerUnsubscribed], put: Put, deliver: Deliver, published: Published, consents: Consents
) -> None:
    await put()
    await deliver(event)
    await deliver(event)
    assert await consents() is False
    [_, (key, changed)] = await published()
    assert (key, changed.payload.version, changed.payload.email_consent) == ("c-1", 2, False)
    assert changed.payload.email == ADDRESS
    assert changed.traceparent == event.traceparent
    # Somebody else, who has consented, is not concerned.
    await put("c-2", email="boris@example.org")
    assert await consents("c-2") is True


async def test_everybody_with_the_address_is_concerned(
    put: Put, deliver: Deliver, published: Published, consents: Consents
) -> None:
    await put("c-1")
    await put("c-2")
    await deliver(unsubscribed(None, address=ADDRESS))
    assert [await consents("c-1"), await consents("c-2")] == [False, False]
    assert [event.payload.version for _, event in await published()] == [1, 1, 2, 2]
    assert len({event.id for _, event in await published()}) == 4


@pytest.mark.parametrize("event", [unsubscribed(), unsubscribed(None, address=ADDRESS)])
async def test_it_is_remembered_for_whoever_becomes_known_later(
    event: Event[CustomerUnsubscribed], put: Put, deliver: Deliver, consents: Consents
) -> None:
    await deliver(event)
    await put()
    assert await consents() is False
    await put(email_consent=True)  # what the company's own system repeats night by night
    assert await consents() is False
    await put(email_consent=True, email_consent_at=(YESTERDAY - timedelta(hours=1)).isoformat())
    assert await consents() is False
    await put(email_consent=True, email_consent_at=(YESTERDAY + timedelta(hours=1)).isoformat())
    assert await consents() is True
    await put(email_consent=True)  # the newer consent is remembered, too
    assert await consents() is True


async def test_an_older_unsubscription_that_comes_late_does_not_outweigh_a_newer_consent(
    put: Put, deliver: Deliver, published: Published, consents: Consents
) -> None:
    await put(email_consent=True, email_consent_at=NOW.isoformat())
    await deliver(unsubscribed())
    assert await consents() is True
    assert len(await published()) == 1


async def test_a_consent_of_tomorrow_is_one_of_now(put: Put, deliver: Deliver, consents: Consents) -> None:
    await put(email_consent=True, email_consent_at=(NOW + timedelta(days=9)).isoformat())
    await deliver(unsubscribed(unsubscribed_at=NOW + timedelta(hours=1)))
    assert await consents() is False


async def test_a_time_of_consent_needs_a_consent(client: httpx.AsyncClient, a_customer: ACustomer) -> None:
    body = a_customer(email_consent=False, email_consent_at=NOW.isoformat())
    assert (await client.put("/v1/customers/c-1", json=body)).status_code == 422


async def test_other_channels_and_nonsense_change_nothing(put: Put, deliver: Deliver, consents: Consents) -> None:
    await put()
    nonsense = {"customer_id": "c" * 300, "address_mark": "no mark"}
    await deliver(unsubscribed(channel="sms"), unsubscribed(**nonsense), unsubscribed(None))
    assert await consents() is True


async def test_an_erasure_reaches_it(
    client: httpx.AsyncClient, put: Put, deliver: Deliver, rows: Rows, consents: Consents
) -> None:
    await put()
    await deliver(unsubscribed(), unsubscribed(None, address=ADDRESS))
    assert len(await rows("SELECT * FROM consents")) == 2
    await client.delete("/v1/customers/c-1")
    assert not await rows("SELECT * FROM consents")
    # What they said before then, and what arrives late, is forgotten with them.
    await deliver(unsubscribed(unsubscribed_at=YESTERDAY + timedelta(hours=1)))
    assert not await rows("SELECT * FROM consents")
    await put()
    assert await consents() is True


async def test_an_address_is_remembered_as_long_as_somebody_has_it(
    client: httpx.AsyncClient, put: Put, deliver: Deliver, consents: Consents
) -> None:
    await put("c-1")
    await put("c-2")
    await deliver(unsubscribed(None, address=ADDRESS))
    await client.delete("/v1/customers/c-1")
    await put("c-2", name="Анна Новая")
    assert await consents("c-2") is False


async def test_a_profile_that_is_put_meanwhile_waits_and_obeys(
    database: Database, put: Put, consents: Consents, somebody_waits: Callable[[], Awaitable[None]]
) -> None:
    async with database.transaction() as tx:
        await score_responses(tx, [unsubscribed()])
        putting = asyncio.create_task(put())
        await somebody_waits()
    await putting
    assert await consents() is False


async def test_a_batch_takes_as_many_statements_whatever_its_size(
    deliver: Deliver, put: Put, statements: Statements
) -> None:
    for number in range(8):
        await put(f"c-{number}", email=f"c{number}@example.org")
    counts = []
    for batch in (range(1), range(1, 8)):
        with statements() as seen:
            await deliver(*(unsubscribed(f"c-{number}") for number in batch))
        counts.append(len(seen))
    assert counts[0] == counts[1]
