"""What comments are about, from the answer to the event, and what becomes of it."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx

from libs.events.contracts.responses import ResponseWithdrawn
from libs.events.database import Database
from libs.events.event import Event, EventId

AnAnswer = Callable[..., Event[Any]]
Deliver = Callable[..., Coroutine[None, None, None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
Rows = Callable[..., Awaitable[Sequence[Any]]]

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
STORED = "SELECT id, themes, urgent, language FROM responses ORDER BY id"


def a_withdrawal(response: str, revision: int) -> Event[Any]:
    payload = ResponseWithdrawn(
        response_id=response,
        revision=revision,
        source="typeform",
        vendor_response_id=f"vendor-{response}",
        program="retail",
        withdrawn_at=MONDAY,
        received_at=MONDAY,
    )
    return Event.root(
        EventId(uuid4()), payload, subject=response, time=MONDAY, source="/ingest", traceparent="00-a-b-01"
    )


async def test_an_answer_is_told_with_what_its_comment_is_about(
    an_answer: AnAnswer, deliver: Deliver, published: Published, rows: Rows
) -> None:
    await deliver(
        an_answer("r-1", comment="Стояла в очереди час, кассир нахамила", language=None),
        an_answer("r-2", comment="I want my money back or I will sue you", language=None),
        an_answer("r-3", comment=None, language=None),
        an_answer("r-4", comment="Das war gut und nicht teuer", language=None),
        an_answer("r-5", comment="Queue again", language="de"),
    )
    stored = {row.id: (row.themes, row.urgent, row.language) for row in await rows(STORED)}
    assert stored["r-1"] == (["waiting", "staff"], [], "ru")
    assert stored["r-2"] == (["billing"], ["legal"], "en")
    assert stored["r-3"] == stored["r-4"] == ([], [], None)
    assert stored["r-5"] == (["waiting"], [], "de")
    told = {event.payload.response_id: event.payload for _, event in await published()}
    for id_, (themes, urgent, language) in stored.items():
        assert (told[id_].themes, told[id_].urgent) == (tuple(themes), tuple(urgent))
        assert told[id_].language == language


async def test_a_threat_raises_the_priority_of_a_detractor(
    an_answer: AnAnswer, deliver: Deliver, published: Published
) -> None:
    await deliver(an_answer("calm"), an_answer("angry", comment="Ждала час. Подаю на вас в суд!"))
    told = {event.payload.response_id: event.payload for _, event in await published()}
    assert told["angry"].urgent == ("legal",)
    assert told["angry"].priority > told["calm"].priority
    assert "legal" in {part.fact for part in told["angry"].priority_parts}


async def test_themes_go_with_the_comment(
    an_answer: AnAnswer, deliver: Deliver, published: Published, rows: Rows
) -> None:
    await deliver(an_answer("r-1", comment="Очередь"), an_answer("r-2", comment="Очередь"))
    await deliver(an_answer("r-1", 2, comment="Дорого, и приложение неудобное"), a_withdrawal("r-2", 2))
    assert [tuple(row) for row in await rows(STORED)] == [("r-1", ["price", "app"], [], "ru"), ("r-2", [], [], "ru")]
    assert [event.payload.themes for _, event in (await published())[2:]] == [("price", "app"), ()]


async def test_of_an_erased_persons_answer_the_themes_are_counted_and_nothing_says_what_they_threatened(
    client: httpx.AsyncClient, an_answer: AnAnswer, deliver: Deliver, rows: Rows, database: Database
) -> None:
    await deliver(an_answer("r-1", comment="Очередь. Подаю на вас в суд"))
    assert (await client.delete("/v1/customers/c-1")).status_code == 204
    # What was on its way says nothing any more.
    await deliver(an_answer("r-2", comment="Очередь", answered_at=database.clock() - timedelta(hours=1)))
    assert [tuple(row) for row in await rows(STORED)] == [("r-1", ["waiting"], [], None), ("r-2", [], [], None)]


async def test_a_response_shows_its_themes(client: httpx.AsyncClient, an_answer: AnAnswer, deliver: Deliver) -> None:
    await deliver(an_answer("r-1", comment="Очередь. Подаю на вас в суд"))
    body = (await client.get("/v1/responses/r-1")).json()
    assert (body["themes"], body["urgent"]) == (["waiting"], ["legal"])
