"""Naming those who close loops exceptionally well: proposed once a month, decided by others, told if they like."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import text

from libs.events.database import Database
from libs.events.event import Event
from services.casework.recognition_jobs import Recognitions

LogIn = Callable[..., Awaitable[httpx.AsyncClient]]
MOSCOW = ZoneInfo("Europe/Moscow")
FEBRUARY = datetime(2026, 2, 10, 9, tzinfo=UTC)
_CLOSED = text("""
    UPDATE cases
       SET status = 'closed', outcome = CASE WHEN opening_response_id < :well THEN 'confirmed' ELSE 'unconfirmed' END,
           owner_id = :owner, round = 1, closed_at = :at, fires_at = NULL, confirm_by = NULL,
           first_contacted_at = answered_at + interval '3 hours'
     WHERE opening_response_id LIKE :prefix
""")


class Clock(Protocol):
    now: datetime


@pytest.fixture
def closed(
    staff: None,  # noqa: ARG001 - somebody who can own them
    database: Database,
    deliver: Callable[..., Awaitable[None]],
    scored: Callable[..., Event[Any]],
) -> Callable[..., Awaitable[None]]:
    """So many cases of somebody, the first `well` of them confirmed."""

    async def close(owner: str, cases: int, well: int, at: datetime = FEBRUARY) -> None:
        names = [f"{owner}-{number:03}" for number in range(cases)]
        await deliver(*(scored(name, customer_id=f"c-{name}", score=4) for name in names))
        async with database.transaction() as tx:
            parameters = {"owner": owner, "at": at, "prefix": f"{owner}-%", "well": f"{owner}-{well:03}"}
            assert await tx.execute(_CLOSED, parameters) == cases

    return close


async def test_a_month_is_looked_at_once_and_a_manager_names_whom_the_rule_proposes(
    closed: Callable[..., Awaitable[None]],
    database: Database,
    log_in: LogIn,
    clock: Clock,
    rows: Callable[..., Awaitable[Sequence[Any]]],
) -> None:
    await closed("anna", 20, 20)
    await closed("boris", 30, 15)
    clock.now = datetime(2026, 2, 28, 20, 30, tzinfo=UTC)  # an hour before March in Moscow
    loop = Recognitions(database, where=MOSCOW)
    await loop.step()
    assert [str(row.month) for row in await rows("SELECT month FROM recognition_months")] == ["2026-01-01"]
    clock.now = datetime(2026, 3, 1, 6, tzinfo=UTC)
    await asyncio.gather(*(Recognitions(database, where=MOSCOW).step() for _ in range(4)))
    await loop.step()

    boris, anna = await log_in("boris", "manager"), await log_in("anna", "agent")
    found = (await boris.get("/v1/recognitions")).json()
    assert found["month"] == "2026-02-01"
    [proposal] = found["items"]
    assert (proposal["agent_id"], proposal["cases"], proposal["well"], proposal["share"]) == ("anna", 20, 20, 1.0)
    assert proposal["low"] > proposal["expected"] == 0.5
    assert (await anna.get("/v1/recognitions")).status_code == 403
    assert (await boris.get("/v1/recognitions?month=2026-01")).json()["items"] == []

    path = f"/v1/recognitions/{proposal['id']}"
    as_manager = await log_in("anna", "manager")
    own = await as_manager.post(f"{path}/approve", json={})
    assert (own.status_code, own.json()["type"]) == (409, "urn:otklik:problem:recognition-own")
    told = f"/v1/recognitions/told?from={clock.now.isoformat()}&to=2026-03-09T00:00:00Z".replace("+00:00", "Z")
    assert (await anna.get(told)).json() == []
    approved = await boris.post(f"{path}/approve", json={}, headers={"If-Match": '"1"'})
    assert approved.status_code == 200, approved.text
    assert approved.json()["decided_by_name"] == "Boris"
    [named] = (await anna.get(told)).json()
    assert (named["name"], named["well"], named["cases"]) == ("Anna", 20, 20)
    again = await boris.post(f"{path}/decline", json={"reason": "second thoughts"})
    assert again.json()["type"] == "urn:otklik:problem:recognition-decided"

    # Afterwards one may still say no, and is named nowhere any more.
    assert (await anna.put("/v1/recognitions/choice", json={"wanted": False})).json() == {"wanted": False}
    assert (await anna.get(told)).json() == []
    assert (await anna.put("/v1/recognitions/choice", json={"wanted": True})).status_code == 200
    assert len((await anna.get(told)).json()) == 1


async def test_who_said_no_beforehand_is_not_even_proposed_and_meanwhile_cannot_be_approved(
    closed: Callable[..., Awaitable[None]],
    database: Database,
    log_in: LogIn,
    clock: Clock,
    rows: Callable[..., Awaitable[Sequence[Any]]],
) -> None:
    anna, vera, boris = (
        await log_in("anna", "agent"),
        await log_in("vera", "executive"),
        await log_in("boris", "manager"),
    )
    await closed("anna", 20, 20)
    await closed("vera", 20, 20)
    await closed("boris", 60, 10)
    assert (await anna.put("/v1/recognitions/choice", json={"wanted": False})).status_code == 200
    assert (await anna.get("/v1/recognitions/choice")).json() == {"wanted": False}
    clock.now = FEBRUARY + timedelta(days=20)
    await Recognitions(database, where=MOSCOW).step()
    [proposal] = (await boris.get("/v1/recognitions")).json()["items"]
    assert proposal["agent_id"] == "vera"
    await vera.put("/v1/recognitions/choice", json={"wanted": False})
    refused = await boris.post(f"/v1/recognitions/{proposal['id']}/approve", json={})
    assert refused.json()["type"] == "urn:otklik:problem:recognition-opted-out"
    declined = await boris.post(f"/v1/recognitions/{proposal['id']}/decline", json={"reason": "does not want it"})
    assert (declined.json()["status"], declined.json()["reason"]) == ("declined", "does not want it")
    assert [row.status for row in await rows("SELECT status FROM recognitions")] == ["declined"]
    stranger = await log_in("stranger", "employee")
    assert (await stranger.get("/v1/recognitions/choice")).status_code == 404


async def test_what_departments_did_and_what_lies_before_each_person_is_told(
    closed: Callable[..., Awaitable[None]],
    hire: Callable[..., Awaitable[None]],
    database: Database,
    log_in: LogIn,
    clock: Clock,
    deliver: Callable[..., Awaitable[None]],
    scored: Callable[..., Event[Any]],
) -> None:
    boris, anna = await log_in("boris", "manager"), await log_in("anna", "agent")
    made = await boris.put("/v1/departments/claims", json={"name": "Claims", "manager_id": "boris"})
    assert made.status_code == 201, made.text
    await hire("anna", department_id="claims")
    await closed("anna", 3, 3)
    await deliver(scored("open-1", customer_id="c-open", score=2))
    async with database.transaction() as tx:
        await tx.execute(text("UPDATE cases SET owner_id = 'anna' WHERE opening_response_id = 'open-1'"))
    body = {
        "title": "Call back",
        "problem": "They wait",
        "root_causes": ["service"],
        "department_id": "claims",
        "owner_id": "boris",
    }
    proposed = (await boris.post("/v1/initiatives", json=body)).json()
    vera = await log_in("vera", "executive")
    path = f"/v1/initiatives/{proposed['id']}"
    assert (await vera.post(f"{path}/approve", json={"due_on": "2026-01-20"})).status_code == 200
    clock.now = datetime(2026, 2, 12, tzinfo=UTC)
    asked = "?from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z"
    deeds = (await anna.get(f"/v1/measures/deeds{asked}")).json()
    assert deeds["departments"] == [{"id": "claims", "name": "Claims", "tasks_done": 0, "cases_closed": 3}]
    assert [(each["title"], each["stage"]) for each in deeds["initiatives"]] == [("Call back", "approved")]
    [late] = deeds["owed"]
    assert (late["title"], late["is_overdue"], late["owner_name"]) == ("Call back", True, "Boris")

    assert (await anna.get("/v1/measures/work")).status_code == 403
    first = (await boris.get("/v1/measures/work?limit=2")).json()
    rest = (await boris.get(f"/v1/measures/work?limit=2&cursor={first['next_cursor']}")).json()
    everybody = {each["id"]: each for each in first["items"] + rest["items"]}
    assert list(everybody) == ["anna", "boris", "vera"]
    assert (everybody["anna"]["cases"], everybody["anna"]["cases_overdue"]) == (1, 1)
    assert everybody["boris"]["manages"] == ["claims"]
