"""Cases over HTTP: what people read and do, and how two of them never overwrite each other."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import uuid4

import httpx
import pytest
from msgspec.structs import replace
from sqlalchemy import text

from libs.events.database import Database
from libs.events.event import Event
from services.casework.domain.casebook import Casebook
from services.casework.domain.cases import Decision
from services.casework.domain.names import ResponseId, case_id_of
from services.casework.handlers import handle_scores
from services.casework.store import cases, saving

Make = Callable[..., Event[Any]]
Deliver = Callable[..., Awaitable[None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
Rows = Callable[..., Awaitable[Sequence[Any]]]
LogIn = Callable[..., Awaitable[httpx.AsyncClient]]
Act = Callable[..., Coroutine[None, None, httpx.Response]]


class Clock(Protocol):
    now: datetime


MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
CASE = case_id_of(ResponseId("r-1"))

pytestmark = pytest.mark.usefixtures("staff")


@pytest.fixture
def act(anna: httpx.AsyncClient) -> Act:
    """Anna does something with the case of r-1."""

    async def post(command: str, body: dict[str, object], **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await anna.post(f"/v1/cases/{CASE}/{command}", json=body, headers=named)

    return post


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["type"].removeprefix("urn:otklik:problem:")


async def test_a_case_is_shown_with_everything_that_belongs_to_it(
    scored: Make, profile: Make, deliver: Deliver, act: Act, anna: httpx.AsyncClient
) -> None:
    await deliver(
        profile(), scored("r-0", score=9, comment="Раньше было хорошо"), scored("r-1"), scored("r-2", score=8)
    )
    await act("contact-attempts", {"outcome": "no_answer", "note": "Занято"})
    response = await anna.get(f"/v1/cases/{CASE}")
    case = response.json()
    assert (response.status_code, response.headers["etag"]) == (200, f'"{case["version"]}"')
    assert (case["status"], case["level"], case["tier"], case["owner_name"]) == (
        "open",
        "frontline",
        "standard",
        "Anna",
    )
    assert case["owner_reason"] == {
        "code": "least_loaded",
        "details": {"seniority": 1, "load": 0, "capacity": 100},
    }
    assert (case["first_contact_due_at"], case["next_due_at"]) == ("2026-01-07T09:00:00Z", "2026-01-07T09:00:00Z")
    assert [(each["response_id"], each["score"], each["comment"]) for each in case["responses"]] == [
        ("r-1", 3, "Ждала сорок минут"),
        ("r-2", 8, "Ждала сорок минут"),
    ]
    assert [each["response_id"] for each in case["earlier_responses"]] == ["r-0"]
    (attempt,) = case["contact_attempts"]
    assert (attempt["outcome"], attempt["note"], attempt["by"]) == (
        "no_answer",
        "Занято",
        {"kind": "person", "id": "anna", "name": "Anna"},
    )
    assert [entry["kind"] for entry in case["timeline"]] == ["opened", "assigned", "joined", "contacted"]
    assert case["timeline"][0]["actor"] == {"kind": "customer", "id": "c-1", "name": None}


async def test_the_customers_earlier_cases_are_shown_so_that_nobody_asks_twice(
    scored: Make, said: Make, deliver: Deliver, act: Act, anna: httpx.AsyncClient, clock: Clock
) -> None:
    await deliver(scored("r-1"))
    await act("contact-attempts", {"outcome": "reached"})
    await act("resolve", {"root_cause_id": "service.waiting"})
    await deliver(said(CASE, solved=True))
    clock.now += timedelta(days=1)
    await deliver(scored("r-2"))
    later = (await anna.get(f"/v1/cases/{case_id_of(ResponseId('r-2'))}")).json()
    (earlier,) = later["earlier_cases"]
    assert (earlier["id"], earlier["outcome"], earlier["root_cause_id"], earlier["owner_name"]) == (
        str(CASE),
        "confirmed",
        "service.waiting",
        "Anna",
    )
    assert later["earlier_responses"][0]["case_id"] == str(CASE)


async def test_an_unhappy_answer_goes_all_the_way_over_http(
    scored: Make, said: Make, deliver: Deliver, published: Published, act: Act
) -> None:
    await deliver(scored("r-1"))
    reached = await act("contact-attempts", {"outcome": "reached"})
    assert (reached.status_code, reached.json()["status"]) == (201, "contacted")
    escalated = await act("escalate", {"reason": "no_authority", "note": "Нужна скидка"})
    assert (escalated.status_code, escalated.json()["responsible_id"]) == (200, "boris")
    assigned = await act("assign", {"owner_id": "boris"})
    assert (assigned.status_code, assigned.json()["owner_id"]) == (200, "boris")
    resolved = await act("resolve", {"root_cause_id": "price.unclear"})
    assert (resolved.status_code, resolved.json()["status"], resolved.json()["round"]) == (200, "resolved", 1)
    await deliver(said(CASE, solved=True))
    reopened = await act("reopen", {"note": "Позвонил ещё раз"})
    assert (reopened.status_code, reopened.json()["status"]) == (200, "open")
    noted = await act("notes", {"text": "Перезвонить завтра"})
    assert (noted.status_code, noted.headers["etag"]) == (201, f'"{noted.json()["version"]}"')
    told = [event.payload for _, event in await published()]
    assert [payload.TYPE.removesuffix(".v1") for payload in told] == [
        "case.opened",
        "case.assigned",
        "case.contacted",
        "case.escalated",
        "case.assigned",
        "case.contact.changed",
        "case.resolved",
        "case.closed",
        "case.reopened",
    ]
    assert (told[6].agent_id, told[6].agent_name, told[6].round) == ("boris", "Boris", 1)
    versions = [payload.version for payload in told]
    assert versions == sorted(set(versions))


@pytest.mark.parametrize(
    ("steps", "command", "body", "refusal"),
    [
        ("", "resolve", {"root_cause_id": "service"}, "case-not-contacted"),
        ("", "reopen", {}, "case-already-open"),
        ("cr", "resolve", {"root_cause_id": "service"}, "case-already-resolved"),
        ("cr", "escalate", {"reason": "customer_asked"}, "case-already-resolved"),
        ("ee", "escalate", {"reason": "customer_asked"}, "case-at-highest-level"),
        ("cry", "contact-attempts", {"outcome": "reached"}, "case-already-closed"),
        ("cry", "assign", {"owner_id": "boris"}, "case-already-closed"),
        ("cry", "escalate", {"reason": "customer_asked"}, "case-already-closed"),
        ("cry", "resolve", {"root_cause_id": "service"}, "case-already-closed"),
    ],
)
async def test_what_the_state_does_not_allow_is_a_conflict_that_says_why(
    scored: Make,
    said: Make,
    deliver: Deliver,
    act: Act,
    rows: Rows,
    steps: str,
    command: str,
    body: dict[str, object],
    refusal: str,
) -> None:
    await deliver(scored("r-1"))
    for step in steps:
        match step:
            case "c":
                await act("contact-attempts", {"outcome": "reached"})
            case "r":
                await act("resolve", {"root_cause_id": "service"})
            case "e":
                await act("escalate", {"reason": "no_authority"})
            case _:
                await deliver(said(CASE, solved=True))
    (before,) = await rows("SELECT version FROM cases")
    response = await act(command, body)
    assert problem(response) == (409, refusal)
    assert response.headers["etag"] == f'"{before.version}"'
    assert await rows("SELECT version FROM cases") == [before]


async def test_a_customer_with_another_open_case_is_helped_there(
    scored: Make, said: Make, deliver: Deliver, act: Act
) -> None:
    await deliver(scored("r-1"))
    await act("contact-attempts", {"outcome": "reached"})
    await act("resolve", {"root_cause_id": "service"})
    await deliver(said(CASE, solved=True), scored("r-2"))
    assert problem(await act("reopen", {})) == (409, "customer-has-open-case")


async def test_a_reopening_and_a_new_answer_at_once_leave_one_open_case(
    scored: Make,
    said: Make,
    deliver: Deliver,
    act: Act,
    rows: Rows,
    database: Database,
    somebody_waits: Callable[[], Awaitable[None]],
) -> None:
    await deliver(scored("r-1"))
    await act("contact-attempts", {"outcome": "reached"})
    await act("resolve", {"root_cause_id": "service"})
    await deliver(said(CASE, solved=True))
    async with database.transaction() as tx:
        await handle_scores(tx, [scored("r-2")])
        reopening = asyncio.create_task(act("reopen", {}))
        await somebody_waits()
    assert problem(await reopening) == (409, "customer-has-open-case")
    assert len(await rows("SELECT id FROM cases WHERE status = 'open'")) == 1


@pytest.mark.parametrize(
    ("command", "body", "pointer"),
    [
        ("contact-attempts", {"outcome": "perhaps"}, "/outcome"),
        ("contact-attempts", {}, "/outcome"),
        ("assign", {"owner_id": ""}, "/owner_id"),
        ("escalate", {"reason": "clock_breached"}, "/reason"),
        ("resolve", {}, "/root_cause_id"),
        ("reopen", {"surprise": 1}, "/surprise"),
        ("notes", {"text": ""}, "/text"),
    ],
)
async def test_a_body_that_is_not_valid_says_where(
    scored: Make, deliver: Deliver, act: Act, command: str, body: dict[str, object], pointer: str
) -> None:
    await deliver(scored("r-1"))
    response = await act(command, body)
    assert problem(response) == (422, "invalid")
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]


async def test_a_resolution_needs_a_root_cause_that_exists_and_is_in_use(
    scored: Make, deliver: Deliver, act: Act, log_in: LogIn
) -> None:
    await deliver(scored("r-1"))
    await act("contact-attempts", {"outcome": "reached"})
    assert problem(await act("resolve", {"root_cause_id": "moon"})) == (422, "unknown-root-cause")
    boris = await log_in("boris", "manager")
    body = {"name_ru": "Другое", "name_en": "Other", "retired": True}
    assert (await boris.put("/v1/root-causes/other", json=body)).status_code == 200
    assert problem(await act("resolve", {"root_cause_id": "other"})) == (422, "root-cause-retired")
    assert (await act("resolve", {"root_cause_id": "service.waiting"})).status_code == 200


async def test_a_case_is_given_only_to_somebody_who_works_here(
    scored: Make, deliver: Deliver, act: Act, hire: Callable[..., Awaitable[None]]
) -> None:
    await deliver(scored("r-1"))
    await hire("zoya", disabled=True)
    assert problem(await act("assign", {"owner_id": "nobody"})) == (422, "unknown-agent")
    assert problem(await act("assign", {"owner_id": "zoya"})) == (422, "agent-disabled")
    same = await act("assign", {"owner_id": "anna"})
    assert (same.status_code, same.json()["version"]) == (200, 2)


async def test_no_case_is_not_found(anna: httpx.AsyncClient) -> None:
    assert problem(await anna.get(f"/v1/cases/{uuid4()}")) == (404, "not-found")
    assert problem(await anna.post(f"/v1/cases/{uuid4()}/notes", json={"text": "?"})) == (404, "not-found")
    assert problem(await anna.get("/v1/cases/17")) == (422, "invalid")


async def test_who_saw_an_older_version_is_told_and_changes_nothing(
    scored: Make, deliver: Deliver, act: Act, rows: Rows
) -> None:
    await deliver(scored("r-1"))
    first = await act("notes", {"text": "Первая"}, If_Match='"2"')
    assert (first.status_code, first.headers["etag"]) == (201, '"3"')
    stale = await act("notes", {"text": "Вторая"}, If_Match='"2"')
    assert (problem(stale), stale.headers["etag"]) == ((412, "precondition-failed"), '"3"')
    assert [row.text for row in await rows("SELECT text FROM timeline WHERE kind = 'noted'")] == ["Первая"]


async def test_of_two_people_who_act_at_once_on_what_they_saw_one_is_refused(
    scored: Make,
    deliver: Deliver,
    act: Act,
    database: Database,
    rows: Rows,
    somebody_waits: Callable[[], Awaitable[None]],
) -> None:
    """Both wait for the case, held by a third: whoever comes first wins, the other one sees the new version."""
    await deliver(scored("r-1"))
    async with database.transaction() as tx:
        await cases.lock_one(tx, CASE)
        both = [
            asyncio.create_task(act("escalate", {"reason": "no_authority"}, If_Match='"2"')),
            asyncio.create_task(act("assign", {"owner_id": "boris"}, If_Match='"2"')),
        ]
        await somebody_waits()
    assert sorted(response.status_code for response in await asyncio.gather(*both)) == [200, 412]
    (case,) = await rows("SELECT version, level, owner_id FROM cases")
    assert (case.version, (case.level, case.owner_id)) in [
        (3, ("management", "anna")),
        (3, ("frontline", "boris")),
    ]


async def test_a_command_sent_twice_happens_once(
    scored: Make, deliver: Deliver, act: Act, published: Published
) -> None:
    await deliver(scored("r-1"))
    body: dict[str, object] = {"outcome": "reached"}
    first, second = await asyncio.gather(
        act("contact-attempts", body, Idempotency_Key="call-1"),
        act("contact-attempts", body, Idempotency_Key="call-1"),
    )
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert len([event for _, event in await published() if event.type == "case.contacted.v1"]) == 1
    other = await act("contact-attempts", {"outcome": "declined"}, Idempotency_Key="call-1")
    assert problem(other) == (422, "idempotency-key-reused")


async def test_what_is_stored_for_a_repetition_names_nobody_and_quotes_nobody(
    scored: Make, profile: Make, deliver: Deliver, act: Act, rows: Rows
) -> None:
    await deliver(profile(), scored("r-1"))
    await act("notes", {"text": "Ольга ждёт звонка"}, Idempotency_Key="note-1")
    (stored,) = await rows("SELECT convert_from(body, 'UTF8') AS body FROM idempotency_keys")
    assert "Ольга" not in stored.body
    assert "сорок минут" not in stored.body


async def test_the_timeline_names_the_person_or_else_the_key(
    scored: Make, deliver: Deliver, act: Act, log_in: LogIn, anna: httpx.AsyncClient
) -> None:
    await deliver(scored("r-1"))
    await act("notes", {"text": "Звонила"})
    crm = await log_in()
    await crm.post(f"/v1/cases/{CASE}/notes", json={"text": "Из CRM"})
    timeline = (await anna.get(f"/v1/cases/{CASE}")).json()["timeline"]
    assert [entry["actor"] for entry in timeline][-2:] == [
        {"kind": "person", "id": "anna", "name": "Anna"},
        {"kind": "key", "id": "portal", "name": None},
    ]


@pytest.mark.parametrize(
    ("role", "read", "write"),
    [
        ("agent", 200, 201),
        ("manager", 200, 201),
        ("executive", 200, 201),
        ("administrator", 200, 201),
        ("employee", 403, 403),
        ("operator", 403, 403),
    ],
)
async def test_who_closes_loops_sees_cases_and_nobody_else(
    scored: Make, deliver: Deliver, log_in: LogIn, role: str, read: int, write: int
) -> None:
    await deliver(scored("r-1"))
    person = await log_in("somebody", role)
    assert (await person.get("/v1/cases")).status_code == read
    assert (await person.get(f"/v1/cases/{CASE}")).status_code == read
    assert (await person.post(f"/v1/cases/{CASE}/notes", json={"text": "…"})).status_code == write


async def test_a_key_without_the_scope_is_refused(log_in: LogIn) -> None:
    reader = await log_in(scopes=["cases:read"])
    assert (await reader.get("/v1/cases")).status_code == 200
    assert problem(await reader.post(f"/v1/cases/{CASE}/notes", json={"text": "…"})) == (403, "missing-scope")
    assert problem(await reader.get("/v1/agents")) == (403, "missing-scope")
    reader.headers.pop("Authorization")
    assert problem(await reader.get("/v1/cases")) == (401, "unauthenticated")


async def test_events_of_a_command_carry_its_trace(
    scored: Make, deliver: Deliver, act: Act, published: Published
) -> None:
    await deliver(scored("r-1"))
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    await act("escalate", {"reason": "no_authority"}, traceparent=trace)
    assert (await published())[-1][1].traceparent == trace


async def test_loads_follow_whatever_people_do(
    scored: Make, said: Make, deliver: Deliver, act: Act, rows: Rows
) -> None:
    async def owned() -> dict[str, int]:
        return {row.agent_id: row.running_cases for row in await rows("SELECT * FROM agent_loads") if row.running_cases}

    await deliver(scored("r-1"), scored("r-2", customer_id="c-2"))
    assert await owned() == {"anna": 2}
    await act("assign", {"owner_id": "boris"})
    assert await owned() == {"anna": 1, "boris": 1}
    await act("contact-attempts", {"outcome": "reached"})
    await act("resolve", {"root_cause_id": "service"})
    assert await owned() == {"anna": 1}
    await deliver(said(CASE, solved=False))
    assert await owned() == {"anna": 1, "boris": 1}


async def test_the_documented_answers_are_in_openapi(anna: httpx.AsyncClient) -> None:
    paths = (await anna.get("/openapi.json")).json()["paths"]
    for command, success in (("contact-attempts", "201"), ("assign", "200"), ("resolve", "200"), ("notes", "201")):
        operation = paths[f"/v1/cases/{{case_id}}/{command}"]["post"]
        assert {success, "404", "409", "412", "422"} <= set(operation["responses"])
        assert {"If-Match", "Idempotency-Key"} <= {each["name"] for each in operation["parameters"]}


async def test_a_case_held_in_the_database_is_never_saved_at_another_version(
    scored: Make, deliver: Deliver, database: Database
) -> None:
    """The last guard: a save without the lock is found before it overwrites anything."""
    await deliver(scored("r-1"))

    async def save_unlocked() -> None:
        async with database.transaction() as tx:
            (case,) = await cases.lock(tx, [CASE])
            await tx.execute(text("UPDATE cases SET version = version + 1"))
            book = Casebook([case])
            book.put(Decision(replace(case, score=0)))
            await saving.save(tx, book)

    with pytest.raises(saving.StaleCase):
        await save_unlocked()
