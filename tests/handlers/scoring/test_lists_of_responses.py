"""What one customer answered, and which comments mention a theme."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from libs.events.event import Event
from services.scoring.api import responses

AnAnswer = Callable[..., Event[Any]]
Deliver = Callable[..., Coroutine[None, None, None]]

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)


async def ids(client: httpx.AsyncClient, **params: Any) -> tuple[list[str], str | None]:  # noqa: ANN401 - query values
    answer = await client.get("/v1/responses", params=params)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["items"]], answer.json()["next_cursor"]


async def test_the_answers_of_a_customer_come_the_latest_first_page_by_page(
    client: httpx.AsyncClient, an_answer: AnAnswer, deliver: Deliver
) -> None:
    await deliver(
        *(an_answer(f"r-{n}", answered_at=MONDAY + timedelta(days=n % 3), comment=None) for n in range(4)),
        an_answer("of another", customer_id="c-2"),
    )
    assert (await ids(client, customer_id="c-1"))[0] == ["r-2", "r-1", "r-3", "r-0"]
    first, cursor = await ids(client, customer_id="c-1", limit=3)
    assert (first, await ids(client, customer_id="c-1", cursor=cursor)) == (["r-2", "r-1", "r-3"], (["r-0"], None))
    assert await ids(client, customer_id="nobody") == ([], None)
    assert (await client.get("/v1/responses", params={"customer_id": "c-1", "theme": "price"})).status_code == 422


async def test_comments_are_found_by_theme_and_by_the_filters_of_the_numbers(
    client: httpx.AsyncClient, an_answer: AnAnswer, deliver: Deliver
) -> None:
    await deliver(
        an_answer("queue", comment="Очередь"),
        an_answer("app", comment="Приложение не открывается", program="online", answered_at=MONDAY + timedelta(days=2)),
        an_answer("both", comment="Очередь, и приложение не открывается", touchpoint="app"),
        an_answer("silent", comment=None),
        an_answer("ces", comment="Очередь", asked={"metric": "ces", "scale_min": 1, "scale_max": 7}),
    )
    assert set((await ids(client, theme="waiting"))[0]) == {"queue", "both", "ces"}
    assert set((await ids(client, theme="waiting", metric="nps"))[0]) == {"queue", "both"}
    assert (await ids(client, theme="app", program="online"))[0] == ["app"]
    assert (await ids(client, touchpoint="app"))[0] == ["both"]
    assert (await ids(client, **{"from": (MONDAY + timedelta(days=1)).isoformat()}))[0] == ["app"]
    assert set((await ids(client))[0]) == {"queue", "app", "both", "ces"}


async def test_a_rare_theme_is_looked_for_page_by_page(
    client: httpx.AsyncClient, an_answer: AnAnswer, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responses, "_LOOKED_AT", 3)
    await deliver(an_answer("rare", comment="Очередь"))
    for n in range(7):
        await deliver(an_answer(f"r-{n}", comment="Приложение не открывается"))
    found: list[str] = []
    pages, cursor = 0, None
    while pages == 0 or cursor is not None:
        page, cursor = await ids(client, theme="waiting", **({} if cursor is None else {"cursor": cursor}))
        found += page
        pages += 1
    assert (found, pages) == (["rare"], 3)


async def test_words_of_customers_are_not_for_everybody(client: httpx.AsyncClient) -> None:
    for role, status in (("agent", 200), ("manager", 200), ("employee", 403), ("operator", 403)):
        person = {"Otklik-Person": "p", "Otklik-Role": role}
        assert (await client.get("/v1/responses", headers=person)).status_code == status
