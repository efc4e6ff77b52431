"""Who unsubscribes at a vendor: published once, by id or by the mark of the address, and kept by nobody here."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from libs.events.contracts.responses import CustomerUnsubscribed, address_mark
from libs.events.database import Database
from libs.events.event import Event

Put = Callable[..., Awaitable[dict[str, Any]]]
Published = Callable[[], Awaitable[list[Event[Any]]]]
Rows = Callable[[], Awaitable[Sequence[Any]]]
Send = Callable[..., Awaitable[httpx.Response]]

SECRET = "the vendor's secret"
ADDRESS = "foo@bar.example"
_EVERYTHING = """
    SELECT string_agg(CAST(deliveries AS text), '') FROM deliveries
     UNION ALL SELECT string_agg(CAST(unsubscriptions AS text), '') FROM unsubscriptions
     UNION ALL SELECT string_agg(encode(value, 'escape'), '') FROM outbox
"""


@pytest.fixture
async def send(client: httpx.AsyncClient, a_source: Put) -> Send:
    """Deliver a body as Delighted signs it."""
    await a_source(vendor="delighted", secret=SECRET)

    async def post(body: bytes) -> httpx.Response:
        signature = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        headers = {"content-type": "application/json", "x-delighted-webhook-signature": signature}
        return await client.post("/v1/webhooks/shop", content=body, headers=headers)

    return post


def unsubscribed(event_id: str, **told: object) -> bytes:
    return json.dumps({"event_type": "unsubscribe.created", "event_id": event_id, "event_data": told}).encode()


async def test_the_documented_sample_is_published_without_its_address(
    send: Send, sample: Callable[[str], bytes], published: Published, deliveries: Rows, database: Database
) -> None:
    answer = await send(sample("delighted-unsubscribe"))
    assert answer.status_code == 202
    assert answer.json()["status"] == "accepted"
    [event] = await published()
    assert event.payload == CustomerUnsubscribed(
        customer_id=None,
        address_mark=address_mark(ADDRESS),
        source="shop",
        vendor="delighted",
        channel="email",
        unsubscribed_at=datetime(2026, 3, 2, 9, tzinfo=UTC),
        received_at=datetime(2026, 3, 2, 9, tzinfo=UTC),
    )
    assert event.subject == address_mark(ADDRESS)
    assert answer.json()["event_ids"] == [str(event.id)]
    [row] = await deliveries()
    assert (row.body, row.headers) == (b"", "{}")
    assert row.body_hash == hashlib.sha256(sample("delighted-unsubscribe")).digest()
    async with database.reading() as tx:
        kept = "".join(row[0] or "" for row in await tx.fetch(text(_EVERYTHING)))
    assert ADDRESS not in kept
    assert ADDRESS.encode().hex() not in kept


async def test_however_often_it_comes_and_under_whatever_delivery_it_is_published_once(
    send: Send, published: Published, deliveries: Rows
) -> None:
    told = {"email": ADDRESS, "unsubscribed_at": 1772442000}
    same = [unsubscribed("one", **told)] * 5
    others = [unsubscribed(f"other-{number}", **told) for number in range(5)]
    answers = await asyncio.gather(*map(send, same + others))
    assert {answer.status_code for answer in answers} == {202}
    assert len(await published()) == 1
    assert sorted(row.status for row in await deliveries()) == ["accepted", *["duplicate"] * 5]
    await send(unsubscribed("later", email=ADDRESS, unsubscribed_at=1772442060))
    assert len(await published()) == 2  # unsubscribed again, after a new consent perhaps


async def test_another_body_under_its_id_keeps_no_address_either(send: Send, deliveries: Rows) -> None:
    await send(unsubscribed("one", email=ADDRESS))
    await send(unsubscribed("one", email="somebody.else@bar.example"))
    assert [(row.body, row.conflict != b"") for row in await deliveries()] == [(b"", False), (b"", True)]


async def test_one_that_names_nobody_is_quarantined_and_takes_effect_when_the_map_is_mended(
    send: Send,
    client: httpx.AsyncClient,
    a_source: Put,
    published: Published,
    deliveries: Rows,
    advance: Callable[[timedelta], None],
) -> None:
    answer = await send(unsubscribed("one", person={"id": "1", "member": "c-8"}))
    assert answer.json()["status"] == "quarantined"
    assert not await published()
    advance(timedelta(hours=1))
    field_map = {"customer": {"path": "event_data.person.member"}}
    await a_source(vendor="delighted", secret=SECRET, field_map=field_map)
    for expected in ("accepted", "accepted"):  # the second time there is nothing left to read
        replayed = await client.post(f"/v1/deliveries/{answer.json()['delivery_id']}/replay")
        assert replayed.json()["status"] == expected
    [event] = await published()
    assert (event.payload.customer_id, event.payload.address_mark) == ("c-8", None)
    assert event.payload.unsubscribed_at == event.payload.received_at == datetime(2026, 3, 2, 9, tzinfo=UTC)
    [row] = await deliveries()
    assert row.body == b""


async def test_a_dry_run_says_that_it_would_unsubscribe(client: httpx.AsyncClient, a_source_body: Put) -> None:
    source: Any = a_source_body("delighted")
    body = source | {"body": unsubscribed("one", email=ADDRESS).decode()}
    answer = await client.post("/v1/dry-runs", json=body)
    assert answer.json()["status"] == "unsubscribed"
    assert answer.json()["response"] is None
