"""Departments are asked over HTTP, answer, are late, and forget with the customer."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import httpx
import pytest

from libs.events.database import Database
from libs.events.event import Event
from services.casework.domain.names import ResponseId, case_id_of
from services.casework.task_jobs import TaskClocks

Make = Callable[..., Event[Any]]
Deliver = Callable[..., Awaitable[None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
Rows = Callable[..., Awaitable[Sequence[Any]]]
LogIn = Callable[..., Awaitable[httpx.AsyncClient]]
CASE = case_id_of(ResponseId("r-1"))
PATH = f"/v1/cases/{CASE}"

pytestmark = pytest.mark.usefixtures("staff")


class Clock(Protocol):
    now: datetime


@pytest.fixture
async def billing(log_in: LogIn, staff: None) -> None:  # noqa: ARG001 - Boris is one of them
    """A department that Boris manages, with a day for each task."""
    head = await log_in("olga", "administrator")
    body = {"name": "Billing", "manager_id": "boris", "task_hours": 24}
    assert (await head.put("/v1/departments/billing", json=body)).status_code == 201


@pytest.fixture
def tick(database: Database, clock: Clock) -> Callable[[float], Coroutine[None, None, None]]:
    """So many hours pass, and the clocks of tasks are looked at, by two loops and twice."""

    async def pass_(hours: float) -> None:
        clock.now += timedelta(hours=hours)
        loops = [TaskClocks(database, batch=10) for _ in range(2)]
        for loop in (*loops, *loops):
            await loop.step()

    return pass_


def problem(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["type"].removeprefix("urn:otklik:problem:")


@pytest.mark.usefixtures("billing")
async def test_the_case_waits_until_every_department_has_answered(
    scored: Make, deliver: Deliver, anna: httpx.AsyncClient, log_in: LogIn
) -> None:
    boris = await log_in("boris", "manager")
    await deliver(scored("r-1"))
    await anna.post(f"{PATH}/contact-attempts", json={"outcome": "reached"})
    stale = await anna.post(
        f"{PATH}/tasks", json={"department_id": "billing", "title": "x"}, headers={"If-Match": '"1"'}
    )
    assert stale.status_code == 412
    asked = {"department_id": "billing", "title": "Проверить счёт"}
    once = {"Idempotency-Key": "ask-1"}
    first = await anna.post(f"{PATH}/tasks", json=asked, headers=once)
    assert (first.status_code, first.json()["owner_id"], first.json()["due_at"]) == (
        201,
        "boris",
        "2026-01-06T10:00:00Z",
    )
    assert (await anna.post(f"{PATH}/tasks", json=asked, headers=once)).json() == first.json()
    second = (await anna.post(f"{PATH}/tasks", json=asked | {"owner_id": "vera"})).json()
    refused = await anna.post(f"{PATH}/resolve", json={"root_cause_id": "service"})
    assert (problem(refused), refused.json()["open_tasks"]) == ((409, "case-has-open-tasks"), 2)

    mine = (await boris.get("/v1/tasks", params={"owner": "boris"})).json()["items"]
    assert [(each["id"], each["title"], each["department_name"], each["case_owner_name"]) for each in mine] == [
        (first.json()["id"], "Проверить счёт", "Billing", "Anna")
    ]
    page = (await boris.get("/v1/tasks", params={"department": "billing", "limit": 1})).json()
    rest = (await boris.get("/v1/tasks", params={"limit": 1, "cursor": page["next_cursor"]})).json()
    assert {page["items"][0]["id"], rest["items"][0]["id"]} == {first.json()["id"], second["id"]}

    task = f"/v1/tasks/{first.json()['id']}"
    seen = (await boris.get(task)).headers["etag"]
    done = await boris.post(f"{task}/done", json={"note": "Вернули 300 рублей"}, headers={"If-Match": seen})
    assert (done.status_code, done.json()["state"]) == (200, "done")
    assert problem(await boris.post(f"{task}/decline", json={"reason": "other"})) == (409, "task-already-ended")
    moved = await boris.post(
        f"/v1/tasks/{second['id']}/assign", json={"owner_id": "boris", "due_at": "2026-01-09T10:00:00Z"}
    )
    assert (moved.json()["owner_id"], moved.json()["due_at"]) == ("boris", "2026-01-09T10:00:00Z")
    await boris.post(f"/v1/tasks/{second['id']}/decline", json={"reason": "not_ours"})
    assert (await anna.post(f"{PATH}/resolve", json={"root_cause_id": "service"})).status_code == 200
    case = (await anna.get(PATH)).json()
    assert {each["state"]: each["declined_because"] for each in case["tasks"]} == {"done": None, "declined": "not_ours"}
    assert [entry["kind"] for entry in case["timeline"] if entry["kind"].startswith("task")] == [
        "task_opened",
        "task_opened",
        "task_done",
        "task_assigned",
        "task_declined",
    ]


@pytest.mark.usefixtures("billing")
async def test_what_is_incomplete_or_names_nobody_is_refused_with_its_place(
    scored: Make, deliver: Deliver, anna: httpx.AsyncClient, log_in: LogIn
) -> None:
    head = await log_in("olga", "administrator")
    await head.put("/v1/departments/legal", json={"name": "Legal"})
    await deliver(scored("r-1"))
    for body, pointer in (
        ({"title": "x"}, ""),
        ({"title": "x", "kind": "follow_up"}, ""),
        ({"title": "x", "department_id": "nowhere"}, "/department_id"),
        ({"title": "x", "department_id": "legal"}, "/owner_id"),
        ({"title": "x", "department_id": "billing", "owner_id": "nobody"}, "/owner_id"),
        ({"title": "x", "department_id": "billing", "due_at": "2026-01-05T09:59:00Z"}, "/due_at"),
    ):
        answer = await anna.post(f"{PATH}/tasks", json=body)
        assert answer.status_code == 422, body
        assert not pointer or answer.json()["errors"][0]["pointer"] == pointer
    assert (await anna.post("/v1/tasks/00000000-0000-0000-0000-000000000000/done", json={})).status_code == 404


@pytest.mark.usefixtures("billing")
async def test_a_late_department_is_warned_breaches_once_and_lifts_the_case(
    scored: Make,
    deliver: Deliver,
    anna: httpx.AsyncClient,
    published: Published,
    tick: Callable[[float], Coroutine[None, None, None]],
    rows: Rows,
) -> None:
    await deliver(scored("r-1"))
    await anna.post(f"{PATH}/contact-attempts", json={"outcome": "reached"})
    await anna.post(f"{PATH}/tasks", json={"department_id": "billing", "title": "Проверить счёт"})
    promise = {"kind": "follow_up", "title": "Позвонить через месяц", "due_at": "2026-02-05T09:00:00Z"}
    assert (await anna.post(f"{PATH}/tasks", json=promise)).json()["owner_id"] == "anna"
    await tick(18)
    await tick(6)
    await tick(1)
    told = [event.type.removesuffix(".v1") for _, event in await published()]
    assert told[-5:] == [
        "case.task.opened",
        "case.task.opened",
        "case.task.warned",
        "case.task.breached",
        "case.escalated",
    ]
    case = (await anna.get(PATH)).json()
    assert (case["level"], case["timeline"][-1]["details"]["reason"]) == ("management", "task_overdue")
    assert {each["kind"]: each["breached"] for each in case["tasks"]} == {"department": True, "follow_up": False}
    lines = await rows("SELECT version FROM timeline ORDER BY version")
    assert [line.version for line in lines] == list(range(1, len(lines) + 1))


@pytest.mark.usefixtures("billing")
async def test_nobody_works_for_a_customer_who_asked_to_be_forgotten(
    scored: Make,
    erased: Make,
    deliver: Deliver,
    anna: httpx.AsyncClient,
    tick: Callable[[float], Coroutine[None, None, None]],
    rows: Rows,
) -> None:
    await deliver(scored("r-1"))
    await anna.post(f"{PATH}/tasks", json={"department_id": "billing", "title": "Проверить счёт Ольги"})
    await deliver(erased())
    (task,) = (await anna.get(PATH)).json()["tasks"]
    assert (task["state"], task["declined_because"], task["title"]) == ("declined", "customer_erased", None)
    await tick(100)
    assert [row.kind for row in await rows("SELECT kind FROM timeline ORDER BY version")][-3:] == [
        "task_declined",
        "customer_erased",
        "closed",
    ]
    assert await rows("SELECT 1 FROM tasks WHERE title IS NOT NULL OR fires_at IS NOT NULL") == []
    assert await rows("SELECT 1 FROM timeline WHERE text IS NOT NULL") == []
