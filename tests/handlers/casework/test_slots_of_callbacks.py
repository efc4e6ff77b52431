"""A customer chooses when to be called: only what is free is offered, and two customers never get the same."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import httpx
import pytest

from libs.events.event import Event
from services.casework.domain.names import ResponseId, case_id_of

LogIn = Callable[..., Awaitable[httpx.AsyncClient]]
Make = Callable[..., Event[Any]]
Deliver = Callable[..., Coroutine[None, None, None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
Rows = Callable[..., Awaitable[Sequence[Any]]]
Hire = Callable[..., Awaitable[None]]


class Clock(Protocol):
    now: datetime


MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
pytestmark = pytest.mark.usefixtures("staff")


def path(number: int = 1) -> str:
    return f"/v1/cases/{case_id_of(ResponseId(f'r-{number}'))}"


@pytest.fixture
async def page(log_in: LogIn) -> httpx.AsyncClient:
    """The page behind the customer's link, with its key."""
    return await log_in(None, scopes=["cases:read", "cases:write"])


async def offered(page: httpx.AsyncClient, number: int = 1) -> dict[str, Any]:
    answer = await page.get(f"{path(number)}/slots")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def choose(page: httpx.AsyncClient, at: str, number: int = 1) -> httpx.Response:
    return await page.post(f"{path(number)}/slots", json={"at": at})


async def test_offered_is_what_suits_customer_and_owner_before_the_first_contact_is_due(
    page: httpx.AsyncClient, deliver: Deliver, profile: Make, scored: Make, hire: Hire, clock: Clock
) -> None:
    # Five hours ahead of UTC: called from 9 to 20 there is from 4 to 15 here.
    await deliver(profile(time_zone="Asia/Yekaterinburg"), scored("r-1"))
    found = await offered(page)
    assert (found["zone"], found["is_running"], found["callback"]) == ("Asia/Yekaterinburg", True, None)
    slots = [datetime.fromisoformat(each) for each in found["slots"]]
    assert slots[0] == clock.now + timedelta(hours=1)
    assert all(4 <= each.hour < 15 and each.minute in (0, 30) for each in slots)
    assert max(slots) <= MONDAY + timedelta(hours=48)
    # Away until tomorrow at nine.
    await hire("anna", absent_from=MONDAY, absent_until=MONDAY + timedelta(days=1))
    slots = [datetime.fromisoformat(each) for each in (await offered(page))["slots"]]
    assert slots[0] == MONDAY + timedelta(days=1)


async def test_a_customer_chooses_moves_and_the_case_tells_it(
    page: httpx.AsyncClient,
    anna: httpx.AsyncClient,
    deliver: Deliver,
    profile: Make,
    scored: Make,
    published: Published,
) -> None:
    await deliver(profile(), scored("r-1"))
    first, second = (await offered(page))["slots"][:2]
    assert (await choose(page, first)).status_code == 200
    assert (await choose(page, first)).status_code == 200
    found = await offered(page)
    assert datetime.fromisoformat(found["callback"]["at"]) == datetime.fromisoformat(first)
    assert first in found["slots"]
    assert (await choose(page, second)).status_code == 200
    told = [event for _, event in await published() if "callback" in event.type]
    assert [event.type for event in told] == ["case.callback.agreed.v1", "case.callback.moved.v1"]
    assert (told[1].payload.moves, told[1].payload.reason) == (1, "customer_asked")
    (callback,) = (await anna.get(path())).json()["callbacks"]
    assert (callback["agreed_by"], callback["moves"]) == ("c-1", 1)
    assert (await choose(page, "2026-01-05T03:00:00Z")).json()["type"] == "urn:otklik:problem:case-slot-taken"


async def test_of_customers_who_choose_the_same_at_once_one_gets_it_and_nobody_is_booked_twice(
    page: httpx.AsyncClient, deliver: Deliver, profile: Make, scored: Make, hire: Hire, rows: Rows
) -> None:
    await hire("boris", role="manager", disabled=True)
    amount = 12
    for number in range(1, amount + 1):
        await deliver(profile(f"c-{number}"), scored(f"r-{number}", customer_id=f"c-{number}"))
    slots = (await offered(page))["slots"][:4]
    # Everybody wants the same, then everybody who got nothing wants the next one.
    waiting = list(range(1, amount + 1))
    for slot in slots:
        answers = await asyncio.gather(*(choose(page, slot, number) for number in waiting))
        assert sorted(each.status_code for each in answers) == [200] + [409] * (len(waiting) - 1)
        waiting = [number for number, each in zip(waiting, answers, strict=True) if each.status_code == 409]
    booked = await rows(
        "SELECT cases.owner_id, callbacks.at FROM callbacks JOIN cases ON cases.id = case_id WHERE state = 'agreed'"
    )
    assert len({(row.owner_id, row.at) for row in booked}) == len(booked) == len(slots)
    # Two who exchange their times at once: whatever comes of it, nobody is booked twice.
    taken = [number for number in range(1, amount + 1) if number not in waiting]
    await asyncio.gather(*(choose(page, slots[-1 - place], number) for place, number in enumerate(taken)))
    booked = await rows(
        "SELECT cases.owner_id, callbacks.at FROM callbacks JOIN cases ON cases.id = case_id WHERE state = 'agreed'"
    )
    assert len({(row.owner_id, row.at) for row in booked}) == len(booked) == len(slots)


async def test_what_is_agreed_by_hand_is_not_offered_to_others_and_is_free_again_when_it_is_cancelled(
    page: httpx.AsyncClient, anna: httpx.AsyncClient, deliver: Deliver, profile: Make, scored: Make
) -> None:
    await deliver(profile(), scored("r-1"), profile("c-2"), scored("r-2", customer_id="c-2"))
    slots = (await offered(page))["slots"]
    # From a quarter past, so that it touches two half hours.
    at = datetime.fromisoformat(slots[2]) + timedelta(minutes=15)
    assert (await anna.post(f"{path(2)}/callbacks", json={"at": at.isoformat()})).status_code == 201
    left = (await offered(page))["slots"]
    assert set(slots) - set(left) == {slots[2], slots[3]}
    (callback,) = (await anna.get(path(2))).json()["callbacks"]
    body = {"reason": "no_longer_needed"}
    assert (await anna.post(f"{path(2)}/callbacks/{callback['id']}/cancel", json=body)).status_code == 200
    assert (await offered(page))["slots"] == slots


async def test_with_another_owner_a_callback_takes_the_new_ones_time(
    page: httpx.AsyncClient,
    anna: httpx.AsyncClient,
    deliver: Deliver,
    profile: Make,
    scored: Make,
    hire: Hire,
    rows: Rows,
) -> None:
    await deliver(profile(), scored("r-1"))
    first = (await offered(page))["slots"][0]
    assert (await choose(page, first)).status_code == 200
    await hire("clara")
    assert (await anna.post(f"{path()}/assign", json={"owner_id": "clara"})).status_code == 200
    assert [row.agent_id for row in await rows("SELECT agent_id FROM callback_cells")] == ["clara"]


async def test_of_a_case_that_is_closed_nothing_is_offered(
    page: httpx.AsyncClient, anna: httpx.AsyncClient, deliver: Deliver, profile: Make, scored: Make
) -> None:
    await deliver(profile(), scored("r-1"))
    first = (await offered(page))["slots"][0]
    await anna.post(f"{path()}/contact-attempts", json={"outcome": "reached"})
    await anna.post(f"{path()}/resolve", json={"root_cause_id": "service"})
    found = await offered(page)
    assert (found["is_running"], found["slots"]) == (False, [])
    assert (await choose(page, first)).status_code == 409
    assert (await page.get("/v1/cases/00000000-0000-0000-0000-000000000000/slots")).status_code == 404
