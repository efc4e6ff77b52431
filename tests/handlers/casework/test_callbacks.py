"""Callbacks: what is agreed with a customer is kept, moved, or missed aloud; and when to try next where nothing is."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import httpx
import pytest
from prometheus_client import REGISTRY

from libs.events.database import Database
from libs.events.event import Event
from services.casework.contact_jobs import CallbackClocks
from services.casework.domain.names import ResponseId, case_id_of
from services.casework.jobs import Watchdog
from services.casework.store import checking

LogIn = Callable[..., Awaitable[httpx.AsyncClient]]
Make = Callable[..., Event[Any]]
Deliver = Callable[..., Coroutine[None, None, None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
Rows = Callable[..., Awaitable[Sequence[Any]]]


class Clock(Protocol):
    now: datetime


MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
CASE = f"/v1/cases/{case_id_of(ResponseId('r-1'))}"
AGREED = MONDAY + timedelta(hours=6)

pytestmark = pytest.mark.usefixtures("staff")


@pytest.fixture
async def case(staff: None, deliver: Deliver, profile: Make, scored: Make) -> None:  # noqa: ARG001 - who owns it
    await deliver(profile(time_zone="Asia/Yekaterinburg"), scored("r-1"))


@pytest.fixture
def clocks(database: Database) -> CallbackClocks:
    return CallbackClocks(database, batch=10)


async def agree(anna: httpx.AsyncClient, at: datetime = AGREED, **headers: str) -> httpx.Response:
    return await anna.post(f"{CASE}/callbacks", json={"at": at.isoformat()}, headers=headers)


async def told(published: Published) -> list[str]:
    return [event.type for _, event in await published() if "callback" in event.type or "escalated" in event.type]


@pytest.mark.usefixtures("case")
async def test_a_callback_is_agreed_once_moved_and_kept_by_the_call(
    anna: httpx.AsyncClient, published: Published, clock: Clock
) -> None:
    asked = {"outcome": "call_later", "callback_at": AGREED.isoformat()}
    assert (await anna.post(f"{CASE}/contact-attempts", json=asked)).status_code == 201
    assert (await agree(anna)).json()["type"] == "urn:otklik:problem:case-callback-agreed"
    (callback,) = (await anna.get(CASE)).json()["callbacks"]
    assert (callback["state"], callback["at"], callback["agreed_by"]) == ("agreed", "2026-01-05T15:00:00Z", "anna")
    later = AGREED + timedelta(hours=2)
    body = {"at": later.isoformat(), "reason": "customer_asked"}
    moved = await anna.post(f"{CASE}/callbacks/{callback['id']}/move", json=body)
    assert moved.status_code == 200
    # Too early to be the call that was agreed.
    clock.now = later - timedelta(hours=1)
    assert (await anna.post(f"{CASE}/contact-attempts", json={"outcome": "no_answer"})).status_code == 201
    assert (await anna.get(CASE)).json()["callbacks"][0]["state"] == "agreed"
    # Who resolves keeps the promise first.
    clock.now = later - timedelta(minutes=31)
    assert (await anna.post(f"{CASE}/contact-attempts", json={"outcome": "reached"})).status_code == 201
    resolve = await anna.post(f"{CASE}/resolve", json={"root_cause_id": "service"})
    assert (resolve.status_code, resolve.json()["type"]) == (409, "urn:otklik:problem:case-callback-agreed")
    clock.now = later
    assert (await anna.post(f"{CASE}/contact-attempts", json={"outcome": "reached"})).status_code == 201
    (callback,) = (await anna.get(CASE)).json()["callbacks"]
    assert (callback["state"], callback["moves"], callback["outcome"]) == ("kept", 1, "reached")
    assert (await anna.post(f"{CASE}/resolve", json={"root_cause_id": "service"})).status_code == 200
    assert await told(published) == ["case.callback.agreed.v1", "case.callback.moved.v1", "case.callback.kept.v1"]
    again = await anna.post(f"{CASE}/callbacks/{callback['id']}/move", json=body)
    assert again.json()["type"] == "urn:otklik:problem:case-callback-settled"


@pytest.mark.usefixtures("case")
async def test_a_missed_callback_is_told_once_and_climbs_unless_somebody_makes_up_for_it(
    anna: httpx.AsyncClient, published: Published, clock: Clock, clocks: CallbackClocks, database: Database
) -> None:
    await agree(anna)
    clock.now = AGREED + timedelta(minutes=14)
    await clocks.step()
    assert await told(published) == ["case.callback.agreed.v1"]
    clock.now = AGREED + timedelta(minutes=20)
    async with database.reading() as tx:
        assert (await checking.read(tx)).late == timedelta(minutes=5)
    await Watchdog(database).step()
    assert REGISTRY.get_sample_value("casework_oldest_overdue_callback_seconds") == 300
    await asyncio.gather(clocks.step(), CallbackClocks(database, batch=10).step())
    await clocks.step()
    assert await told(published) == ["case.callback.agreed.v1", "case.callback.missed.v1"]
    clock.now = AGREED + timedelta(hours=3)
    await clocks.step()
    await clocks.step()
    assert (await told(published))[2:] == ["case.escalated.v1"]
    case = (await anna.get(CASE)).json()
    assert (case["level"], case["responsible_id"], case["callbacks"][0]["state"]) == ("management", "boris", "missed")

    assert (await agree(anna, clock.now + timedelta(hours=1))).status_code == 201
    clock.now += timedelta(hours=2)
    await clocks.step()
    late = await anna.post(f"{CASE}/contact-attempts", json={"outcome": "no_answer"})
    assert late.status_code == 201
    clock.now += timedelta(days=1)
    await clocks.step()
    assert (await told(published))[3:] == [
        "case.callback.agreed.v1",
        "case.callback.missed.v1",
        "case.callback.kept.v1",
    ]
    assert [event.payload.late for _, event in await published() if event.type == "case.callback.kept.v1"] == [True]


@pytest.mark.usefixtures("case")
async def test_a_callback_lies_ahead_and_is_cancelled_with_a_reason_by_us_or_by_an_erasure(
    anna: httpx.AsyncClient, published: Published, erased: Make, deliver: Deliver, rows: Rows, clock: Clock
) -> None:
    past = await agree(anna, clock.now)
    assert (past.status_code, past.json()["type"]) == (409, "urn:otklik:problem:case-callback-time")
    await agree(anna)
    (callback,) = (await anna.get(CASE)).json()["callbacks"]
    path = f"{CASE}/callbacks/{callback['id']}/cancel"
    assert (await anna.post(path, json={"reason": "no_longer_needed"})).status_code == 200
    assert (await anna.post(path, json={"reason": "other"})).status_code == 409
    nobody = f"{CASE}/callbacks/{case_id_of(ResponseId('x'))}/cancel"
    assert (await anna.post(nobody, json={"reason": "other"})).status_code == 404
    await agree(anna)
    await deliver(erased("c-1"))
    told_of = [event.payload.reason for _, event in await published() if event.type == "case.callback.cancelled.v1"]
    assert told_of == ["no_longer_needed", "customer_erased"]
    assert await rows("SELECT * FROM callbacks WHERE fires_at IS NOT NULL") == []
    (customer,) = await rows("SELECT time_zone, channels FROM customers")
    assert tuple(customer) == (None, None)


@pytest.mark.usefixtures("case")
async def test_nothing_climbs_for_a_customer_who_was_forgotten_after_a_missed_call(
    anna: httpx.AsyncClient, published: Published, erased: Make, deliver: Deliver, clock: Clock, clocks: CallbackClocks
) -> None:
    await agree(anna)
    clock.now = AGREED + timedelta(hours=1)
    await clocks.step()
    await deliver(erased("c-1", at=clock.now))
    clock.now += timedelta(days=1)
    await clocks.step()
    assert await told(published) == ["case.callback.agreed.v1", "case.callback.missed.v1"]


@pytest.mark.usefixtures("case")
async def test_two_agents_who_agree_at_once_make_one_promise(anna: httpx.AsyncClient, log_in: LogIn) -> None:
    boris = await log_in("boris", "manager")
    answers = await asyncio.gather(agree(anna), agree(boris, AGREED + timedelta(hours=1)))
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert len((await anna.get(CASE)).json()["callbacks"]) == 1


@pytest.mark.usefixtures("case")
async def test_a_persons_day_is_a_list_of_callbacks(
    anna: httpx.AsyncClient, deliver: Deliver, scored: Make, clock: Clock
) -> None:
    await deliver(scored("r-2", customer_id="c-2"))
    await agree(anna)
    other = f"/v1/cases/{case_id_of(ResponseId('r-2'))}/callbacks"
    first = clock.now + timedelta(minutes=5)
    assert (await anna.post(other, json={"at": first.isoformat()})).status_code == 201
    listed: list[dict[str, Any]] = []
    cursor = None
    while True:
        params = {"owner": "anna", "state": "agreed", "limit": "1"} | ({"cursor": cursor} if cursor else {})
        page = (await anna.get("/v1/callbacks", params=params)).json()
        listed += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [(each["customer_id"], each["customer_name"]) for each in listed] == [
        ("c-2", None),
        ("c-1", "Ольга Смирнова"),
    ]
    assert listed[1]["time_zone"] == "Asia/Yekaterinburg"
    assert (await anna.get("/v1/callbacks", params={"owner": "boris"})).json()["items"] == []


@pytest.mark.usefixtures("case")
async def test_the_next_attempt_is_at_another_time_of_the_customers_day_and_says_why(
    anna: httpx.AsyncClient, clock: Clock
) -> None:
    async def suggested() -> dict[str, Any]:
        found: dict[str, Any] = (await anna.get(f"{CASE}/next-attempt")).json()
        found["codes"] = [reason["code"] for reason in found.pop("reasons")]
        return found

    # Ten in the morning in London is three in the afternoon in Yekaterinburg.
    first = await suggested()
    assert (first["local_time"], first["zone"], first["channel"]) == ("2026-01-05T15:00", "Asia/Yekaterinburg", "phone")
    assert first["codes"] == ["first_attempt", "calling_hours"]
    await anna.post(f"{CASE}/contact-attempts", json={"outcome": "no_answer"})
    second = await suggested()
    assert (second["local_time"], second["channel"]) == ("2026-01-05T18:00", "phone")
    assert second["codes"] == ["left_in_peace", "another_part_of_day", "calling_hours"]
    clock.now += timedelta(hours=3)
    await anna.post(f"{CASE}/contact-attempts", json={"outcome": "busy"})
    third = await suggested()
    assert third["local_time"] == "2026-01-06T09:00"
    assert "another_day" in third["codes"]
    await anna.post(f"{CASE}/contact-attempts", json={"outcome": "wrong_number"})
    assert ((await suggested())["channel"], "wrong_number" in (await suggested())["codes"]) == ("email", True)
    await agree(anna, clock.now + timedelta(days=1))
    assert (await suggested())["codes"] == ["callback_agreed"]


async def test_the_company_edits_when_customers_may_be_called(log_in: LogIn, anna: httpx.AsyncClient) -> None:
    admin = await log_in("root", "administrator")
    rules = (await admin.get("/v1/contact-rules")).json()
    assert rules["week"]["saturday"] == [{"start": "10:00", "end": "17:00"}]
    body = {name: value for name, value in rules.items() if name != "version"}
    headers = {"If-Match": '"1"'}
    never = await admin.put("/v1/contact-rules", json=body | {"week": {}}, headers=headers)
    assert never.status_code == 422
    assert (await anna.put("/v1/contact-rules", json=body, headers=headers)).status_code == 403
    changed = await admin.put("/v1/contact-rules", json=body | {"grace_minutes": 5}, headers=headers)
    assert (changed.status_code, changed.json()["grace_minutes"], changed.headers["etag"]) == (200, 5, '"2"')
    assert (await admin.put("/v1/contact-rules", json=body, headers=headers)).status_code == 412
