import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from libs.events.event import Event

Put = Callable[..., Awaitable[dict[str, Any]]]
Signed = Callable[..., Any]
Deliver = Callable[..., Awaitable[httpx.Response]]
Rows = Callable[[], Awaitable[Sequence[Any]]]
Published = Callable[[], Awaitable[list[Event[Any]]]]

WRONG_MAP = {"score": {"path": "comment"}}


async def test_deliveries_are_listed_the_newest_first_and_page_by_page(
    client: httpx.AsyncClient, a_source: Put, signed: Signed, deliver: Deliver, advance: Callable[[timedelta], None]
) -> None:
    await a_source()
    await a_source("other")
    ids = []
    for number in range(5):
        sent = signed({"response_id": f"r-{number}"}, source="other" if number == 2 else "shop")
        ids.append((await deliver(sent)).json()["delivery_id"])
        advance(timedelta(seconds=1))
    await deliver(signed(body=b"nonsense"))
    pages = []
    cursor = None
    while True:
        page = (await client.get("/v1/deliveries", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        pages.append([item["id"] for item in page["items"]])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [len(page) for page in pages] == [2, 2, 2]
    assert [id_ for page in pages for id_ in page][1:] == ids[::-1]

    async def listed(**params: str) -> list[str]:
        answer = await client.get("/v1/deliveries", params=params)
        return [item["id"] for item in answer.json()["items"]]

    assert await listed(source="other") == [ids[2]]
    assert await listed(status="accepted", source="other") == [ids[2]]
    assert await listed(status="accepted") == ids[::-1]
    assert len(await listed(status="quarantined")) == 1
    assert await listed(status="quarantined", source="other") == []
    assert await listed(status="ignored") == []
    assert (await client.get("/v1/deliveries", params={"status": "lost"})).status_code == 422
    assert (await client.get("/v1/deliveries", params={"cursor": "x"})).status_code == 422


async def test_one_delivery_is_shown_with_its_bytes_and_without_secrets(
    client: httpx.AsyncClient, a_source: Put, signed: Signed, deliver: Deliver
) -> None:
    await a_source()
    for body, text in ((b"\xff\x00", None), ("Ж".encode(), "Ж")):
        id_ = (await deliver(signed(body=body, user_agent="vendor/1"))).json()["delivery_id"]
        found = (await client.get(f"/v1/deliveries/{id_}")).json()
        assert base64.b64decode(found["body_base64"]) == body
        assert found["body"] == text
        assert found["size"] == len(body)
        assert found["headers"]["user-agent"] == "vendor/1"
        assert "webhook-signature" not in found["headers"]
        assert (found["status"], found["via"], found["copies"]) == ("quarantined", "webhook", 1)
    assert (await client.get(f"/v1/deliveries/{uuid4()}")).status_code == 404
    assert (await client.get("/v1/deliveries/x")).status_code == 422


async def test_a_mended_field_map_makes_a_response_of_what_was_quarantined(
    client: httpx.AsyncClient, a_source: Put, signed: Signed, deliver: Deliver, deliveries: Rows, published: Published
) -> None:
    await a_source(field_map=WRONG_MAP)
    id_ = (await deliver(signed({"comment": "Долго"}))).json()["delivery_id"]
    [row] = await deliveries()
    assert row.status == "quarantined"
    assert "path 'comment'" in row.reason
    assert (await client.post(f"/v1/deliveries/{id_}/replay")).json()["status"] == "quarantined"

    await a_source()
    replayed = (await client.post(f"/v1/deliveries/{id_}/replay")).json()
    [event] = await published()
    assert replayed == {
        "delivery_id": id_,
        "status": "accepted",
        "reason": None,
        "response_id": event.payload.response_id,
        "event_ids": [str(event.id)],
    }
    assert (event.payload.score, event.payload.revision) == (3, 1)
    assert event.payload.received_at == row.received_at  # and not the time of the replay
    [row] = await deliveries()
    assert (row.status, row.reason, row.event_ids) == ("accepted", None, [event.id])
    assert row.replayed_at is not None


async def test_a_replay_changes_nothing_the_second_time(
    client: httpx.AsyncClient, a_source: Put, signed: Signed, deliver: Deliver, deliveries: Rows, published: Published
) -> None:
    await a_source(field_map=WRONG_MAP)
    id_ = (await deliver(signed({"comment": "Долго"}))).json()["delivery_id"]
    await a_source()
    answers = await asyncio.gather(*(client.post(f"/v1/deliveries/{id_}/replay") for _ in range(5)))
    assert {answer.json()["status"] for answer in answers} == {"accepted"}
    before = await deliveries()
    await client.post(f"/v1/deliveries/{id_}/replay")
    assert await deliveries() == before
    assert len(await published()) == 1


async def test_what_was_published_stays_true_when_the_map_is_broken_later(
    client: httpx.AsyncClient, a_source: Put, signed: Signed, deliver: Deliver, deliveries: Rows, published: Published
) -> None:
    await a_source()
    id_ = (await deliver(signed({"comment": "Долго"}))).json()["delivery_id"]
    await a_source(field_map=WRONG_MAP)
    assert (await client.post(f"/v1/deliveries/{id_}/replay")).json()["status"] == "accepted"
    [row] = await deliveries()
    assert row.status == "accepted"
    assert len(await published()) == 1


async def test_another_understanding_of_the_latest_delivery_is_its_next_revision(
    client: httpx.AsyncClient, a_source: Put, signed: Signed, deliver: Deliver, deliveries: Rows, published: Published
) -> None:
    await a_source()
    payload = {"comment": "Долго", "answers": {"why": "Очень долго"}}
    id_ = (await deliver(signed(payload))).json()["delivery_id"]
    await a_source(field_map={"comment": {"question": "why"}})
    replayed = (await client.post(f"/v1/deliveries/{id_}/replay")).json()
    first, second = await published()
    assert (first.payload.comment, second.payload.comment) == ("Долго", "Очень долго")
    assert second.payload.revision == 2
    assert replayed["event_ids"] == [str(first.id), str(second.id)]
    [row] = await deliveries()
    assert row.event_ids == [first.id, second.id]


async def test_a_replay_of_the_first_score_does_not_undo_the_second(
    client: httpx.AsyncClient,
    a_source: Put,
    signed: Signed,
    deliver: Deliver,
    published: Published,
    responses: Rows,
    advance: Callable[[timedelta], None],
) -> None:
    await a_source()
    # Neither says when it was revised.
    first = (await deliver(signed({"score": 3}))).json()["delivery_id"]
    advance(timedelta(seconds=30))
    await deliver(signed({"score": 9}))
    assert (await client.post(f"/v1/deliveries/{first}/replay")).json()["status"] == "accepted"
    [response] = await responses()
    assert response.revision == 2
    assert [event.payload.score for event in await published()] == [3, 9]


async def test_thousands_are_replayed_page_by_page_in_the_order_in_which_they_came(
    client: httpx.AsyncClient,
    a_source: Put,
    signed: Signed,
    deliver: Deliver,
    published: Published,
    advance: Callable[[timedelta], None],
    responses: Rows,
) -> None:
    await a_source(field_map=WRONG_MAP)
    await a_source("other", field_map=WRONG_MAP)
    for number in range(7):
        # Three responses, each later answer another revision of one of them.
        await deliver(signed({"response_id": f"r-{number % 3}", "comment": str(number), "score": number}))
        advance(timedelta(seconds=1))
    await deliver(signed({"comment": "x"}, source="other"))
    await a_source()
    await a_source("other")
    statuses: list[str] = []
    cursor = None
    while True:
        body: dict[str, Any] = {"source": "shop", "limit": 3} | ({"cursor": cursor} if cursor else {})
        page = (await client.post("/v1/deliveries/replay", json=body)).json()
        statuses += [item["status"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert statuses == ["accepted"] * 7
    assert [event.payload.score for event in await published()] == [0, 1, 2, 3, 4, 5, 6]
    assert len(await responses()) == 3
    again = (await client.post("/v1/deliveries/replay", json={"source": "shop"})).json()
    assert again == {"items": [], "next_cursor": None}


async def test_a_replay_takes_a_span_of_time(
    client: httpx.AsyncClient, a_source: Put, signed: Signed, deliver: Deliver, advance: Callable[[timedelta], None]
) -> None:
    await a_source()
    for number in range(3):
        await deliver(signed(body=f"nonsense {number}".encode()))
        advance(timedelta(minutes=10))
    body = {"received_from": "2026-03-02T09:05:00Z", "received_to": "2026-03-02T09:15:00Z"}
    assert len((await client.post("/v1/deliveries/replay", json=body)).json()["items"]) == 1


async def test_what_lost_against_the_first_with_its_id_is_never_replayed(
    client: httpx.AsyncClient, a_source: Put, signed: Signed, deliver: Deliver, published: Published
) -> None:
    await a_source()
    await deliver(signed({"score": 3}, id_="same"))
    other = (await deliver(signed({"score": 9}, id_="same"))).json()["delivery_id"]
    assert (await client.post(f"/v1/deliveries/{other}/replay")).json()["status"] == "duplicate"
    assert (await client.post("/v1/deliveries/replay", json={"status": "duplicate"})).json()["items"] == []
    assert len(await published()) == 1


async def test_without_its_source_a_delivery_waits(
    client: httpx.AsyncClient, a_source: Put, signed: Signed, deliver: Deliver, published: Published
) -> None:
    await a_source(field_map=WRONG_MAP)
    id_ = (await deliver(signed({"comment": "Долго"}))).json()["delivery_id"]
    await client.delete("/v1/sources/shop")
    replayed = (await client.post(f"/v1/deliveries/{id_}/replay")).json()
    assert replayed["status"] == "quarantined"
    assert "source" in replayed["reason"]
    await a_source()
    assert (await client.post(f"/v1/deliveries/{id_}/replay")).json()["status"] == "accepted"
    assert len(await published()) == 1


@pytest.mark.parametrize("body", [{"limit": 0}, {"limit": 101}, {"status": "lost"}, {"cursor": "x"}, {"surprise": 1}])
async def test_a_filter_that_makes_no_sense_is_refused(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert (await client.post("/v1/deliveries/replay", json=body)).status_code == 422
