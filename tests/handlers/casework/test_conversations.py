"""What helps to speak with a customer: guides by theme, comments of colleagues, and promises that become tasks."""

from collections.abc import Awaitable, Callable, Coroutine
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


class Clock(Protocol):
    now: datetime


MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
CASE = f"/v1/cases/{case_id_of(ResponseId('r-1'))}"

pytestmark = pytest.mark.usefixtures("staff")


async def test_guides_come_by_what_the_answers_are_about_and_the_company_edits_them(
    anna: httpx.AsyncClient, log_in: LogIn, deliver: Deliver, scored: Make
) -> None:
    await deliver(scored("r-1", themes=("price", "app")), scored("r-2", themes=("billing",)))
    served = (await anna.get(f"{CASE}/guides")).json()
    assert [(guide["id"], guide["matched"]) for guide in served] == [
        ("money", ["billing", "price"]),
        ("digital", ["app"]),
        ("listening", []),
    ]
    assert all(question["ru"] and question["en"] for guide in served for question in guide["questions"])
    admin = await log_in("root", "administrator")
    guide = (await admin.get("/v1/conversation-guides/money")).json()
    body = {name: value for name, value in guide.items() if name not in ("id", "version")}
    headers = {"If-Match": '"1"'}
    assert (await anna.put("/v1/conversation-guides/money", json=body)).status_code == 403
    nothing = await admin.put("/v1/conversation-guides/money", json=body | {"questions": []}, headers=headers)
    assert nothing.status_code == 422
    retired = await admin.put("/v1/conversation-guides/money", json=body | {"retired": True}, headers=headers)
    assert (retired.status_code, retired.headers["etag"]) == (200, '"2"')
    assert [guide["id"] for guide in (await anna.get(f"{CASE}/guides")).json()] == ["digital", "listening"]
    assert (await admin.put("/v1/conversation-guides/money", json=body, headers=headers)).status_code == 412
    versions = (await anna.get("/v1/conversation-guides/money/versions")).json()
    assert [(each["version"], each["retired"], each["by"]["kind"], each["by"]["id"]) for each in versions] == [
        (2, True, "person", "root"),
        (1, False, "key", "otklik"),
    ]
    assert versions[1]["opening_ru"] == body["opening_ru"], "as it read before, the version that came with the product"
    assert (await anna.get("/v1/conversation-guides/nothing/versions")).status_code == 404


async def test_who_is_mentioned_in_a_comment_is_told_and_finds_it_until_they_have_read_it(
    anna: httpx.AsyncClient, log_in: LogIn, deliver: Deliver, scored: Make, erased: Make, published: Published
) -> None:
    await deliver(scored("r-1"))
    first = {"text": "@boris, посмотри, пожалуйста: почта клиента a@anna.example. И @nobody тоже."}
    assert (await anna.post(f"{CASE}/comments", json=first)).status_code == 201
    assert (await anna.post(f"{CASE}/comments", json={"text": "Просто на заметку"})).status_code == 201
    assert (await anna.post(f"{CASE}/comments", json={"text": "?", "mentions": ["ghost"]})).status_code == 422
    told = [event.payload for _, event in await published() if event.type == "case.commented.v1"]
    assert [[each.employee_id for each in payload.mentioned] for payload in told] == [["boris"]]
    boris = await log_in("boris", "manager")
    mine = (await boris.get("/v1/mentions")).json()
    assert mine["unread"] == 1
    (mention,) = mine["items"]
    assert (mention["by"]["name"], mention["text"], mention["case_status"]) == ("Anna", first["text"], "open")
    assert (await anna.get("/v1/mentions")).json()["items"] == []
    assert (await boris.post("/v1/mentions/read", json={"case_id": mention["case_id"]})).status_code == 204
    assert (await boris.get("/v1/mentions")).json() == {"items": [], "next_cursor": None, "unread": 0}
    await deliver(erased("c-1"))
    (mention,) = (await boris.get("/v1/mentions", params={"unread": "false"})).json()["items"]
    assert mention["text"] is None
    assert (await (await log_in()).get("/v1/mentions")).status_code == 400


async def test_what_the_customer_was_promised_becomes_tasks_when_the_case_is_resolved(
    anna: httpx.AsyncClient, deliver: Deliver, scored: Make, clock: Clock, published: Published
) -> None:
    await deliver(scored("r-1"))
    await anna.post(f"{CASE}/contact-attempts", json={"outcome": "reached"})
    promises = [
        {"title": "Прислать договор", "due_at": (clock.now + timedelta(days=2)).isoformat()},
        {"title": "Проверить счёт", "due_at": (clock.now + timedelta(days=30)).isoformat(), "owner_id": "boris"},
    ]
    body = {"root_cause_id": "service", "follow_ups": promises}
    past = [{"title": "Позвонить", "due_at": clock.now.isoformat()}]
    refused = await anna.post(f"{CASE}/resolve", json=body | {"follow_ups": past})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/follow_ups/0/due_at")
    resolved = await anna.post(f"{CASE}/resolve", json=body, headers={"Idempotency-Key": "once"})
    assert (resolved.status_code, resolved.json()["status"]) == (200, "resolved")
    await anna.post(f"{CASE}/resolve", json=body, headers={"Idempotency-Key": "once"})
    tasks = (await anna.get("/v1/tasks", params={"kind": "follow_up"})).json()["items"]
    assert [(task["title"], task["owner_id"]) for task in tasks] == [
        ("Прислать договор", "anna"),
        ("Проверить счёт", "boris"),
    ]
    opened = [event for _, event in await published() if event.type == "case.task.opened.v1"]
    assert len({event.id for event in opened}) == 2
