import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from libs.events.contracts.responses import ResponseReceived, ResponseRevised
from libs.events.database import Database
from libs.events.event import Event
from services.ingest.api import build_app
from services.ingest.sources import SourceBook

Advance = Callable[[timedelta], None]
Connect = Callable[[FastAPI], AbstractAsyncContextManager[httpx.AsyncClient]]
Statements = Callable[[Database], AbstractContextManager[list[str]]]
Put = Callable[..., Awaitable[dict[str, Any]]]
Signed = Callable[..., Any]
Deliver = Callable[..., Awaitable[httpx.Response]]
Rows = Callable[[], Awaitable[Sequence[Any]]]
Published = Callable[[], Awaitable[list[Event[Any]]]]


async def test_a_signed_delivery_is_durable_and_published(
    a_source: Put, signed: Signed, deliver: Deliver, deliveries: Rows, published: Published
) -> None:
    await a_source(touchpoint="branch-12", language="ru")
    answer = await deliver(signed({"comment": "Долго", "customer_id": "c-1"}))
    assert answer.status_code == 202
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    [row] = await deliveries()
    [event] = await published()
    assert answer.json() == {"delivery_id": str(row.id), "status": "accepted", "event_ids": [str(event.id)]}
    assert row.event_ids == [event.id]
    payload = event.payload
    assert isinstance(payload, ResponseReceived)
    assert (payload.score, payload.comment, payload.customer_id) == (3, "Долго", "c-1")
    assert (payload.touchpoint, payload.language, payload.program) == ("branch-12", "ru", "retail")
    assert payload.instrument.question == "How likely are you to recommend us?"
    assert str(row.response_id) == payload.response_id == event.subject
    assert event.source == "/ingest/shop"


async def test_what_is_kept_are_the_bytes_without_what_proves_the_sender(
    a_source: Put, signed: Signed, deliver: Deliver, deliveries: Rows
) -> None:
    await a_source()
    sent = signed(id_="msg-1", user_agent="vendor/1", x_api_key="k", cookie="c", authorization="Bearer b")
    await deliver(sent)
    [row] = await deliveries()
    assert row.body == sent.body
    assert row.body_hash == hashlib.sha256(sent.body).digest()
    assert row.delivery_key == "msg-1"
    headers = json.loads(row.headers)
    assert headers["user-agent"] == "vendor/1"
    assert headers["webhook-timestamp"] == sent.headers["webhook-timestamp"]
    assert not {"webhook-signature", "x-api-key", "cookie", "authorization"} & set(headers)


async def test_the_trace_begins_at_the_sender_if_it_has_one(
    a_source: Put, signed: Signed, deliver: Deliver, published: Published
) -> None:
    await a_source()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await deliver(signed({"response_id": "r-1"}, traceparent=trace))
    await deliver(signed({"response_id": "r-2"}, traceparent="nonsense"))
    first, second = await published()
    assert first.traceparent == trace
    assert second.traceparent not in {None, trace, "nonsense"}


async def test_a_token_opens_where_a_sender_cannot_sign(a_source: Put, signed: Signed, deliver: Deliver) -> None:
    await a_source(vendor="generic-token", secret="a token of twenty-four..")
    assert (await deliver(signed(otklik_token="a token of twenty-four.."))).status_code == 202
    assert (await deliver(signed(otklik_token="a token of twenty-five.."))).status_code == 401
    assert (await deliver(signed())).status_code == 401


async def test_the_score_first_and_the_comment_later_are_one_response(
    a_source: Put, signed: Signed, deliver: Deliver, published: Published, responses: Rows
) -> None:
    await a_source()
    first = await deliver(signed({"updated_at": "2026-03-02T08:55:00Z"}))
    later = await deliver(signed({"updated_at": "2026-03-02T08:57:00Z", "comment": "Долго"}))
    stale = await deliver(signed({"updated_at": "2026-03-02T08:56:00Z", "score": 9}))
    assert [answer.json()["status"] for answer in (first, later, stale)] == ["accepted", "accepted", "accepted"]
    assert stale.json()["event_ids"] == []
    received, revised = await published()
    assert isinstance(revised.payload, ResponseRevised)
    assert (revised.payload.revision, revised.payload.score, revised.payload.comment) == (2, 3, "Долго")
    assert revised.payload.response_id == received.payload.response_id
    [response] = await responses()
    assert (response.revision, response.event_id) == (2, revised.id)


async def test_the_same_delivery_again_is_a_duplicate_of_the_first(
    a_source: Put, signed: Signed, deliver: Deliver, deliveries: Rows, published: Published
) -> None:
    await a_source()
    first = await deliver(signed())
    again = await deliver(signed(age=timedelta(seconds=30)))  # signed anew, as a retry is
    assert again.status_code == 202
    assert again.json() == {**first.json(), "status": "duplicate"}
    [row] = await deliveries()
    assert (row.copies, row.status) == (2, "accepted")
    assert len(await published()) == 1


async def test_the_same_content_in_another_delivery_is_a_duplicate_too(
    a_source: Put, signed: Signed, deliver: Deliver, deliveries: Rows, published: Published
) -> None:
    await a_source()
    first = await deliver(signed(id_="a"))
    again = await deliver(signed(id_="b"))
    assert again.json()["status"] == "duplicate"
    assert again.json()["event_ids"] == first.json()["event_ids"]
    assert again.json()["delivery_id"] != first.json()["delivery_id"]
    assert len(await deliveries()) == 2
    assert len(await published()) == 1


async def test_another_body_under_the_same_id_changes_nothing_and_is_kept(
    a_source: Put, signed: Signed, deliver: Deliver, deliveries: Rows, published: Published, client: httpx.AsyncClient
) -> None:
    await a_source()
    first = await deliver(signed({"score": 3}, id_="same"))
    for _ in range(2):
        other = await deliver(signed({"score": 9}, id_="same"))
        assert other.json()["status"] == "duplicate"
        assert other.json()["event_ids"] == first.json()["event_ids"]
    kept, conflicting = await deliveries()
    assert (kept.copies, conflicting.copies) == (1, 2)
    assert json.loads(conflicting.body)["score"] == 9
    assert len(await published()) == 1
    audited = (await client.get("/v1/deliveries", params={"status": "duplicate"})).json()["items"]
    assert [(row["conflicting"], row["id"]) for row in audited] == [(True, str(conflicting.id))]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"many thanks",
        b'{"response_id": "r-1"}',
        b'{"response_id": "r-1", "answered_at": "2026-03-02T08:55:00Z", "score": 11}',
        b'{"response_id": "r-1", "answered_at": "2026-03-02T08:55:00Z", "score": true}',
        b'{"response_id": "r-1", "answered_at": "2026-03-02T08:55:00Z", "score": NaN}',
        b'{"response_id": "r-1", "answered_at": "2026-03-02T08:55:00Z", "score": 1e400}',
        b'{"response_id": "r-1", "answered_at": "2026-03-02T08:55:00Z", "comment": "\\u0000"}',
        b'{"response_id": "r-1", "answered_at": "2026-03-02T08:55:00Z", "comment": "\\ud800"}',
        b'{"response_id": "r-1", "answered_at": "2026-03-02T08:55:00Z", "score": 3, "score": 9}',
        b'{"response_id": "r-1", "answered_at": "2026-03-02T08:55:00Z", "n": ' + b"9" * 5000 + b"}",
        b'{"response_id": "r-1", "answered_at": "2026-03-02T08:55:00Z"} {}',
        b"\xef\xbb\xbf{}",
        b"\xff\xfe\x00",
        b"\0" * 50,
        b"[" * 100_000,
        b'{"a":' * 50_000,
    ],
)
async def test_authentic_nonsense_is_kept_and_quarantined(
    a_source: Put, signed: Signed, deliver: Deliver, deliveries: Rows, published: Published, body: bytes
) -> None:
    await a_source()
    answer = await deliver(signed(body=body, id_="odd"))
    assert answer.status_code == 202
    assert answer.json()["status"] == "quarantined"
    [row] = await deliveries()
    assert row.body == body
    assert row.reason
    assert not await published()


@pytest.mark.parametrize("id_", ["x" * 5000, "a\tb", "a'b\\"])
async def test_odd_ids_of_deliveries_can_be_kept(
    a_source: Put, signed: Signed, deliver: Deliver, deliveries: Rows, id_: str
) -> None:
    await a_source()
    first, again = [await deliver(signed(id_=id_)) for _ in range(2)]
    assert (first.json()["status"], again.json()["status"]) == ("accepted", "duplicate")
    assert len(await deliveries()) == 1


async def test_nobody_is_told_why_they_are_refused(
    a_source: Put,
    signed: Signed,
    deliver: Deliver,
    deliveries: Rows,
    published: Published,
    client: httpx.AsyncClient,
    other_secret: str,
) -> None:
    await a_source()
    await a_source("off", enabled=False)
    await a_source("gone")
    await client.delete("/v1/sources/gone")
    good = signed()
    bare = {"content-type": "application/json"}
    refused = [
        await deliver(sent)
        for sent in (
            signed(source="nobody"),
            signed(source="off"),
            signed(source="gone"),
            signed(secret=other_secret),
            signed(age=timedelta(minutes=5, seconds=1)),
            signed(age=-timedelta(minutes=5, seconds=1)),
            type(good)("shop", good.body + b" ", good.headers),
            type(good)("shop", good.body, bare),
            type(good)("nobody", good.body, bare),
            type(good)("shop", good.body, good.headers | {"content-type": "text/plain", "webhook-signature": "v1,x"}),
        )
    ]
    assert {answer.status_code for answer in refused} == {401}
    assert len({answer.content for answer in refused}) == 1
    assert len({tuple(sorted(answer.headers.items())) for answer in refused}) == 1
    assert refused[0].headers["content-type"] == "application/problem+json"
    assert not await deliveries()
    assert not await published()


async def test_a_signature_at_4_59_is_fresh(a_source: Put, signed: Signed, deliver: Deliver) -> None:
    await a_source()
    assert (await deliver(signed(age=timedelta(minutes=4, seconds=59)))).status_code == 202
    assert (await deliver(signed({"response_id": "r-2"}, age=-timedelta(minutes=4, seconds=59)))).status_code == 202


async def test_a_hook_that_is_replayed_after_a_day_is_refused(
    a_source: Put, signed: Signed, deliver: Deliver, advance: Advance
) -> None:
    await a_source()
    sent = signed()
    assert (await deliver(sent)).status_code == 202
    advance(timedelta(days=1))
    assert (await deliver(sent)).status_code == 401


async def test_another_content_type_is_refused_only_to_who_has_signed(
    a_source: Put, signed: Signed, deliver: Deliver, deliveries: Rows
) -> None:
    await a_source()
    for odd in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = await deliver(signed(content_type=odd))
        assert answer.status_code == 415
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await deliver(signed(content_type="Application/JSON; charset=utf-8"))).status_code == 202
    assert len(await deliveries()) == 1


async def test_what_is_too_large_is_refused_with_and_without_an_announced_length(
    a_source: Put, signed: Signed, deliver: Deliver, deliveries: Rows, client: httpx.AsyncClient
) -> None:
    await a_source()
    large = signed(body=b"x" * 1_048_577)
    assert (await deliver(large)).status_code == 413
    just_fits = signed(body=b"x" * 1_048_576)
    assert (await deliver(just_fits)).json()["status"] == "quarantined"

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b"x" * 65_536

    answer = await client.post("/v1/webhooks/shop", content=chunks(), headers=large.headers)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(await deliveries()) == 1


async def test_a_body_in_many_chunks_is_one_body(a_source: Put, signed: Signed, client: httpx.AsyncClient) -> None:
    await a_source()
    sent = signed()

    async def chunks() -> AsyncIterator[bytes]:
        for byte in sent.body:
            yield bytes([byte])

    answer = await client.post("/v1/webhooks/shop", content=chunks(), headers=sent.headers)
    assert answer.json()["status"] == "accepted"


async def test_only_post_is_taken(client: httpx.AsyncClient) -> None:
    answer = await client.put("/v1/webhooks/shop")
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_vendor_may_look_whether_somebody_is_there_and_learns_nothing_else(
    a_source: Put, client: httpx.AsyncClient, method: str
) -> None:
    await a_source()
    known = await client.request(method, "/v1/webhooks/shop")
    assert known.status_code == 200
    assert (await client.request(method, "/v1/webhooks/nobody")).content == known.content


async def test_two_secrets_hold_while_one_is_replaced_and_then_one(
    a_source: Put,
    signed: Signed,
    deliver: Deliver,
    client: httpx.AsyncClient,
    advance: Advance,
    clock: Callable[[], datetime],
    other_secret: str,
) -> None:
    await a_source()
    assert (await deliver(signed(secret=other_secret))).status_code == 401
    until = (clock() + timedelta(hours=1)).isoformat()
    rotated = await client.post("/v1/sources/shop/secrets", json={"secret": other_secret, "old_valid_until": until})
    assert rotated.status_code == 201
    assert (await deliver(signed({"response_id": "r-2"}))).status_code == 202
    assert (await deliver(signed({"response_id": "r-3"}, secret=other_secret))).status_code == 202
    advance(timedelta(hours=1))
    assert (await deliver(signed({"response_id": "r-4"}))).status_code == 401
    assert (await deliver(signed({"response_id": "r-5"}, secret=other_secret))).status_code == 202


async def test_what_another_process_changed_is_noticed_within_seconds(
    a_source: Put,
    signed: Signed,
    deliver: Deliver,
    client: httpx.AsyncClient,
    url: str,
    a_client: Connect,
    clock: Callable[[], datetime],
    other_secret: str,
) -> None:
    await a_source()
    ticks = [0.0]
    database = Database.connect(url, pool_size=2, clock=clock)
    book = SourceBook(database, clock=lambda: ticks[0])
    async with a_client(build_app(database, book=book)) as elsewhere:

        async def deliver_there(sent: object) -> int:
            return (await deliver(sent, elsewhere)).status_code

        assert await deliver_there(signed()) == 202
        await client.post("/v1/sources/shop/secrets", json={"secret": other_secret})
        await a_source("new")
        ticks[0] += 0.3
        # What would be refused is looked up anew, so that a rotation and a new source work at once.
        assert await deliver_there(signed({"response_id": "r-2"}, secret=other_secret)) == 202
        ticks[0] += 0.3
        assert await deliver_there(signed({"response_id": "r-2"}, source="new")) == 202

        await client.delete("/v1/sources/shop")
        assert await deliver_there(signed({"response_id": "r-3"})) == 202  # remembered
        ticks[0] += 2.0
        assert await deliver_there(signed({"response_id": "r-4"})) == 401
    await database.close()


async def test_forgeries_do_not_ask_the_database_each(
    a_source: Put, signed: Signed, deliver: Deliver, database: Database, statements: Statements
) -> None:
    await a_source()
    await deliver(signed())
    await deliver(signed(source="nobody"))
    with statements(database) as seen:
        for number in range(50):
            await deliver(signed(source=f"nobody-{number}"))
    assert len(seen) <= 8  # a look every quarter of a second
