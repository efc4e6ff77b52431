"""What moves the NPS: asked for over HTTP, computed by a process of its own, and kept."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from libs.events.database import Database
from libs.events.event import Event
from services.scoring import driver_jobs
from services.scoring.driver_jobs import DriverRuns, ask_nightly

AnAnswer = Callable[..., Event[Any]]
Deliver = Callable[..., Coroutine[None, None, None]]
Rows = Callable[..., Awaitable[Sequence[Any]]]

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
ASKED = {
    "program": "retail",
    "kind": "transactional",
    "from": "2026-01-01T00:00:00Z",
    "to": "2026-02-01T00:00:00Z",
}
PUT_OFF = """
    SELECT FROM driver_runs WHERE attempts = 1 AND not_before BETWEEN now() AND now() + interval '5 minutes'
"""
ALMOST_GIVEN_UP = text("UPDATE driver_runs SET attempts = :attempts, not_before = now()")
CES = {"metric": "ces", "scale_min": 1, "scale_max": 7}


@pytest.fixture
def url(database: Database) -> str:
    return database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


@pytest.fixture
def runs(database: Database, url: str) -> DriverRuns:
    return DriverRuns(database, url)


async def finished(client: httpx.AsyncClient, runs: DriverRuns, where: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            await runs.step()
            found: dict[str, Any] = (await client.get(where)).json()
            if found["status"] != "waiting":
                return found
            await asyncio.sleep(0.05)


async def a_month(an_answer: AnAnswer, deliver: Deliver) -> None:
    """In the branch they complain and had much effort; in the app they do not."""
    answers = []
    for n in range(120):
        touchpoint = "branch" if n % 2 else "app"
        score = (2 if n % 10 else 9) if touchpoint == "branch" else (10 if n % 8 else 7)
        customer = f"c-{n % 40}"
        at = MONDAY + timedelta(hours=n)
        answers.append(an_answer(f"r-{n}", score=score, touchpoint=touchpoint, customer_id=customer, answered_at=at))
        effort = 2 if touchpoint == "branch" else 6
        answers.append(
            an_answer(f"e-{n}", score=effort, asked=CES, touchpoint=touchpoint, customer_id=customer, answered_at=at)
        )
    await deliver(*answers)


async def test_what_was_asked_for_is_computed_and_kept_with_its_period(
    client: httpx.AsyncClient,
    runs: DriverRuns,
    an_answer: AnAnswer,
    deliver: Deliver,
    a_customer: Callable[..., dict[str, Any]],
) -> None:
    await a_month(an_answer, deliver)
    for n in range(0, 40, 2):
        await client.put(f"/v1/customers/c-{n + 1}", json=a_customer(current_value=100 + n))
    asked = await client.post("/v1/driver-runs", json=ASKED, headers={"Idempotency-Key": "once"})
    assert (asked.status_code, asked.json()["status"]) == (202, "waiting")
    again = await client.post("/v1/driver-runs", json=ASKED, headers={"Idempotency-Key": "once"})
    assert again.json()["id"] == asked.json()["id"]
    found = await finished(client, runs, asked.headers["location"])
    assert (found["status"], found["n"], found["answers"]) == ("found", 120, 120)
    assert found["from"] == ASKED["from"]
    assert {driver["factor"] for driver in found["drivers"]} == {"touchpoint", "effort"}
    shares = [driver["share"]["value"] for driver in found["drivers"]]
    assert sum(shares) == pytest.approx(found["r_squared"]["value"], abs=0.001)
    (touchpoint,) = [driver for driver in found["drivers"] if driver["factor"] == "touchpoint"]
    branch, app = sorted(touchpoint["levels"], key=lambda level: level["nps"]["value"])
    assert (branch["name"], branch["n"], app["name"], app["n"]) == ("branch", 60, "app", 60)
    # Unhappy in the branch were the twenty odd customers, each once, and all their values are known.
    assert branch["at_stake"] == {
        "customers": 20,
        "valued": 20,
        "current_value": sum(100 + n for n in range(0, 40, 2)),
    }
    assert "no cause" in found["meaning"]
    newest = await client.get("/v1/metrics/drivers", params={"program": "retail"})
    assert newest.json() == found
    other = {"program": "retail", "from": "2026-01-02T00:00:00Z"}
    assert (await client.get("/v1/metrics/drivers", params=other)).status_code == 404


async def test_themes_and_regions_are_compared_too(
    database: Database,
    client: httpx.AsyncClient,
    runs: DriverRuns,
    an_answer: AnAnswer,
    deliver: Deliver,
    a_customer: Callable[..., dict[str, Any]],
) -> None:
    for n in range(10):
        region = "north" if n % 2 else "south"
        body = a_customer(current_value=1000, attributes={"region": region})
        await client.put(f"/v1/customers/c-{n}", json=body)
    answers = []
    for n in range(160):
        score = 3 if n % 3 == 0 else 10
        answers.append(an_answer(f"r-{n}", score=score, customer_id=f"c-{n % 10}", comment=None))
    await deliver(*answers)
    async with database.transaction() as tx:
        # What the taxonomy finds in words is tested elsewhere.
        await tx.execute(text("UPDATE responses SET themes = '{queue}' WHERE score = 3"))
    found = await finished(client, runs, (await client.post("/v1/driver-runs", json=ASKED)).headers["location"])
    drivers = {driver["name"] or driver["factor"]: driver for driver in found["drivers"]}
    assert set(drivers) == {"region", "queue"}
    (queue,) = drivers["queue"]["levels"]
    assert (queue["n"], queue["effect"]["value"]) == (54, -200)
    assert queue["at_stake"] == {"customers": 10, "valued": 10, "current_value": 10_000}
    assert {level["name"] for level in drivers["region"]["levels"]} == {"north", "south"}
    assert {level["at_stake"]["customers"] for level in drivers["region"]["levels"]} == {5}


async def test_too_few_answers_are_refused_with_the_number_that_it_takes(
    client: httpx.AsyncClient, runs: DriverRuns, an_answer: AnAnswer, deliver: Deliver
) -> None:
    await deliver(*(an_answer(f"r-{n}", score=n) for n in range(10)))
    asked = await client.post("/v1/driver-runs", json=ASKED)
    found = await finished(client, runs, asked.headers["location"])
    assert (found["status"], found["n"]) == ("refused", 10)
    assert found["refused"] == {"reason": "too_few_answers", "needed": 50}
    assert found["drivers"] == []


@pytest.mark.parametrize("change", [{"to": "2026-01-01T00:00:00Z"}, {"from": "2020-01-01T00:00:00Z"}, {"program": ""}])
async def test_a_period_that_is_none_is_refused(client: httpx.AsyncClient, change: dict[str, str]) -> None:
    assert (await client.post("/v1/driver-runs", json=ASKED | change)).status_code == 422


async def test_a_process_that_fails_is_tried_again_and_then_given_up(
    client: httpx.AsyncClient, database: Database, url: str, rows: Rows
) -> None:
    runs = DriverRuns(database, url.replace("scoring", "nobody"))
    where = (await client.post("/v1/driver-runs", json=ASKED)).headers["location"]
    async with asyncio.timeout(60):
        while not await rows(PUT_OFF):
            await runs.step()
            await asyncio.sleep(0.05)
    assert (await client.get(where)).json()["status"] == "waiting"
    async with database.transaction() as tx:
        await tx.execute(ALMOST_GIVEN_UP, {"attempts": driver_jobs.ATTEMPTS - 1})
    found = await finished(client, runs, where)
    assert (found["status"], found["refused"]["reason"]) == ("refused", "failed")


async def test_each_night_every_program_is_asked_about_once(
    an_answer: AnAnswer,
    deliver: Deliver,
    url: str,
    rows: Rows,
) -> None:
    await deliver(an_answer(), an_answer("r-2", program="b2b"), an_answer("r-3", program="app", asked=CES))
    clock = [datetime(2026, 3, 1, 1, 59, tzinfo=UTC)]
    at_night = Database.connect(url, pool_size=2, clock=lambda: clock[0])
    try:
        await ask_nightly(at_night)
        assert await rows("SELECT FROM driver_runs") == []
        clock[0] += timedelta(minutes=5)
        await ask_nightly(at_night)
        await ask_nightly(at_night)
        told = await rows("SELECT program, since, until, asked_by FROM driver_runs ORDER BY program")
        midnight = datetime(2026, 3, 1, tzinfo=UTC)
        assert [tuple(row) for row in told] == [
            (program, midnight - timedelta(days=90), midnight, "nightly") for program in ("b2b", "retail")
        ]
        clock[0] += timedelta(days=1)
        await ask_nightly(at_night)
        assert len(await rows("SELECT FROM driver_runs")) == 4
    finally:
        await at_night.close()
