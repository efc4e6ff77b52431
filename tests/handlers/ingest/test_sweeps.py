"""Contents are kept for a time, and an erasure reaches them; what is emptied is still known when it comes again."""

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from libs.events.contracts.customers import CustomerErased
from libs.events.database import Database
from libs.events.event import Event, EventId
from services.ingest.handlers import handle_customers
from services.ingest.jobs import sweep_erased, sweep_old
from services.ingest.store import sweeps

Put = Callable[..., Awaitable[dict[str, Any]]]
Signed = Callable[..., Any]
Deliver = Callable[..., Awaitable[httpx.Response]]
Rows = Callable[[], Awaitable[Sequence[Any]]]
Advance = Callable[[timedelta], None]
Published = Callable[[], Awaitable[list[Event[Any]]]]


@pytest.fixture
def erase(database: Database, clock: Callable[[], datetime]) -> Callable[[str], Awaitable[None]]:
    """The customer is erased elsewhere; ingest hears of it and does its part."""

    async def forget(customer: str) -> None:
        payload = CustomerErased(customer_id=customer)
        event = Event.root(
            EventId(uuid4()), payload, subject=customer, time=clock(), source="/scoring", traceparent=None
        )
        async with database.transaction() as tx:
            await handle_customers(tx, [event])
        while await sweep_erased(database):
            pass

    return forget


async def test_an_erasure_empties_every_delivery_of_the_customer_and_no_other(
    a_source: Put, signed: Signed, deliver: Deliver, erase: Callable[[str], Awaitable[None]], deliveries: Rows
) -> None:
    await a_source()
    await deliver(signed({"response_id": "r-1"}))  # nobody knows yet whose it is
    await deliver(signed({"response_id": "r-1", "customer_id": "c-1", "comment": "Долго"}))
    await deliver(signed({"response_id": "r-2", "customer_id": "c-1", "score": 9}))
    await deliver(signed({"response_id": "r-3", "customer_id": "c-11"}))
    await deliver(signed({"response_id": "r-4", "customer_id": "c-1", "score": "many"}))  # quarantined
    await deliver(signed({"response_id": "r-5", "customer_id": "c-11", "score": "many"}))
    await erase("c-1")
    left = [json.loads(row.body)["response_id"] for row in await deliveries() if row.body]
    assert sorted(left) == ["r-3", "r-5"]
    emptied = [row for row in await deliveries() if not row.body]
    assert {(row.headers, row.reason) for row in emptied} == {("{}", "erased: the customer asked to be forgotten")}
    assert len(emptied) == 4


async def test_nothing_of_an_erased_person_is_found_anywhere(
    a_source: Put,
    signed: Signed,
    deliver: Deliver,
    erase: Callable[[str], Awaitable[None]],
    deliveries: Rows,
    responses: Rows,
    database: Database,
) -> None:
    await a_source("parts", vendor="survicate", secret="the vendor's secret", field_map={"score": {"question": "1"}})
    await a_source()
    await deliver(signed({"customer_id": "customer-4711", "comment": "Меня зовут Анна"}))
    await erase("customer-4711")
    tables = [*await deliveries(), *await responses()]
    assert "4711" not in repr(tables)
    assert "Анна" not in repr(tables)
    async with database.reading() as tx:
        assert await tx.fetch(text("SELECT * FROM erasures")) == []


async def test_what_comes_again_after_an_erasure_is_known_and_kept_without_its_contents(
    a_source: Put,
    signed: Signed,
    deliver: Deliver,
    erase: Callable[[str], Awaitable[None]],
    deliveries: Rows,
    published: Published,
) -> None:
    await a_source()
    first = signed({"customer_id": "c-1", "comment": "Долго"}, id_="m-1")
    await deliver(first)
    await erase("c-1")
    assert (await deliver(first)).json()["status"] == "duplicate"
    again = await deliver(signed({"customer_id": "c-1", "comment": "Очень долго"}, id_="m-2"))
    assert again.status_code == 202
    assert len(await published()) == 1
    assert {row.body for row in await deliveries()} == {b""}


async def test_an_emptied_delivery_is_not_replayed_and_says_why(
    a_source: Put, signed: Signed, deliver: Deliver, erase: Callable[[str], Awaitable[None]], client: httpx.AsyncClient
) -> None:
    await a_source()
    kept = await deliver(signed({"customer_id": "c-1", "score": "many"}))
    await erase("c-1")
    answer = await client.post(f"/v1/deliveries/{kept.json()['delivery_id']}/replay")
    assert "not kept" in answer.json()["reason"]
    many = await client.post("/v1/deliveries/replay", json={"status": "quarantined"})
    assert many.json()["items"] == []


async def test_a_customer_may_be_erased_twice_and_a_long_history_takes_several_steps(
    a_source: Put,
    signed: Signed,
    deliver: Deliver,
    erase: Callable[[str], Awaitable[None]],
    deliveries: Rows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sweeps, "SLICE", 3)
    await a_source()
    for number in range(10):
        await deliver(signed({"response_id": f"r-{number}", "customer_id": "c-1"}))
    await erase("c-1")
    await erase("c-1")
    assert {row.body for row in await deliveries()} == {b""}


async def test_contents_are_kept_as_long_as_the_source_says(
    a_source: Put, signed: Signed, deliver: Deliver, database: Database, advance: Advance, deliveries: Rows
) -> None:
    await a_source("shop", keep_days=30)
    await a_source("bank")
    await deliver(signed(source="shop"))
    await deliver(signed(source="bank"))
    advance(timedelta(days=29))
    await deliver(signed({"response_id": "r-2"}, source="shop"))
    assert await sweep_old(database, keep_days=400) is False
    assert all(row.body for row in await deliveries())
    advance(timedelta(days=2))
    assert await sweep_old(database, keep_days=400) is True
    assert await sweep_old(database, keep_days=400) is False
    assert [(row.source, bool(row.body)) for row in await deliveries()] == [
        ("shop", False),
        ("bank", True),
        ("shop", True),
    ]
    advance(timedelta(days=370))
    while await sweep_old(database, keep_days=400):
        pass
    assert not any(row.body for row in await deliveries())


async def test_what_is_emptied_by_age_is_still_a_duplicate_when_it_comes_again(
    a_source: Put, signed: Signed, deliver: Deliver, database: Database, advance: Advance, published: Published
) -> None:
    await a_source("shop", keep_days=30)
    await deliver(signed(id_="m-1"))
    advance(timedelta(days=31))
    await sweep_old(database, keep_days=400)
    again = signed(id_="m-1")
    assert (await deliver(again)).json()["status"] == "duplicate"
    assert len(await published()) == 1
