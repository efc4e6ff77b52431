import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from msgspec.structs import replace
from sqlalchemy import Row, TextClause, text

from libs.events.contracts.responses import Instrument
from libs.events.database import Database, Tx
from libs.events.event import Event
from services.ingest.api import build_app
from services.ingest.domain.deliveries import (
    Arrival,
    Ignored,
    NotUnderstood,
    Status,
    Understood,
    delivery_key,
    hash_of,
    new_delivery_id,
)
from services.ingest.domain.fields import FieldMap
from services.ingest.domain.reasons import because
from services.ingest.domain.responses import DeliveryId, Response
from services.ingest.domain.sources import Source
from services.ingest.intake import Bounds, Intake, NotDurable, QueueFull

Put = Callable[..., Awaitable[dict[str, Any]]]
Signed = Callable[..., Any]
Deliver = Callable[..., Awaitable[httpx.Response]]
Rows = Callable[[], Awaitable[Sequence[Any]]]
Published = Callable[[], Awaitable[list[Event[Any]]]]
Connect = Callable[[FastAPI], AbstractAsyncContextManager[httpx.AsyncClient]]
Statements = Callable[[Database], AbstractContextManager[list[str]]]

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
INSTRUMENT = Instrument(metric="nps", question="?", scale_min=0, scale_max=10, kind="transactional", channel="email")
SOURCE = Source("shop", "generic", "retail", INSTRUMENT, None, None, "UTC", FieldMap(), enabled=True, version=1)


def an_arrival(number: int, *, response: int | None = None, key: str | None = None) -> Arrival:
    told = Response(f"r-{number if response is None else response}", number % 11, None, "c", None, None, MONDAY)
    body = str(number).encode()
    return Arrival(
        id=new_delivery_id(MONDAY, number << 62 | number),
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


class Breaking(Database):
    """A database whose commits fail as `failures` say, one after the other; None lets one through.

    A statement that is a transaction by itself is one too.
    """

    def __init__(self, database: Database, *failures: Exception | None, after_commit: bool = False) -> None:
        super().__init__(database.engine, database.clock)
        self.failures = list(failures)
        self.after_commit = after_commit
        self.transactions = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        self.transactions += 1
        failure = self.failures.pop(0) if self.failures else None
        async with super().transaction() as tx:
            yield tx
            if failure is not None and not self.after_commit:
                raise failure
        if failure is not None:
            raise failure

    async def at_once(
        self, statement: TextClause, parameters: Mapping[str, Any], *, publishes: bool = True
    ) -> Sequence[Row[Any]]:
        self.transactions += 1
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None and not self.after_commit:
            raise failure
        rows = await super().at_once(statement, parameters, publishes=publishes)
        if failure is not None:
            raise failure
        return rows


async def test_concurrent_deliveries_share_transactions(database: Database, deliveries: Rows) -> None:
    counting = Breaking(database)
    intake = Intake(counting)
    outcomes = await asyncio.gather(*(intake.submit(an_arrival(number)) for number in range(200)))
    assert {outcome.status for outcome in outcomes} == {Status.ACCEPTED}
    assert len(await deliveries()) == 200
    assert counting.transactions <= 3


async def test_each_is_answered_with_its_own_outcome(database: Database, deliveries: Rows) -> None:
    intake = Intake(database, Bounds(batch=7))
    arrivals = [an_arrival(number, response=number % 5) for number in range(40)]
    outcomes = await asyncio.gather(*(intake.submit(arrival) for arrival in arrivals))
    kept = {row.id: row for row in await deliveries()}
    for arrival, outcome in zip(arrivals, outcomes, strict=True):
        row = kept[outcome.delivery_id]
        assert row.body == arrival.body
        assert (row.status, tuple(row.event_ids)) == (outcome.status, outcome.event_ids)


@pytest.mark.parametrize("size", [1, 10, 100])
async def test_a_batch_that_is_all_new_takes_one_statement(
    database: Database, statements: Statements, size: int, published: Published
) -> None:
    with statements(database) as seen:
        intake = Intake(database)
        await asyncio.gather(*(intake.submit(an_arrival(number)) for number in range(size)))
    assert len(seen) == 1  # what is known of them; they, their responses, their events and the notification
    assert len(await published()) == size


async def test_what_is_not_understood_is_kept_by_the_same_statement_and_takes_nobody_along(
    database: Database, statements: Statements, deliveries: Rows, published: Published
) -> None:
    arrivals = [an_arrival(number) for number in range(8)]
    arrivals[3] = replace(arrivals[3], verdict=NotUnderstood(because("json-depth")))
    arrivals[5] = replace(arrivals[5], verdict=Ignored(because("outdated")), content_type="text/plain")
    intake = Intake(database)
    with statements(database) as seen:
        outcomes = await asyncio.gather(*map(intake.submit, arrivals))
        await asyncio.gather(*(intake.submit(an_arrival(number)) for number in range(20, 24)))
    assert len(seen) == 2  # nor is the next batch looked at more closely
    kept = {row.id: row for row in await deliveries()}
    assert Counter(outcome.status.value for outcome in outcomes) == {"accepted": 6, "quarantined": 1, "ignored": 1}
    for arrival, outcome in zip(arrivals, outcomes, strict=True):
        row = kept[outcome.delivery_id]
        assert (row.status, row.reason, tuple(row.event_ids)) == (outcome.status, outcome.reason, outcome.event_ids)
        assert (row.delivery_key, row.content_type, row.body) == (arrival.key, arrival.content_type, arrival.body)
    assert kept[arrivals[3].id].why == {"code": "json-depth", "parameters": {}}
    assert len(await published()) == 10
    # The same again is a repetition, whatever became of it the first time.
    again = await asyncio.gather(*(intake.submit(replace(each, id=DeliveryId(uuid4()))) for each in arrivals))
    assert [outcome.delivery_id for outcome in again] == [arrival.id for arrival in arrivals]
    assert {row.copies for row in await deliveries() if row.id in {arrival.id for arrival in arrivals}} == {2}


async def test_a_storm_of_duplicates_takes_one_statement_a_batch_and_each_is_counted(
    database: Database, statements: Statements, deliveries: Rows, published: Published
) -> None:
    intake = Intake(database)
    first = await asyncio.gather(*(intake.submit(an_arrival(number)) for number in range(10)))
    conflicting = replace(an_arrival(99), key=an_arrival(3).key)
    for round_ in range(4):
        with statements(database) as seen:
            again = await asyncio.gather(*(intake.submit(an_arrival(number % 10)) for number in range(30)))
        assert len(seen) == 1 or round_ == 0
        assert {outcome.status for outcome in again} == {Status.DUPLICATE}
        for number, outcome in enumerate(again):
            told = first[number % 10]
            assert (outcome.delivery_id, outcome.response_id) == (told.delivery_id, told.response_id)
            assert outcome.event_ids == told.event_ids
    # Among them something new and another body under a known id are what they are.
    mixed = await asyncio.gather(*map(intake.submit, [an_arrival(1), an_arrival(50), conflicting, an_arrival(2)]))
    assert [outcome.status.value for outcome in mixed] == ["duplicate", "accepted", "duplicate", "duplicate"]
    assert mixed[2].reason == because("other-body", delivery=str(first[3].delivery_id))
    rows = await deliveries()
    assert sum(row.copies for row in rows) == 10 + 4 * 30 + 4
    assert len(rows) == 12
    assert len(await published()) == 11


async def test_two_batches_at_a_time_never_tell_of_the_same_response(
    database: Database, responses: Rows, published: Published
) -> None:
    intake = Intake(database, Bounds(batch=2))
    # The vendor's times do not tell which revision is later: the order in which they came does.
    arrivals = [replace(an_arrival(number), verdict=told(number % 3, score=number % 11)) for number in range(60)]
    await asyncio.gather(*map(intake.submit, arrivals))
    assert {row.revision for row in await responses()} == {20}
    scores: dict[str, list[int]] = {}
    for event in await published():
        scores.setdefault(event.payload.response_id, []).append(event.payload.score)
    assert sorted(scores.values()) == sorted([number % 11 for number in range(rest, 60, 3)] for rest in range(3))


def told(response: int, *, score: int) -> Understood:
    return Understood.of("shop", Response(f"r-{response}", score, None, "c", None, None, MONDAY))


@pytest.mark.parametrize("mixed", [False, True])
async def test_the_statements_of_a_batch_do_not_become_more_with_its_size(
    database: Database,
    statements: Statements,
    mixed: bool,  # noqa: FBT001 - a parameter
) -> None:
    async def count(size: int, first: int) -> Counter[str]:
        numbers = range(first, first + size)
        arrivals = [an_arrival(number, response=number // 2 if mixed else None) for number in numbers]
        if mixed:
            arrivals += [an_arrival(number) for number in numbers]  # known, or its own duplicate
            arrivals += [an_arrival(number + 1_000_000, key=arrivals[0].key) for number in numbers]
            arrivals += [replace(an_arrival(first + 2_000_000), verdict=NotUnderstood("no score"))]
            arrivals += [an_arrival(first - 1)] if first > 1 else []
        with statements(database) as seen:
            intake = Intake(database, Bounds(batch=10_000))
            await asyncio.gather(*(intake.submit(arrival) for arrival in arrivals))
        return Counter(statement.strip()[:40] for statement in seen)

    few = await count(10, 1)
    many = await count(400, 1000)
    assert max(many.values()) == 1
    assert many.total() <= few.total() + 2  # the statement for copies, the one for changed responses
    assert many.total() <= 9


async def test_a_commit_that_fails_is_nobody_s_202(database: Database, deliveries: Rows, published: Published) -> None:
    intake = Intake(Breaking(database, asyncpg.ConnectionDoesNotExistError("cut")))
    results = await asyncio.gather(*(intake.submit(an_arrival(n)) for n in range(5)), return_exceptions=True)
    assert {type(result) for result in results} == {NotDurable}
    assert not await deliveries()
    assert not await published()


async def test_a_commit_whose_result_is_unknown_is_not_answered_202_and_the_retry_converges(
    database: Database, deliveries: Rows, published: Published
) -> None:
    lost = Breaking(database, asyncpg.ConnectionDoesNotExistError("cut"), after_commit=True)
    intake = Intake(lost)
    with pytest.raises(NotDurable):
        await intake.submit(an_arrival(1))
    again = await intake.submit(an_arrival(1))
    [row] = await deliveries()
    assert (again.status, again.delivery_id) == (Status.DUPLICATE, row.id)
    assert [event.id for event in await published()] == list(again.event_ids)


async def test_503_when_the_database_is_away_and_202_when_it_is_back(
    database: Database, a_client: Connect, a_source: Put, signed: Signed, deliver: Deliver, deliveries: Rows
) -> None:
    await a_source()
    breaking = Breaking(database)
    async with a_client(build_app(breaking)) as client:
        assert (await deliver(signed(), client)).status_code == 202
        breaking.failures = [ConnectionRefusedError("nobody there")]
        answer = await deliver(signed({"response_id": "r-2"}), client)
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert answer.headers["content-type"] == "application/problem+json"
        assert (await deliver(signed({"response_id": "r-2"}), client)).json()["status"] == "accepted"
    assert len(await deliveries()) == 2


async def test_503_when_the_database_was_never_there(a_client: Connect, signed: Signed, deliver: Deliver) -> None:
    nowhere = Database.connect("postgresql://ingest@127.0.0.1:1/otklik")
    async with a_client(build_app(nowhere)) as client:
        answer = await deliver(signed(), client)
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
    await nowhere.close()


async def test_one_row_that_cannot_be_stored_costs_nobody_else_anything(
    database: Database, deliveries: Rows, published: Published
) -> None:
    poison = replace(an_arrival(5), content_type="text/\0plain")
    arrivals = [poison if number == 5 else an_arrival(number) for number in range(20)]
    intake = Intake(database)
    outcomes = await asyncio.gather(*(intake.submit(arrival) for arrival in arrivals))
    assert [outcome.status for outcome in outcomes] == [
        Status.QUARANTINED if number == 5 else Status.ACCEPTED for number in range(20)
    ]
    kept = {row.id: row for row in await deliveries()}
    assert len(kept) == 20
    assert kept[poison.id].body == poison.body
    assert len(await published()) == 19


async def test_what_is_recorded_one_by_one_after_an_error_is_recorded_once(
    database: Database, deliveries: Rows, published: Published
) -> None:
    intake = Intake(Breaking(database, ValueError("a bug")))
    outcomes = await asyncio.gather(*(intake.submit(an_arrival(number)) for number in range(10)))
    assert {outcome.status for outcome in outcomes} == {Status.ACCEPTED}
    assert len(await deliveries()) == 10
    assert len(await published()) == 10


async def test_when_the_database_goes_away_in_between_nobody_is_told_202_wrongly(
    database: Database, deliveries: Rows
) -> None:
    away = asyncpg.CannotConnectNowError("starting up")
    intake = Intake(Breaking(database, ValueError("a bug"), None, away))
    results = await asyncio.gather(*(intake.submit(an_arrival(n)) for n in range(6)), return_exceptions=True)
    told = [not isinstance(result, BaseException) for result in results]
    assert told == [True, False, False, False, False, False]
    assert len(await deliveries()) == 1


async def test_a_full_queue_refuses_and_forgets_nothing(database: Database, deliveries: Rows) -> None:
    intake = Intake(database, Bounds(waiting=10))
    results = await asyncio.gather(*(intake.submit(an_arrival(n)) for n in range(30)), return_exceptions=True)
    refused = sum(isinstance(result, QueueFull) for result in results)
    assert 0 < refused < 30
    assert len(await deliveries()) == 30 - refused


async def test_a_queue_is_full_of_bytes_too_but_never_for_one_alone(database: Database, deliveries: Rows) -> None:
    intake = Intake(database, Bounds(waiting_bytes=100))
    bodies = [replace(an_arrival(number), body=b"x" * 60) for number in range(4)]
    results = await asyncio.gather(*map(intake.submit, bodies), return_exceptions=True)
    assert sum(isinstance(result, QueueFull) for result in results) == 3
    large = replace(an_arrival(9), body=b"x" * 1000)
    assert (await intake.submit(large)).status is Status.ACCEPTED
    assert len(await deliveries()) == 2


async def test_429_says_when_to_come_again(
    database: Database, a_client: Connect, a_source: Put, signed: Signed, deliver: Deliver
) -> None:
    await a_source()
    async with a_client(build_app(database, bounds=Bounds(waiting=1))) as client:
        answers = await asyncio.gather(*(deliver(signed({"response_id": f"r-{n}"}), client) for n in range(10)))
    full = [answer for answer in answers if answer.status_code == 429]
    assert full
    assert full[0].headers["retry-after"]
    assert full[0].headers["content-type"] == "application/problem+json"


async def test_a_sender_that_hangs_up_takes_nobody_along(database: Database, deliveries: Rows) -> None:
    intake = Intake(database)
    first = asyncio.create_task(intake.submit(an_arrival(1)))
    others = [asyncio.create_task(intake.submit(an_arrival(n))) for n in range(2, 6)]
    await asyncio.sleep(0)
    first.cancel()
    others[0].cancel()
    outcomes = await asyncio.gather(*others[1:])
    assert {outcome.status for outcome in outcomes} == {Status.ACCEPTED}
    assert len(await deliveries()) == 5


async def test_a_slow_commit_is_given_up_and_is_nobody_s_202(database: Database, deliveries: Rows) -> None:
    async with database.engine.connect() as connection:
        await connection.execute(text("LOCK TABLE deliveries"))
        intake = Intake(database, Bounds(commit=timedelta(milliseconds=200)))
        with pytest.raises(NotDurable):
            await intake.submit(an_arrival(1))
    # The connection was given up too: making a new one may take its time.
    assert (await Intake(database).submit(an_arrival(1))).status is Status.ACCEPTED
    assert len(await deliveries()) == 1
