"""Detractors are announced with whom to call first, and why."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import httpx

from libs.events.contracts.responses import ResponseWithdrawn
from libs.events.database import Database
from libs.events.event import Event, EventId

AnAnswer = Callable[..., Event[Any]]
Deliver = Callable[..., Coroutine[None, None, None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
CES_2008 = {"metric": "ces", "scale_min": 1, "scale_max": 5, "higher_is_worse": True}


def told(event: Event[Any]) -> dict[str, tuple[int, str]]:
    return {part.factor: (part.points, part.fact) for part in event.payload.priority_parts}


async def scores(published: Published) -> dict[str, Event[Any]]:
    found = [event for _, event in await published() if event.type.startswith("survey.response.")]
    return {f"{event.payload.response_id}/{event.payload.revision}": event for event in found}


async def test_a_detractor_is_told_whom_to_call_first_and_others_are_not(
    database: Database,
    an_answer: AnAnswer,
    deliver: Deliver,
    published: Published,
    client: httpx.AsyncClient,
    a_customer: Callable[..., dict[str, Any]],
) -> None:
    await client.put("/v1/customers/c-1", json=a_customer())
    now = database.clock()
    await deliver(
        an_answer("r-1", score=2, answered_at=now - timedelta(hours=25)),
        an_answer("r-2", score=9, answered_at=now),
        an_answer("r-3", score=None, answered_at=now),
        an_answer("r-4", score=0, answered_at=now, customer_id=None),
    )
    found = await scores(published)
    assert told(found["r-1/1"]) == {"tier": (30, "key"), "score": (13, "2"), "age": (5, "25")}
    assert found["r-1/1"].payload.priority == 48
    assert [found[each].payload.priority for each in ("r-2/1", "r-3/1")] == [None, None]
    assert told(found["r-4/1"]) == {"tier": (10, "standard"), "score": (20, "0")}


async def test_what_the_customer_went_through_before_counts(
    database: Database, an_answer: AnAnswer, deliver: Deliver, published: Published
) -> None:
    now = database.clock()
    await deliver(
        an_answer("r-1", score=3, answered_at=now - timedelta(days=20)),
        an_answer("r-2", score=1, answered_at=now - timedelta(days=210)),
        an_answer("r-3", score=10, answered_at=now - timedelta(days=2)),
        an_answer("r-4", score=5, answered_at=now - timedelta(days=2), asked=CES_2008),
        an_answer("r-5", score=1, answered_at=now - timedelta(days=30), asked=CES_2008),
        an_answer("r-6", score=0, answered_at=now - timedelta(days=1), customer_id="c-2"),
    )
    await deliver(an_answer("r-7", score=6, answered_at=now))
    await deliver(an_answer("r-7", 2, score=6, answered_at=now, comment="И снова"))
    found = await scores(published)
    # One of the two earlier detractions is too long ago; the latest effort is 5 of 1 to 5, where 5 is very much.
    expected = {"tier": (10, "standard"), "effort": (10, "100"), "history": (6, "1")}
    assert told(found["r-7/1"]) == told(found["r-7/2"]) == expected
    assert "history" not in told(found["r-1/1"])


async def test_there_is_one_look_up_for_a_batch_and_none_without_detractors(
    an_answer: AnAnswer, deliver: Deliver, statements: Callable[[], AbstractContextManager[list[str]]]
) -> None:
    def looked_up(seen: Sequence[str]) -> int:
        return sum("CROSS JOIN LATERAL" in each for each in seen)

    with statements() as seen:
        await deliver(*(an_answer(f"r-{n}", score=2, customer_id=f"c-{n}") for n in range(30)))
    assert looked_up(seen) == 1
    with statements() as seen:
        await deliver(*(an_answer(f"h-{n}", score=9, customer_id=f"c-{n}") for n in range(30)))
    assert looked_up(seen) == 0


async def test_a_withdrawn_answer_has_no_priority(an_answer: AnAnswer, deliver: Deliver, published: Published) -> None:
    await deliver(an_answer(score=2))
    withdrawal = ResponseWithdrawn(
        response_id="r-1",
        revision=2,
        source="typeform",
        vendor_response_id="vendor-r-1",
        program="retail",
        withdrawn_at=MONDAY,
        received_at=MONDAY,
    )
    id_ = EventId(uuid5(NAMESPACE_URL, "r-1/2/withdrawn"))
    await deliver(Event.root(id_, withdrawal, subject="r-1", time=MONDAY, source="/ingest", traceparent="00-a-b-01"))
    payload = (await scores(published))["r-1/2"].payload
    assert (payload.priority, payload.priority_parts) == (None, ())
