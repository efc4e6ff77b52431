import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx
import pytest

from libs.events.event import Event

Put = Callable[..., Awaitable[dict[str, Any]]]
Deliver = Callable[..., Awaitable[httpx.Response]]
Rows = Callable[[], Awaitable[Sequence[Any]]]
Published = Callable[[], Awaitable[list[Event[Any]]]]


def a_response(id_: str = "r-1", **changes: object) -> dict[str, Any]:
    return {"source": "shop", "response_id": id_, "answered_at": "2026-03-02T08:55:00Z", "score": 3} | changes


async def test_one_response_is_recorded_and_published(
    client: httpx.AsyncClient, a_source: Put, deliveries: Rows, published: Published
) -> None:
    await a_source()
    answer = await client.post("/v1/responses", json=a_response(comment="Долго", customer_id="c-1"))
    assert answer.status_code == 202
    [result] = answer.json()["items"]
    [event] = await published()
    [row] = await deliveries()
    assert result["status"] == "accepted"
    assert result["event_ids"] == [str(event.id)]
    assert result["response_id"] == event.payload.response_id
    assert result["delivery_id"] == str(row.id)
    assert (event.payload.score, event.payload.comment, event.payload.customer_id) == (3, "Долго", "c-1")
    assert row.via == "rest"


async def test_sent_again_it_is_a_duplicate_and_changed_a_revision(
    client: httpx.AsyncClient, a_source: Put, deliveries: Rows, published: Published
) -> None:
    await a_source()
    first = (await client.post("/v1/responses", json=a_response())).json()["items"][0]
    again = (await client.post("/v1/responses", json=[a_response()])).json()["items"][0]
    assert again == first | {"status": "duplicate", "reason": again["reason"]}
    revised = (await client.post("/v1/responses", json=a_response(comment="Долго"))).json()["items"][0]
    assert revised["status"] == "accepted"
    assert revised["response_id"] == first["response_id"]
    assert [event.payload.revision for event in await published()] == [1, 2]
    assert len(await deliveries()) == 2


async def test_a_response_is_the_same_over_rest_and_by_webhook(
    client: httpx.AsyncClient, a_source: Put, signed: Callable[..., Any], deliver: Deliver, published: Published
) -> None:
    await a_source()
    await deliver(signed())
    [result] = (await client.post("/v1/responses", json=a_response())).json()["items"]
    assert result["status"] == "duplicate"
    assert len(await published()) == 1


async def test_of_several_those_that_are_valid_are_recorded(
    client: httpx.AsyncClient, a_source: Put, published: Published
) -> None:
    await a_source()
    items = [
        a_response("r-1"),
        a_response("r-2", score=11),
        a_response("r-3", score="3"),
        a_response("r-4", source="nobody"),
        a_response("r-5", surprise=True),
        {"source": "shop"},
        "text",
        a_response("r-6", answered_at="yesterday"),
        a_response("r-7", score=None),
        a_response("r-1"),
    ]
    answer = await client.post("/v1/responses", json=items)
    assert answer.status_code == 202
    results = answer.json()["items"]
    assert [result["status"] for result in results] == ["accepted", *["invalid"] * 7, "accepted", "duplicate"]
    pointers = [[error["pointer"] for error in result["errors"] or []] for result in results]
    assert pointers[1:8] == [
        ["/1/score"],
        ["/2/score"],
        ["/3/source"],
        ["/4/surprise"],
        ["/5/response_id", "/5/answered_at"],
        ["/6"],
        ["/7/answered_at"],
    ]
    assert results[9]["event_ids"] == results[0]["event_ids"]
    assert [event.payload.vendor_response_id for event in await published()] == ["r-1", "r-7"]


async def test_one_alone_that_is_not_valid_is_refused(
    client: httpx.AsyncClient, a_source: Put, deliveries: Rows
) -> None:
    await a_source()
    for item, pointer in (
        (a_response(score=11), "/score"),
        (a_response(score=True), "/score"),
        (a_response(score=3.5), "/score"),
        (a_response(source="nobody"), "/source"),
        (a_response(answered_at="2027-03-02T08:55:00Z"), "/answered_at"),
        (7, ""),
    ):
        refused = await client.post("/v1/responses", json=item)
        assert refused.status_code == 422
        assert refused.headers["content-type"] == "application/problem+json"
        assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]
    assert not await deliveries()


@pytest.mark.parametrize("items", [[], [a_response(f"r-{n}") for n in range(1001)]])
async def test_an_array_has_one_to_a_thousand_items(
    client: httpx.AsyncClient, a_source: Put, items: list[dict[str, Any]]
) -> None:
    await a_source()
    assert (await client.post("/v1/responses", json=items)).status_code == 422


async def test_a_thousand_are_recorded_at_once(client: httpx.AsyncClient, a_source: Put, published: Published) -> None:
    await a_source()
    answer = await client.post("/v1/responses", json=[a_response(f"r-{n}") for n in range(1000)])
    assert {item["status"] for item in answer.json()["items"]} == {"accepted"}
    assert len(await published()) == 1000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"source": "shop", "score": NaN}',
        b'{"source": "shop", "score": 1e400}',
        b'{"source": "shop", "comment": "\\u0000"}',
        b'{"source": "shop", "comment": "\\ud800"}',
        b'{"source": "shop", "source": "other"}',
        b'{"n": ' + b"9" * 5000 + b"}",
        b"[" * 50_000,
        b"\xef\xbb\xbf{}",
        b"\xff",
        b"{} {}",
    ],
)
async def test_what_is_no_strict_json_is_refused(client: httpx.AsyncClient, a_source: Put, body: bytes) -> None:
    await a_source()
    answer = await client.post("/v1/responses", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"


async def test_another_content_type_is_refused(client: httpx.AsyncClient, a_source: Put) -> None:
    await a_source()
    answer = await client.post("/v1/responses", content=b"{}", headers={"content-type": "text/plain"})
    assert answer.status_code == 415


async def test_under_one_key_it_is_done_once_and_answered_as_it_was(
    client: httpx.AsyncClient, a_source: Put, deliveries: Rows
) -> None:
    await a_source()
    headers = {"Idempotency-Key": "k-1"}
    answers = await asyncio.gather(
        *(client.post("/v1/responses", json=a_response(), headers=headers) for _ in range(4))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    [row] = await deliveries()
    assert row.copies == 1


async def test_the_same_responses_from_several_senders_at_once_are_counted_once(
    client: httpx.AsyncClient, a_source: Put, published: Published
) -> None:
    await a_source()
    items = [a_response(f"r-{n}") for n in range(50)]
    answers = await asyncio.gather(
        *(client.post("/v1/responses", json=items[::step]) for step in (1, -1, 1, -1)),
    )
    assert {answer.status_code for answer in answers} == {202}
    assert len(await published()) == 50
