"""Waiting for the customer and the levels' own clocks, from the request to the row and the event."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import httpx
import pytest

from libs.events.contracts.cases import CaseClockWarned, CaseResumed, CaseWaiting
from libs.events.database import Database
from libs.events.event import Event
from services.casework.domain.names import ResponseId, case_id_of
from services.casework.jobs import Clocks

LogIn = Callable[..., Awaitable[httpx.AsyncClient]]
Make = Callable[..., Event[Any]]
Deliver = Callable[..., Awaitable[None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
Rows = Callable[..., Awaitable[Sequence[Any]]]


class Clock(Protocol):
    now: datetime


MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
CASE = case_id_of(ResponseId("r-1"))
PATH = f"/v1/cases/{CASE}"

pytestmark = pytest.mark.usefixtures("staff")


@pytest.fixture
def tick(database: Database, clock: Clock) -> Callable[[timedelta], Coroutine[None, None, None]]:
    async def run(after: timedelta) -> None:
        clock.now = MONDAY + after
        while await Clocks(database, batch=100).step():
            pass

    return run


def at(hours: float) -> str:
    return (MONDAY + timedelta(hours=hours)).isoformat().replace("+00:00", "Z")


async def kinds(client: httpx.AsyncClient) -> list[str]:
    return [entry["kind"] for entry in (await client.get(PATH)).json()["timeline"]]


async def test_a_case_waits_for_its_customer_and_goes_on_by_an_answer_by_hand_and_by_the_limit(
    scored: Make,
    deliver: Deliver,
    published: Published,
    anna: httpx.AsyncClient,
    clock: Clock,
    tick: Callable[[timedelta], Coroutine[None, None, None]],
) -> None:
    await deliver(scored("r-1"))
    early = await anna.post(f"{PATH}/wait", json={"reason": "customer_trying", "until": at(48)})
    assert (early.status_code, early.json()["type"]) == (409, "urn:otklik:problem:case-not-contacted")
    await anna.post(f"{PATH}/contact-attempts", json={"outcome": "reached"})

    body = {"reason": "customer_information", "until": at(51), "note": "Пришлёт фото"}
    waiting = await anna.post(f"{PATH}/wait", json=body)
    assert (waiting.status_code, waiting.json()["next_due_at"]) == (200, at(51))
    assert waiting.json()["waiting"] == {"since": at(1), "until": at(51), "reason": "customer_information"}
    assert (await anna.post(f"{PATH}/wait", json=body)).json()["type"].endswith("case-already-waiting")
    listed = (await anna.get("/v1/cases")).json()["items"]
    assert [case["waiting"]["until"] for case in listed] == [at(51)]

    clock.now = MONDAY + timedelta(hours=11)
    await deliver(scored("r-2", score=8))
    case = (await anna.get(PATH)).json()
    assert (case["waiting"], case["resolution_due_at"]) == (None, at(250))
    assert (await anna.post(f"{PATH}/resume", json={})).json()["type"].endswith("case-not-waiting")

    # What was waited counts: of fourteen days ten hours are gone.
    too_long = await anna.post(f"{PATH}/wait", json={"reason": "other", "until": at(11 + 14 * 24)})
    assert (too_long.status_code, too_long.json()["type"]) == (409, "urn:otklik:problem:case-wait-too-long")
    assert too_long.json()["latest"].replace("+00:00", "Z") == at(11 + 14 * 24 - 10)
    await anna.post(f"{PATH}/wait", json={"reason": "customer_away", "until": at(31)})
    clock.now = MONDAY + timedelta(hours=16)
    by_hand = await anna.post(f"{PATH}/resume", json={"note": "Вернулась раньше"})
    assert by_hand.json()["resolution_due_at"] == at(255)

    await anna.post(f"{PATH}/wait", json={"reason": "customer_away", "until": at(36)})
    await tick(timedelta(hours=40))
    case = (await anna.get(PATH)).json()
    assert (case["waiting"], case["resolution_due_at"], case["version"]) == (None, at(275), 10)
    told = [event.payload for _, event in await published() if isinstance(event.payload, CaseWaiting | CaseResumed)]
    assert [getattr(each, "reason", None) for each in told] == [
        "customer_information",
        "customer_answered",
        "customer_away",
        "by_hand",
        "customer_away",
        "limit",
    ]
    assert [entry["actor"]["kind"] for entry in case["timeline"] if entry["kind"] == "resumed"] == [
        "customer",
        "person",
        "clock",
    ]


async def test_a_manager_who_acts_stops_the_clock_of_the_level_and_an_agent_does_not(
    scored: Make,
    deliver: Deliver,
    published: Published,
    anna: httpx.AsyncClient,
    log_in: LogIn,
    tick: Callable[[timedelta], Coroutine[None, None, None]],
) -> None:
    boris = await log_in("boris", "manager")
    await deliver(scored("r-1"))
    climbed = (await anna.post(f"{PATH}/escalate", json={"reason": "no_authority"})).json()
    assert (climbed["escalated_at"], climbed["escalation_due_at"]) == (at(1), at(25))
    assert (await anna.post(f"{PATH}/notes", json={"text": "Жду"})).json()["escalation_due_at"] == at(25)
    await tick(timedelta(hours=19))
    (warned,) = [event.payload for _, event in await published() if isinstance(event.payload, CaseClockWarned)]
    assert (warned.clock, None if warned.responsible is None else warned.responsible.name) == ("escalation", "Boris")
    # Nothing is done where the case is given to who has it: that answers nothing.
    assert (await boris.post(f"{PATH}/assign", json={"owner_id": "anna"})).json()["escalation_due_at"] == at(25)
    acted = (await boris.post(f"{PATH}/notes", json={"text": "Верните деньги"})).json()
    assert (acted["escalated_at"], acted["escalation_due_at"], acted["level"]) == (None, None, "management")
    await tick(timedelta(hours=30))
    assert (await kinds(anna))[-1] == "noted"


async def test_a_level_that_keeps_silent_is_passed_over(
    scored: Make, deliver: Deliver, anna: httpx.AsyncClient, tick: Callable[[timedelta], Coroutine[None, None, None]]
) -> None:
    await deliver(scored("r-1"))
    await anna.post(f"{PATH}/contact-attempts", json={"outcome": "reached"})
    await anna.post(f"{PATH}/escalate", json={"reason": "no_authority"})
    for hours in (25, 73, 121, 169):
        await tick(timedelta(hours=hours))
    case = (await anna.get(PATH)).json()
    assert (case["level"], case["responsible_id"], case["escalation_breached"]) == ("executive", "vera", True)
    assert (await kinds(anna))[-5:] == [
        "clock_breached",
        "escalated",
        "clock_breached",
        "clock_reminded",
        "clock_reminded",
    ]


async def test_an_answer_that_arrives_too_late_asks_management_at_once(
    scored: Make, deliver: Deliver, anna: httpx.AsyncClient, clock: Clock, rows: Rows
) -> None:
    clock.now = MONDAY + timedelta(hours=60)
    await deliver(scored("r-1"))
    case = (await anna.get(PATH)).json()
    assert (case["first_contact_breached"], case["level"], case["escalation_due_at"]) == (True, "management", at(84))
    assert await kinds(anna) == ["opened", "assigned", "clock_breached", "escalated"]
    (row,) = await rows("SELECT fires_at FROM cases")
    assert row.fires_at == MONDAY + timedelta(hours=60 + 18)
