"""Two processes that want the same rows at the same moment: one waits, and decides by what the other has committed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace

from libs.events.contracts.responses import Instrument
from libs.events.database import Database
from libs.events.event import Event
from services.ingest.domain.deliveries import (
    Arrival,
    NotUnderstood,
    Status,
    Understood,
    delivery_key,
    hash_of,
    new_delivery_id,
)
from services.ingest.domain.fields import FieldMap
from services.ingest.domain.responses import DeliveryId, Response
from services.ingest.domain.sources import Source
from services.ingest.intake import record_in
from services.ingest.store.deliveries import Raced, record

Rows = Callable[[], Awaitable[Sequence[Any]]]
Published = Callable[[], Awaitable[list[Event[Any]]]]

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
INSTRUMENT = Instrument(metric="nps", question="?", scale_min=0, scale_max=10, kind="transactional", channel="email")
SOURCE = Source("shop", "generic", "retail", INSTRUMENT, None, None, "UTC", FieldMap(), enabled=True, version=1)


def an_arrival(response: str, minute: int, *, key: str | None = None) -> Arrival:
    revised_at = MONDAY + timedelta(minutes=minute)
    body = f"{response}/{minute}".encode()
    told = Response(response, minute % 11, None, None, None, None, MONDAY, revised_at)
    return Arrival(
        id=new_delivery_id(revised_at, abs(hash((body, key)))),
        source=SOURCE,
        via="webhook",
        key=delivery_key(key, hash_of(body)),
        body=body,
        body_hash=hash_of(body),
        headers="{}",
        content_type="application/json",
        received_at=MONDAY,
        verdict=Understood.of("shop", told),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )


@pytest.fixture
async def other(url: str) -> AsyncIterator[Database]:
    database = Database.connect(url, pool_size=3)
    yield database
    await database.close()


async def test_a_revision_waits_for_the_one_before_it(
    database: Database, other: Database, somebody_waits: Callable[[], Awaitable[None]], published: Published
) -> None:
    await record_in(database, [an_arrival("r-1", 0)])
    async with database.transaction() as tx:
        [second] = await record(tx, [an_arrival("r-1", 1)])
        waiting = asyncio.create_task(record_in(other, [an_arrival("r-1", 2)]))
        await somebody_waits()
    [third] = await waiting
    assert {second.status, third.status} == {Status.ACCEPTED}
    assert [event.payload.revision for event in await published()] == [1, 2, 3]


async def test_an_older_revision_that_waited_is_outdated(
    database: Database, other: Database, somebody_waits: Callable[[], Awaitable[None]], published: Published
) -> None:
    await record_in(database, [an_arrival("r-1", 0)])
    async with database.transaction() as tx:
        await record(tx, [an_arrival("r-1", 2)])
        waiting = asyncio.create_task(record_in(other, [an_arrival("r-1", 1)]))
        await somebody_waits()
    [late] = await waiting
    assert late.status is Status.IGNORED
    assert [event.payload.revision for event in await published()] == [1, 2]


@pytest.mark.parametrize("key", ["the same", None])
async def test_the_first_revision_of_a_response_in_two_processes_at_once(
    database: Database,
    other: Database,
    somebody_waits: Callable[[], Awaitable[None]],
    published: Published,
    key: str | None,
) -> None:
    async with database.transaction() as tx:
        [first] = await record(tx, [an_arrival("r-1", 0, key=key)])
        waiting = asyncio.create_task(record_in(other, [an_arrival("r-1", 0, key=key)]))
        await somebody_waits()
    [again] = await waiting
    assert (first.status, again.status) == (Status.ACCEPTED, Status.DUPLICATE)
    assert (again.delivery_id, again.event_ids) == (first.delivery_id, first.event_ids)
    assert len(await published()) == 1


async def test_whoever_loses_a_race_leaves_nothing(
    database: Database, other: Database, somebody_waits: Callable[[], Awaitable[None]], deliveries: Rows
) -> None:
    async def lose() -> None:
        async with other.transaction() as tx:
            await record(tx, [an_arrival("r-2", 0), an_arrival("r-1", 1, key="the same")])

    async with database.transaction() as tx:
        await record(tx, [an_arrival("r-1", 0, key="the same")])
        losing = asyncio.create_task(lose())
        await somebody_waits()
    with pytest.raises(Raced):
        await losing
    assert [row.delivery_key for row in await deliveries()] == ["the same"]


async def test_when_the_first_rolls_back_the_second_is_the_first(
    database: Database, other: Database, somebody_waits: Callable[[], Awaitable[None]], published: Published
) -> None:
    async def fail() -> asyncio.Task[Any]:
        async with database.transaction() as tx:
            await record(tx, [an_arrival("r-1", 0)])
            waiting = asyncio.create_task(record_in(other, [an_arrival("r-1", 0)]))
            await somebody_waits()
            raise ZeroDivisionError(waiting)

    with pytest.raises(ZeroDivisionError) as caught:
        await fail()
    [outcome] = await caught.value.args[0]
    assert outcome.status is Status.ACCEPTED
    assert [event.id for event in await published()] == list(outcome.event_ids)


async def test_the_same_rows_in_opposite_orders_do_not_lock_each_other_out(
    database: Database, other: Database, deliveries: Rows
) -> None:
    # So many that one statement takes a while, and the two meet in the middle.
    understood = [an_arrival(f"r-{number}", minute) for number in range(2000) for minute in (0, 1)]
    nonsense = [replace(an_arrival(f"n-{number}", 0), verdict=NotUnderstood("?")) for number in range(3000)]
    # As both see it: first nothing is known, then all responses are, then all deliveries are; then without responses.
    for arrivals in (understood[::2], understood, understood, nonsense):
        theirs = [replace(arrival, id=DeliveryId(uuid4())) for arrival in reversed(arrivals)]
        await asyncio.gather(record_in(database, arrivals), record_in(other, theirs))
    assert len(await deliveries()) == len(understood) + len(nonsense)
