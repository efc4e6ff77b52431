"""Somebody leaves or is away: what they have goes to others, with a preview, and customers who knew them are told."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from libs.events.contracts.cases import CaseContactChanged
from libs.events.database import Database
from libs.events.event import Event
from services.casework.domain.names import ResponseId, case_id_of
from services.casework.handlers import handle_scores

Make = Callable[..., Event[Any]]
Deliver = Callable[..., Awaitable[None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
Rows = Callable[..., Awaitable[Sequence[Any]]]
LogIn = Callable[..., Awaitable[httpx.AsyncClient]]
Hire = Callable[..., Awaitable[None]]
MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("staff")


def path(number: int) -> str:
    return f"/v1/cases/{case_id_of(ResponseId(f'r-{number}'))}"


async def introductions(published: Published) -> list[tuple[str, str]]:
    return [
        (str(key), event.payload.agent_id)
        for key, event in await published()
        if isinstance(event.payload, CaseContactChanged)
    ]


@pytest.fixture
async def three(staff: None, scored: Make, deliver: Deliver, hire: Hire, anna: httpx.AsyncClient) -> None:  # noqa: ARG001 - Anna is one of them
    """Three cases of Anna's, of which the first customer knows her; then Dmitri is hired, who speaks English, too."""
    await deliver(*(scored(f"r-{n}", customer_id=f"c-{n}", language="en" if n == 3 else "ru") for n in (1, 2, 3)))
    await anna.post(f"{path(1)}/contact-attempts", json={"outcome": "reached"})
    await hire("dmitri", languages=["en"])
    await hire("egor")


@pytest.mark.usefixtures("three")
async def test_who_leaves_hands_over_everything_by_the_rule_and_a_preview_says_so_before(
    anna: httpx.AsyncClient, log_in: LogIn, published: Published, rows: Rows
) -> None:
    boris = await log_in("boris", "manager")
    assert (await anna.post("/v1/agents/anna/hand-over", json={"reason": "leaves", "preview": True})).status_code == 403
    before = len(await published())
    preview = await boris.post("/v1/agents/anna/hand-over", json={"reason": "leaves", "preview": True})
    assert (preview.status_code, preview.json()["changed"], preview.json()["more"]) == (200, 3, False)
    assert len(await published()) == before
    assert {row.owner_id for row in await rows("SELECT owner_id FROM cases")} == {"anna"}

    once = {"Idempotency-Key": "leave-1"}
    done = await boris.post("/v1/agents/anna/hand-over", json={"reason": "leaves", "preview": False}, headers=once)
    assert {each["case_id"]: each["owner_id"] for each in done.json()["cases"]} == {
        each["case_id"]: each["owner_id"] for each in preview.json()["cases"]
    }
    again = await boris.post("/v1/agents/anna/hand-over", json={"reason": "leaves", "preview": False}, headers=once)
    assert again.json() == done.json()
    owners = {row.customer_id: row.owner_id for row in await rows("SELECT customer_id, owner_id FROM cases")}
    assert set(owners.values()) == {"dmitri", "egor"}
    assert owners["c-3"] == "dmitri"
    case = (await boris.get(path(3))).json()
    assert case["owner_reason"]["details"]["owner_left"] is True
    assert case["owner_reason"]["details"]["language"] == "en"
    assert await introductions(published) == [("c-1", owners["c-1"])]
    assert [each["customer_is_told"] for each in done.json()["cases"]].count(True) == 1
    loads = {row.agent_id: row.running_cases for row in await rows("SELECT * FROM agent_loads")}
    assert (loads["anna"], loads["dmitri"] + loads["egor"]) == (0, 3)


async def test_a_case_that_is_being_routed_while_its_owner_leaves_is_handed_over_too(
    scored: Make,
    hire: Hire,
    database: Database,
    anna: httpx.AsyncClient,
    log_in: LogIn,
    rows: Rows,
    somebody_waits: Callable[[], Awaitable[None]],
) -> None:
    boris = await log_in("boris", "manager")
    await hire("dmitri", capacity=0)

    async def leave() -> None:
        stored = await boris.get("/v1/agents/anna")
        known = {name: stored.json()[name] for name in ("name", "email", "language", "role", "capacity")}
        gone = await boris.put("/v1/agents/anna", json={**known, "disabled": True})
        assert gone.status_code == 200
        assert (
            await boris.post("/v1/agents/anna/hand-over", json={"reason": "leaves", "preview": False})
        ).status_code == 200

    async with database.transaction() as tx:
        await handle_scores(tx, [scored("r-1")])
        leaving = asyncio.create_task(leave())
        await somebody_waits()
    await leaving
    (case,) = await rows("SELECT owner_id FROM cases")
    assert case.owner_id == "dmitri"
    assert (await anna.get("/v1/cases", params={"owner": "anna"})).json()["items"] == []


@pytest.mark.usefixtures("three")
async def test_who_is_away_keeps_what_can_wait_where_the_customer_knows_them(
    hire: Hire, log_in: LogIn, published: Published
) -> None:
    boris = await log_in("boris", "manager")
    await hire("anna", absences=[MONDAY, MONDAY + timedelta(days=3)])
    body = {"reason": "absent", "preview": False, "to_id": "dmitri", "note": "Отпуск до четверга"}
    report = (await boris.post("/v1/agents/anna/hand-over", json=body)).json()
    told = sorted((each["result"], each["because"], each["owner_id"]) for each in report["cases"])
    assert told == [
        ("changed", None, "dmitri"),
        ("changed", None, "dmitri"),
        ("unchanged", "keeps_contact", "anna"),
    ]
    assert await introductions(published) == []
    assert (await boris.get(path(2))).json()["timeline"][-1]["text"] == "Отпуск до четверга"


@pytest.mark.usefixtures("three")
async def test_tasks_go_along_to_the_department_or_to_the_cases_owner(anna: httpx.AsyncClient, log_in: LogIn) -> None:
    boris = await log_in("boris", "manager")
    await boris.put("/v1/departments/billing", json={"name": "Billing", "manager_id": "boris"})
    asked = {"department_id": "billing", "title": "Проверить счёт", "owner_id": "anna"}
    first = (await anna.post(f"{path(1)}/tasks", json=asked)).json()["id"]
    promise = {"kind": "follow_up", "title": "Позвонить", "due_at": "2026-01-09T09:00:00Z"}
    second = (await anna.post(f"{path(2)}/tasks", json=promise)).json()["id"]
    report = (await boris.post("/v1/agents/anna/hand-over", json={"reason": "leaves", "preview": False})).json()
    owner = (await boris.get(path(2))).json()["owner_id"]
    assert {each["task_id"]: each["owner_id"] for each in report["tasks"]} == {first: "boris", second: owner}
    assert owner != "anna"
    assert (await boris.get("/v1/tasks", params={"owner": "anna"})).json()["items"] == []


async def test_handing_over_takes_no_statement_more_however_much_there_is(
    scored: Make,
    deliver: Deliver,
    hire: Hire,
    log_in: LogIn,
    statements: Callable[[], AbstractContextManager[list[str]]],
) -> None:
    boris = await log_in("boris", "manager")
    await boris.get("/v1/tasks")  # who he is, is asked once
    counts = []
    for first, size, leaver in ((0, 1, "anna"), (100, 40, "dmitri")):
        await deliver(*(scored(f"r-{n}", customer_id=f"c-{n}") for n in range(first, first + size)))
        await hire(leaver, disabled=True)
        await hire("dmitri" if leaver == "anna" else "zoya")
        with statements() as seen:
            report = await boris.post(f"/v1/agents/{leaver}/hand-over", json={"reason": "leaves", "preview": False})
        assert report.json()["changed"] >= size
        counts.append(len(seen))
    assert counts[0] == counts[1]


async def test_what_names_nobody_is_refused_and_with_nobody_left_each_case_says_so(
    scored: Make, deliver: Deliver, hire: Hire, log_in: LogIn
) -> None:
    boris = await log_in("boris", "manager")
    away = {"reason": "leaves", "preview": False}
    assert (await boris.post("/v1/agents/nobody/hand-over", json=away)).status_code == 404
    for to in ("nobody", "anna"):
        refused = await boris.post("/v1/agents/anna/hand-over", json=away | {"to_id": to})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/to_id")
    await deliver(scored("r-1"))
    for other in ("boris", "vera"):
        await hire(other, disabled=True)
    report = (await boris.post("/v1/agents/anna/hand-over", json=away)).json()
    assert [(each["result"], each["because"]) for each in report["cases"]] == [("refused", "nobody-to-assign")]
    assert report["refused"] == 1
