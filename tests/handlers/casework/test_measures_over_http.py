"""The health of the loop over HTTP: what is counted, in which groups, and what delay does."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import httpx
import pytest

from libs.events.event import Event

LogIn = Callable[..., Awaitable[httpx.AsyncClient]]
Make = Callable[..., Event[Any]]
Deliver = Callable[..., Awaitable[None]]
Rows = Callable[..., Awaitable[Sequence[Any]]]


class Clock(Protocol):
    now: datetime


MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)


@pytest.fixture
def lived(
    staff: None,  # noqa: ARG001 - somebody who can own them
    deliver: Deliver,
    scored: Make,
    said: Make,
    anna: httpx.AsyncClient,
    rows: Rows,
    clock: Clock,
) -> Callable[..., Awaitable[None]]:
    """A case that was contacted so many hours after the answer (None: never), resolved, and answered (None: not)."""

    async def live(
        name: str,
        *,
        contacted: float | None,
        solved: bool | None = None,
        tier: str = "standard",
    ) -> None:
        clock.now = MONDAY
        await deliver(scored(f"r-{name}", customer_id=f"c-{name}", score=4, tier=tier))
        found = await rows("SELECT id FROM cases WHERE opening_response_id = :id", id=f"r-{name}")
        if contacted is None:
            return
        path = f"/v1/cases/{found[0].id}"
        clock.now = MONDAY + timedelta(hours=contacted)
        assert (await anna.post(f"{path}/contact-attempts", json={"outcome": "reached"})).status_code == 201
        if solved is None:
            return
        clock.now = MONDAY + timedelta(hours=contacted + 1)
        assert (await anna.post(f"{path}/resolve", json={"root_cause_id": "service"})).status_code == 200
        await deliver(said(found[0].id, solved=solved, customer=f"c-{name}"))

    return live


async def test_the_health_of_the_loop_is_counted_from_the_customers_answer(
    lived: Callable[..., Awaitable[None]], anna: httpx.AsyncClient, clock: Clock
) -> None:
    await lived("quick", contacted=2, solved=True)
    await lived("slow", contacted=47, solved=True, tier="key")
    await lived("late", contacted=60, solved=False)
    await lived("never", contacted=None, tier="key")
    clock.now = MONDAY + timedelta(hours=47)
    [early] = (await anna.get("/v1/measures/loop")).json()["groups"]
    assert early["contacted_within_48_hours"]["n"] == 3

    clock.now = MONDAY + timedelta(days=3)
    [group] = (await anna.get("/v1/measures/loop")).json()["groups"]
    assert (group["cases"], group["running"]) == (4, 2)
    share = group["contacted_within_48_hours"]
    assert (share["n"], share["count"], share["value"]) == (4, 2, 0.5)
    # Wilson's interval of 2 in 4.
    assert (round(share["ci_low"], 4), round(share["ci_high"], 4)) == (0.1500, 0.8500)
    assert group["time_to_contact"] == {"n": 3, "hours": 47.0}
    assert group["time_to_resolve"] == {"n": 2, "hours": 25.5}
    assert (group["confirmed"]["n"], group["confirmed"]["count"], group["unconfirmed"]["count"]) == (2, 2, 0)
    assert (group["reopened"]["n"], group["reopened"]["count"]) == (3, 1)
    assert group["escalated"]["count"] == 1

    by_tier = {each["group"]: each for each in (await anna.get("/v1/measures/loop?by=tier")).json()["groups"]}
    assert {name: each["cases"] for name, each in by_tier.items()} == {"key": 2, "standard": 2}
    [key] = (await anna.get("/v1/measures/loop?tier=key")).json()["groups"]
    assert key == by_tier["key"] | {"group": None}


async def test_groups_are_teams_departments_and_times(
    lived: Callable[..., Awaitable[None]], log_in: LogIn, clock: Clock
) -> None:
    admin = await log_in("root", "administrator")
    await admin.put("/v1/departments/branches", json={"name": "Отделения", "manager_id": None})
    await admin.put("/v1/teams/north", json={"name": "Север", "lead_id": None, "department_id": "branches"})
    found = (await admin.get("/v1/agents/anna")).json()
    changed = {name: value for name, value in found.items() if name not in {"id", "version", "running_cases"}}
    assert (await admin.put("/v1/agents/anna", json=changed | {"team_id": "north"})).status_code == 200
    await lived("one", contacted=1)
    clock.now = MONDAY + timedelta(days=1)
    for by, name in (
        ("team", "north"),
        ("department", "branches"),
        ("program", "retail"),
        ("touchpoint", "branch"),
        ("day", "2026-01-05"),
        ("week", "2026-01-05"),
        ("month", "2026-01"),
    ):
        groups = (await admin.get(f"/v1/measures/loop?by={by}")).json()["groups"]
        assert [(each["group"], each["cases"]) for each in groups] == [(name, 1)]
    assert (await admin.get("/v1/measures/loop?team=south")).json()["groups"] in ([], [])
    assert (await admin.get("/v1/measures/loop?department=branches")).json()["groups"][0]["cases"] == 1


async def test_the_later_the_contact_the_later_its_group(
    lived: Callable[..., Awaitable[None]], anna: httpx.AsyncClient, clock: Clock
) -> None:
    for name, hours, solved in (("a", 1, True), ("b", 5, True), ("c", 30, True), ("d", 50, False), ("e", 200, None)):
        await lived(name, contacted=hours, solved=solved)
    clock.now = MONDAY + timedelta(days=30)
    groups = (await anna.get("/v1/measures/delay")).json()
    assert [(each["from_hours"], each["to_hours"], each["cases"]) for each in groups] == [
        (0.0, 4.0, 1),
        (4.0, 24.0, 1),
        (24.0, 48.0, 1),
        (48.0, 96.0, 1),
        (96.0, None, 1),
    ]
    assert [each["confirmed"]["value"] for each in groups] == [1.0, 1.0, 1.0, None, None]
    assert [each["reopened"]["value"] for each in groups] == [0.0, 0.0, 0.0, 1.0, None]


async def test_the_health_of_the_loop_is_everybodys_business_and_its_time_must_make_sense(
    log_in: LogIn,
) -> None:
    maria = await log_in("maria", "employee")
    answer = await maria.get("/v1/measures/loop")
    assert (answer.status_code, answer.json()["groups"]) == (200, [])
    wrong = await maria.get("/v1/measures/loop?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z")
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/from")
