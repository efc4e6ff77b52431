"""The company sets itself up: people, teams, departments, root causes, policies."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import httpx
import pytest

from libs.events.database import Database
from libs.events.event import Event
from services.casework.domain.policies import DEFAULT_POLICIES, LIGHT
from services.casework.store import policies

LogIn = Callable[..., Awaitable[httpx.AsyncClient]]
Make = Callable[..., Event[Any]]
Deliver = Callable[..., Awaitable[None]]
Rows = Callable[..., Awaitable[Sequence[Any]]]


class Clock(Protocol):
    now: datetime


MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
UNSAID: dict[str, object] = {"programs": [], "touchpoints": [], "themes": [], "calendar_id": None}
ANNA = {"name": "Анна Орлова", "email": "anna@example.org", "language": "ru", "seniority": 2, "capacity": 15}


@pytest.fixture
async def admin(log_in: LogIn) -> httpx.AsyncClient:
    return await log_in("root", "administrator")


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["type"].removeprefix("urn:otklik:problem:")


async def test_an_agent_is_created_replaced_and_read(admin: httpx.AsyncClient) -> None:
    created = await admin.put("/v1/agents/anna", json=ANNA)
    assert (created.status_code, created.headers["etag"]) == (201, '"1"')
    assert created.json() == ANNA | {
        "id": "anna",
        "version": 1,
        "role": "agent",
        "team_id": None,
        "department_id": None,
        "absent_from": None,
        "languages": [],
        "absences": [],
        **UNSAID,
        "absent_until": None,
        "disabled": False,
        "running_cases": 0,
    }
    replaced = await admin.put("/v1/agents/anna", json=ANNA | {"disabled": True}, headers={"If-Match": '"1"'})
    assert (replaced.status_code, replaced.json()["version"]) == (200, 2)
    read = await admin.get("/v1/agents/anna")
    assert (read.json()["disabled"], read.headers["etag"]) == (True, '"2"')


async def test_an_update_of_what_has_changed_or_is_not_there_is_refused(admin: httpx.AsyncClient) -> None:
    assert problem(await admin.put("/v1/agents/anna", json=ANNA, headers={"If-Match": '"1"'})) == (
        412,
        "precondition-failed",
    )
    await admin.put("/v1/agents/anna", json=ANNA)
    stale = await admin.put("/v1/agents/anna", json=ANNA, headers={"If-Match": '"7"'})
    assert (problem(stale), stale.headers["etag"]) == ((412, "precondition-failed"), '"1"')


async def test_an_agent_s_absence_is_told_as_it_was_stored(admin: httpx.AsyncClient) -> None:
    absence = {"absent_from": "2026-07-01T00:00:00Z", "absent_until": "2026-07-15T09:00:00Z"}
    created = await admin.put("/v1/agents/anna", json=ANNA | absence)
    assert created.status_code == 201, created.text
    read = (await admin.get("/v1/agents/anna")).json()
    assert {name: read[name] for name in absence} == absence


async def test_a_command_sent_twice_creates_once(admin: httpx.AsyncClient) -> None:
    first, second = [await admin.put("/v1/agents/anna", json=ANNA, headers={"Idempotency-Key": "k"}) for _ in "12"]
    assert (first.status_code, second.status_code, second.json()["version"]) == (201, 201, 1)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"email": "anna"}, "/email"),
        ({"email": "anna@example.org\nBcc: all@example.org"}, "/email"),
        ({"name": "  "}, "/name"),
        ({"language": "de"}, "/language"),
        ({"role": "administrator"}, "/role"),
        ({"seniority": 4}, "/seniority"),
        ({"capacity": -1}, "/capacity"),
        ({"team_id": "nowhere"}, "/team_id"),
        ({"department_id": "nowhere"}, "/department_id"),
        ({"absent_from": "2026-02-01T00:00:00"}, "/absent_from"),
        ({"absent_from": "0001-01-01T00:00:00+14:00"}, "/absent_from"),
        ({"absent_from": "2026-02-02T00:00:00Z", "absent_until": "2026-02-01T00:00:00Z"}, ""),
        ({"absent_from": 1767600000}, "/absent_from"),
        ({"seniority": "2"}, "/seniority"),
        ({"disabled": "yes"}, "/disabled"),
        ({"salary": 1}, "/salary"),
    ],
)
async def test_an_agent_that_makes_no_sense_is_refused(
    admin: httpx.AsyncClient, changes: dict[str, object], pointer: str
) -> None:
    response = await admin.put("/v1/agents/anna", json=ANNA | changes)
    assert problem(response) == (422, "invalid")
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
    assert problem(await admin.get("/v1/agents/anna")) == (404, "not-found")


async def test_lists_come_in_pages(admin: httpx.AsyncClient) -> None:
    for name in ("anna", "boris", "vera"):
        await admin.put(f"/v1/agents/{name}", json=ANNA)
    first = (await admin.get("/v1/agents?limit=2")).json()
    second = (await admin.get("/v1/agents", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [agent["id"] for agent in first["items"] + second["items"]] == ["anna", "boris", "vera"]
    assert second["next_cursor"] is None
    assert problem(await admin.get("/v1/agents?cursor=xx")) == (422, "invalid-cursor")


async def test_teams_and_departments_know_who_leads_them(admin: httpx.AsyncClient) -> None:
    assert (await admin.put("/v1/departments/retail", json={"name": "Розница"})).status_code == 201
    await admin.put("/v1/agents/boris", json=ANNA | {"role": "manager", "department_id": "retail"})
    managed = await admin.put("/v1/departments/retail", json={"name": "Розница", "manager_id": "boris"})
    assert managed.json() == {
        "id": "retail",
        "name": "Розница",
        "manager_id": "boris",
        "task_hours": 48,
        "calendar_id": None,
        "retired": False,
        "version": 2,
    }
    team = {"name": "Первая линия", "lead_id": "boris", "department_id": "retail"}
    assert (await admin.put("/v1/teams/first", json=team)).json() == team | UNSAID | {
        "retired": False,
        "id": "first",
        "version": 1,
    }
    assert (await admin.get("/v1/teams/first")).headers["etag"] == '"1"'
    assert (await admin.get("/v1/teams")).json()["items"] == [
        team | UNSAID | {"retired": False, "id": "first", "version": 1}
    ]
    assert (await admin.get("/v1/departments")).json()["items"][0]["manager_id"] == "boris"
    assert (await admin.get("/v1/departments/retail")).json()["version"] == 2
    for path, body in (
        ("/v1/teams/x", {"name": "X", "lead_id": "nobody"}),
        ("/v1/teams/x", {"name": "X", "department_id": "nowhere"}),
        ("/v1/departments/x", {"name": "X", "manager_id": "nobody"}),
    ):
        assert problem(await admin.put(path, json=body)) == (422, "invalid")
    for path in ("/v1/teams/x", "/v1/departments/x", "/v1/root-causes/x"):
        assert problem(await admin.get(path)) == (404, "not-found")


async def test_what_nobody_needs_any_more_is_retired_and_keeps_its_name(
    admin: httpx.AsyncClient, log_in: LogIn, scored: Make, deliver: Deliver
) -> None:
    retail, first = {"name": "Розница", "manager_id": "boris"}, {"name": "Первая линия", "department_id": "retail"}
    await admin.put("/v1/agents/boris", json=ANNA | {"role": "manager"})
    await admin.put("/v1/departments/retail", json=retail)
    await admin.put("/v1/teams/first", json=first)
    await admin.put("/v1/agents/anna", json=ANNA | {"team_id": "first"})
    for path, body, slug in (
        ("/v1/teams/first", first, "team-in-use"),
        ("/v1/departments/retail", retail, "department-in-use"),
    ):
        refused = await admin.put(path, json=body | {"retired": True})
        assert problem(refused) == (409, slug)
    await admin.put("/v1/agents/anna", json=ANNA)
    assert (await admin.put("/v1/teams/first", json=first | {"retired": True})).json()["retired"] is True
    assert problem(await admin.put("/v1/agents/anna", json=ANNA | {"team_id": "first"})) == (422, "team-retired")
    left = await admin.put("/v1/agents/anna", json=ANNA | {"team_id": "first", "disabled": True})
    assert (left.status_code, left.json()["team_id"]) == (200, "first")
    await admin.put("/v1/agents/vera", json=ANNA)
    await deliver(scored("r-1"))
    (case,) = (await admin.get("/v1/cases")).json()["items"]
    asked = {"department_id": "retail", "title": "Вернуть деньги"}
    task = (await admin.post(f"/v1/cases/{case['id']}/tasks", json=asked)).json()
    assert problem(await admin.put("/v1/departments/retail", json=retail | {"retired": True}))[0] == 409
    done = await admin.post(f"/v1/tasks/{task['id']}/done", json={"note": "Вернули"})
    assert done.status_code == 200, done.text
    assert (await admin.put("/v1/departments/retail", json=retail | {"retired": True})).status_code == 200
    assert problem(await admin.post(f"/v1/cases/{case['id']}/tasks", json=asked)) == (422, "department-retired")
    assert problem(await admin.put("/v1/teams/new", json=first | {"name": "Новая"})) == (422, "department-retired")
    employee = await log_in("ivan", "employee")
    names = (await employee.get("/v1/measures/groups")).json()
    assert names == {"teams": {"first": "Первая линия"}, "departments": {"retail": "Розница"}}
    assert (await admin.put("/v1/departments/retail", json=retail)).json()["retired"] is False


async def test_the_department_decides_who_answers_for_an_escalated_case(
    admin: httpx.AsyncClient, scored: Make, deliver: Deliver, rows: Rows, clock: Clock
) -> None:
    await admin.put("/v1/agents/zoya", json=ANNA | {"role": "manager", "seniority": 3})
    await admin.put("/v1/agents/boris", json=ANNA | {"role": "manager"})
    await admin.put("/v1/departments/retail", json={"name": "Розница", "manager_id": "boris"})
    await admin.put("/v1/agents/anna", json=ANNA | {"department_id": "retail"})
    clock.now = MONDAY + timedelta(hours=50)
    await deliver(scored("r-1"))
    (case,) = await rows("SELECT owner_id, responsible_id FROM cases")
    assert tuple(case) == ("anna", "boris")
    assert (await admin.get("/v1/agents/anna")).json()["running_cases"] == 1


async def test_root_causes_are_there_from_the_first_day_in_both_languages(admin: httpx.AsyncClient) -> None:
    page = (await admin.get("/v1/root-causes")).json()
    causes = {cause["id"]: cause for cause in page["items"]}
    assert page["next_cursor"] is None
    assert causes["service.waiting"] == {
        "id": "service.waiting",
        "parent_id": "service",
        "name_ru": "Долгое ожидание",
        "name_en": "Long wait",
        "retired": False,
        "choosable": True,
        "version": 1,
    }
    assert all(cause["parent_id"] is None or cause["parent_id"] in causes for cause in causes.values())


async def test_the_tree_of_root_causes_stays_a_tree(admin: httpx.AsyncClient) -> None:
    body = {"name_ru": "Очередь", "name_en": "Queue"}
    assert (await admin.put("/v1/root-causes/queue", json=body | {"parent_id": "service.waiting"})).status_code == 201
    for parent in ("queue", "service.waiting", "service"):
        moved = await admin.put("/v1/root-causes/service", json=body | {"parent_id": parent})
        assert problem(moved) == (422, "invalid")
    assert problem(await admin.put("/v1/root-causes/queue", json=body | {"parent_id": "moon"})) == (422, "invalid")
    retired = await admin.put("/v1/root-causes/queue", json=body | {"retired": True}, headers={"If-Match": '"1"'})
    assert (retired.status_code, retired.json()["parent_id"]) == (200, None)
    assert (await admin.get("/v1/root-causes/queue")).json()["retired"] is True


async def test_the_first_policies_are_the_documented_ones(database: Database) -> None:
    async with database.reading() as tx:
        found = await policies.load(tx)
    assert found.by_tier == DEFAULT_POLICIES
    # Of programs only that of light cases has its own.
    assert set(found.by_program) == {(LIGHT, tier) for tier in DEFAULT_POLICIES}


async def test_a_changed_policy_holds_for_clocks_that_start_from_then_on(
    admin: httpx.AsyncClient, scored: Make, deliver: Deliver, rows: Rows
) -> None:
    await admin.put("/v1/agents/anna", json=ANNA)
    await deliver(scored("r-1"))
    policy = (await admin.get("/v1/sla-policies/standard")).json()
    version = {"If-Match": f'"{policy.pop("version")}"'}
    policy.pop("tier")
    changed = await admin.put("/v1/sla-policies/standard", json=policy | {"first_contact_hours": 24}, headers=version)
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    await deliver(scored("r-2", customer_id="c-2"))
    due = await rows("SELECT first_contact_due_at FROM cases ORDER BY customer_id")
    assert [row.first_contact_due_at - MONDAY for row in due] == [timedelta(hours=48), timedelta(hours=24)]
    assert [each["tier"] for each in (await admin.get("/v1/sla-policies")).json()["items"]] == [
        "key",
        "high",
        "standard",
        "low",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"first_contact_hours": 0},
        {"first_contact_hours": 500},
        {"reopened_first_contact_hours": 400},
        {"confirmation_days": 0},
        {"warn_after": 1.0},
        {"warn_after": 0},
        {"resolution_hours": 1e9},
    ],
)
async def test_a_policy_that_makes_no_sense_is_refused(admin: httpx.AsyncClient, changes: dict[str, object]) -> None:
    policy = (await admin.get("/v1/sla-policies/low")).json()
    body = {name: value for name, value in policy.items() if name not in ("tier", "version")}
    assert problem(await admin.put("/v1/sla-policies/low", json=body | changes)) == (422, "invalid")
    assert (await admin.get("/v1/sla-policies/gold")).status_code == 422


@pytest.mark.parametrize(
    ("role", "read", "write"),
    [
        ("agent", 200, 403),
        ("manager", 200, 201),
        ("executive", 200, 201),
        ("administrator", 200, 201),
        ("employee", 403, 403),
        ("operator", 200, 403),
    ],
)
async def test_who_leads_sets_up_and_who_closes_loops_looks_up(log_in: LogIn, role: str, read: int, write: int) -> None:
    person = await log_in("somebody", role)
    for path in ("agents", "teams", "departments", "root-causes", "sla-policies"):
        assert (await person.get(f"/v1/{path}")).status_code == read
    assert (await person.put("/v1/agents/anna", json=ANNA)).status_code == write
    assert (await person.put("/v1/teams/first", json={"name": "Первая"})).status_code == write
    assert (await person.put("/v1/departments/d", json={"name": "Розница"})).status_code == write
    body = {"name_ru": "Очередь", "name_en": "Queue"}
    assert (await person.put("/v1/root-causes/queue", json=body)).status_code == write
