"""Whatever is delivered, in whatever order, batches and processes: each response counted once, nothing lost."""

import asyncio
import base64
import hmac
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.events.contracts.responses import ResponseReceived, ResponseRevised, ResponseWithdrawn
from libs.events.database import Database
from libs.events.event import Event
from services.ingest.api import build_app
from services.ingest.domain.responses import response_id

Put = Callable[..., Awaitable[dict[str, Any]]]
Signed = Callable[..., Any]
Deliver = Callable[..., Coroutine[Any, Any, httpx.Response]]
Rows = Callable[[], Awaitable[Sequence[Any]]]
Published = Callable[[], Awaitable[list[Event[Any]]]]
Connect = Callable[[FastAPI], AbstractAsyncContextManager[httpx.AsyncClient]]
Clear = Callable[[], Awaitable[None]]

IN_ONE_LOOP = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
async def processes(
    url: str, clock: Callable[[], datetime], a_client: Connect
) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Two processes that know nothing of each other but the database."""
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(2):
            database = Database.connect(url, pool_size=4, clock=clock)
            stack.push_async_callback(database.close)
            clients.append(await stack.enter_async_context(a_client(build_app(database))))
        yield clients


def a_payload(response: int, minute: int) -> dict[str, Any]:
    return {"response_id": f"r-{response}", "updated_at": f"2026-03-02T08:{minute:02}:00Z", "score": minute % 11}


DELIVERIES = st.lists(
    st.tuples(
        st.integers(1, 3),  # the response
        st.integers(0, 5),  # the minute of its revision, and with it the content
        st.sampled_from([None, "a", "b", "c"]),  # the delivery's id; None: a new one for each content
        st.integers(0, 1),  # the process
        st.booleans(),  # whether it waits for all before it
    ),
    max_size=14,
)


@given(deliveries_told=DELIVERIES)
@IN_ONE_LOOP
async def test_each_response_is_counted_once_and_its_latest_revision_wins(
    deliveries_told: list[tuple[int, int, str | None, int, bool]],
    processes: list[httpx.AsyncClient],
    a_source: Put,
    signed: Signed,
    deliver: Deliver,
    deliveries: Rows,
    responses: Rows,
    published: Published,
    clear: Clear,
) -> None:
    await a_source()
    await clear()
    tasks: list[asyncio.Task[httpx.Response]] = []
    for response, minute, id_, process, waits in deliveries_told:
        if waits:
            await asyncio.gather(*tasks)
        sent = signed(a_payload(response, minute), id_=id_)
        tasks.append(asyncio.create_task(deliver(sent, processes[process])))
    answers = await asyncio.gather(*tasks)
    assert {answer.status_code for answer in answers} <= {202}

    kept = {str(row.id): row for row in await deliveries()}
    # Nothing accepted is lost: each answer names a row that is kept.
    assert {answer.json()["delivery_id"] for answer in answers} == set(kept)
    # One row per distinct delivery, counted as often as it came.
    sent_bodies = Counter(
        (id_ or f"{response}/{minute}", response, minute) for response, minute, id_, *_ in deliveries_told
    )
    assert Counter({str(row.id): row.copies for row in kept.values()}).total() == len(deliveries_told)
    assert len(kept) == len(sent_bodies)

    # The first with an id is effective, and of those the latest is the response.
    effective: dict[str, list[str]] = defaultdict(list)
    for row in kept.values():
        if row.conflict == b"":
            told = json.loads(row.body)
            effective[told["response_id"]].append(told["updated_at"])
    latest = {response_id("shop", id_): max(times) for id_, times in effective.items()}
    stored = {row.id: row for row in await responses()}
    assert {id_: row.revised_at.strftime("%Y-%m-%dT%H:%M:%SZ") for id_, row in stored.items()} == latest

    # Each response was received once, and revised in steps of one, the last of which is what is stored.
    events = await published()
    assert len({event.id for event in events}) == len(events)
    by_response: dict[str, list[Any]] = defaultdict(list)
    for event in events:
        by_response[event.payload.response_id].append(event)
    assert set(by_response) == {str(id_) for id_ in stored}
    for id_, row in stored.items():
        told_events = by_response[str(id_)]
        assert [event.payload.revision for event in told_events] == list(range(1, row.revision + 1))
        assert isinstance(told_events[0].payload, ResponseReceived)
        assert all(isinstance(event.payload, ResponseRevised) for event in told_events[1:])
        assert told_events[-1].id == row.event_id
        assert told_events[-1].payload.score == int(latest[id_][14:16]) % 11


@dataclass(frozen=True)
class Step:
    """One thing that is sent: a whole answer, a part of one, a withdrawal; each genuine, or in a forger's hand."""

    kind: Literal["whole", "withdrawal", "score", "comment"]
    response: int
    minute: int
    process: int
    forged: bool
    waits: bool

    @property
    def is_part(self) -> bool:
        return self.kind in ("score", "comment")

    @property
    def source(self) -> str:
        return "parts" if self.is_part else "whole"

    @property
    def id(self) -> str:
        return f"{self.source}-{self.response}"

    @property
    def at(self) -> int:
        """When it happened at the vendor. A part is told once; nothing else happens twice in one minute."""
        return {"score": 1, "comment": 2, "whole": 2 * self.minute, "withdrawal": 2 * self.minute + 1}[self.kind]

    def sent(self) -> tuple[str, bytes, dict[str, str]]:
        """Path, body and headers, as the vendor signs them, or as one who has another secret does."""
        time = f"2026-03-02T08:{self.at:02}:00+00:00"
        secret = b"a forger's secret" if self.forged else b"the vendor's secret"
        if self.kind == "whole":
            told: dict[str, Any] = {"source": "whole", "response_id": self.id, "answered_at": "2026-03-02T08:00:00Z"}
            told |= {"updated_at": time, "score": self.minute}
            return "/v1/responses", json.dumps(told).encode(), {"Authorization": "Bearer otk_no"} if self.forged else {}
        if self.kind == "withdrawal":
            told = {"event_type": "response_deleted", "event_id": f"{self.id}/{self.at}", "object_id": self.id}
            body = json.dumps(told | {"event_datetime": time}).encode()
            signature = base64.b64encode(hmac.digest(secret, body, "sha1")).decode()
            return "/v1/webhooks/whole", body, {"sm-signature": signature}
        answer = {"responseUuid": self.id, "timestamp": time, "question": {"id": self.kind}}
        answer |= {"choice": {"body": "3" if self.kind == "score" else "Nobody called back"}}
        told = {"messageId": f"{self.id}/{self.kind}", "event": {"questionAnswered": answer}}
        body = json.dumps(told).encode()
        return "/v1/webhooks/parts", body, {"hmac": hmac.digest(secret, body, "sha256").hex()}


STEPS = st.lists(
    st.builds(
        Step,
        kind=st.sampled_from(["whole", "whole", "withdrawal", "score", "comment"]),
        response=st.integers(1, 2),
        minute=st.integers(0, 4),
        process=st.integers(0, 1),
        forged=st.integers(0, 4).map(lambda number: number == 0),
        waits=st.booleans(),
    ),
    max_size=16,
)


@given(steps=STEPS)
@IN_ONE_LOOP
async def test_no_order_of_answers_parts_and_withdrawals_counts_twice_loses_one_or_lets_a_forger_in(
    steps: list[Step],
    processes: list[httpx.AsyncClient],
    a_source: Put,
    deliveries: Rows,
    responses: Rows,
    published: Published,
    clear: Clear,
) -> None:
    await a_source("whole", vendor="surveymonkey", secret="the vendor's secret", field_map={"score": None})
    field_map = {"score": {"question": "score"}, "comment": {"question": "comment"}}
    await a_source("parts", vendor="survicate", secret="the vendor's secret", field_map=field_map)
    await clear()

    async def send(step: Step) -> httpx.Response:
        path, body, headers = step.sent()
        headers = {"content-type": "application/json"} | headers
        return await processes[step.process].post(path, content=body, headers=headers)

    tasks: list[asyncio.Task[httpx.Response]] = []
    for step in steps:
        if step.waits:
            await asyncio.gather(*tasks)
        tasks.append(asyncio.create_task(send(step)))
    answers = await asyncio.gather(*tasks)

    genuine = [step for step in steps if not step.forged]
    assert [answer.status_code for answer in answers] == [401 if step.forged else 202 for step in steps]
    # Each distinct delivery is a row, told to whoever sent it, and counted as often as it came; no forged one is.
    kept = {str(row.id): row for row in await deliveries()}
    told = [answer.json() for answer in answers if answer.status_code == 202]
    assert {one["items"][0]["delivery_id"] if "items" in one else one["delivery_id"] for one in told} == set(kept)
    assert sum(row.copies for row in kept.values()) == len(genuine)
    assert len(kept) == len({(step.id, step.kind, step.at) for step in genuine})
    assert not [row.reason for row in kept.values() if row.status == "quarantined"]

    # One row per response; its events are its revisions, each once, in steps of one.
    by_response: dict[str, list[Step]] = defaultdict(list)
    for step in genuine:
        by_response[step.id].append(step)
    stored = {row.vendor_response_id: row for row in await responses()}
    assert stored.keys() == by_response.keys()
    events = await published()
    assert len({event.id for event in events}) == len(events)
    for id_, those in by_response.items():
        revisions = [event for event in events if event.payload.vendor_response_id == id_]
        assert [event.payload.revision for event in revisions] == list(range(1, stored[id_].revision + 1))
        last = revisions[-1].payload
        if those[0].is_part:
            kinds = {step.kind for step in those}
            assert last.score == (3 if "score" in kinds else None)
            assert last.comment == ("Nobody called back" if "comment" in kinds else None)
            assert last.answered_at.minute == min(step.at for step in those)
        else:
            # What happened last at the vendor's is what counts: an answer, or that there is none any more.
            latest = max(those, key=lambda step: step.at)
            assert isinstance(last, ResponseWithdrawn) == (latest.kind == "withdrawal")
            assert isinstance(last, ResponseWithdrawn) or last.score == latest.minute


async def test_the_same_deliveries_at_once_through_two_processes(
    processes: list[httpx.AsyncClient],
    a_source: Put,
    signed: Signed,
    deliver: Deliver,
    deliveries: Rows,
    responses: Rows,
    published: Published,
) -> None:
    await a_source()
    sent = [signed(a_payload(response, minute)) for response in range(40) for minute in range(3)]
    copies = [(each, process) for each in sent for process in (0, 1, 0)]
    forwards = [deliver(each, processes[process]) for each, process in copies]
    # The other way round, so that both want the same rows in opposite orders.
    backwards = [deliver(each, processes[1 - process]) for each, process in reversed(copies)]
    answers = await asyncio.gather(*forwards, *backwards)
    assert Counter(answer.status_code for answer in answers) == {202: 720}
    kept = await deliveries()
    assert len(kept) == 120
    assert sum(row.copies for row in kept) == 720
    stored = await responses()
    assert len(stored) == 40
    assert {row.revised_at.minute for row in stored} == {2}
    events = await published()
    assert len({event.id for event in events}) == len(events) == sum(row.revision for row in stored)


async def test_one_id_with_two_bodies_through_two_processes_at_once(
    processes: list[httpx.AsyncClient],
    a_source: Put,
    signed: Signed,
    deliver: Deliver,
    deliveries: Rows,
    published: Published,
) -> None:
    await a_source()
    sent = [
        (signed(a_payload(number, minute), id_=f"same-{number}"), processes[minute])
        for number in range(30)
        for minute in (0, 1)
    ]
    answers = await asyncio.gather(*(deliver(*each) for each in sent))
    assert {answer.status_code for answer in answers} == {202}
    kept = await deliveries()
    assert len(kept) == 60
    assert sum(row.conflict != b"" for row in kept) == 30
    assert len(await published()) == 30


@given(
    body=st.binary(max_size=300) | st.text(max_size=60).map(str.encode),
    signature=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=80),
)
@IN_ONE_LOOP
async def test_nothing_unsigned_is_let_in(
    body: bytes, signature: str, a_source: Put, signed: Signed, deliver: Deliver, deliveries: Rows, clear: Clear
) -> None:
    await a_source()
    await clear()
    for forged in (signature, "v1," + signature, ""):
        sent = signed(body=body)
        sent.headers["webhook-signature"] = forged
        assert (await deliver(sent)).status_code == 401
    assert not await deliveries()


SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ALMOST = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(["response_id", "answered_at", "updated_at", "score", "comment", "customer_id"], SHAPES),
).map(lambda some: {"response_id": "r", "answered_at": "2026-03-02T08:55:00Z"} | some)


@given(
    body=st.binary(max_size=400)
    | SHAPES.map(lambda v: json.dumps(v).encode())
    | ALMOST.map(lambda v: json.dumps(v).encode())
)
@IN_ONE_LOOP
async def test_whatever_is_signed_is_kept_with_its_bytes_and_never_5xx(
    body: bytes, a_source: Put, signed: Signed, deliver: Deliver, deliveries: Rows, clear: Clear
) -> None:
    await a_source()
    await clear()
    answer = await deliver(signed(body=body, age=timedelta(seconds=1)))
    assert answer.status_code == 202
    [row] = await deliveries()
    assert row.body == body
    assert row.status == answer.json()["status"]
    assert (row.reason is None) == (row.status == "accepted")
