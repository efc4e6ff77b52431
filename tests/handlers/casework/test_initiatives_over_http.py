"""Initiatives over HTTP on a real database: evidence, decisions, the quarter clock and the campaign that stops it."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import NAMESPACE_URL, UUID, uuid5

import httpx
import pytest

from libs.events.contracts.messages import CampaignCompleted
from libs.events.database import Database
from libs.events.event import Event
from services.casework.jobs import QuarterClocks

LogIn = Callable[..., Awaitable[httpx.AsyncClient]]
Make = Callable[..., Event[Any]]
Deliver = Callable[..., Awaitable[None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
Rows = Callable[..., Awaitable[Sequence[Any]]]


class Clock(Protocol):
    now: datetime


MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
SINCE = (MONDAY - timedelta(days=1)).isoformat()
PROPOSAL = {
    "title": "Второе окно по утрам",
    "problem": "По утрам ждут сорок минут",
    "root_causes": ["service"],
    "themes": ["waiting"],
    "department_id": "branches",
    "owner_id": "boris",
    "since": SINCE,
}


@pytest.fixture
async def boris(log_in: LogIn) -> httpx.AsyncClient:
    return await log_in("boris", "manager")


@pytest.fixture
async def vera(log_in: LogIn) -> httpx.AsyncClient:
    return await log_in("vera", "executive")


@pytest.fixture
async def branches(staff: None, log_in: LogIn) -> None:  # noqa: ARG001 - people before departments
    admin = await log_in("root", "administrator")
    answer = await admin.put("/v1/departments/branches", json={"name": "Отделения", "manager_id": "boris"})
    assert answer.status_code == 201


@pytest.fixture
def three_cases(
    branches: None,  # noqa: ARG001 - somebody who can own them
    deliver: Deliver,
    scored: Make,
    profile: Make,
    anna: httpx.AsyncClient,
    rows: Rows,
) -> Callable[[], Awaitable[list[UUID]]]:
    """Cases of Olga, Pavel and of somebody unknown, resolved with causes at and below `service`, and one other."""

    async def make() -> list[UUID]:
        await deliver(profile("c-1", current_value=1000.0), profile("c-2", name="Павел", current_value=250.0))
        for number, (customer, root_cause) in enumerate(
            [("c-1", "service.waiting"), ("c-2", "service.passed_on"), (None, "service"), ("c-9", "price.high")]
        ):
            answered_at = MONDAY + timedelta(minutes=number)
            await deliver(scored(f"r-{number}", customer_id=customer, answered_at=answered_at, themes=("waiting",)))
            found = await rows("SELECT id FROM cases WHERE opening_response_id = :id", id=f"r-{number}")
            path = f"/v1/cases/{found[0].id}"
            assert (await anna.post(f"{path}/contact-attempts", json={"outcome": "reached"})).status_code == 201
            assert (await anna.post(f"{path}/resolve", json={"root_cause_id": root_cause})).status_code == 200
        return [row.id for row in await rows("SELECT id FROM cases ORDER BY answered_at")]

    return make


async def propose(boris: httpx.AsyncClient, **changes: object) -> dict[str, Any]:
    answer = await boris.post("/v1/initiatives", json=PROPOSAL | changes)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def shipped(boris: httpx.AsyncClient, vera: httpx.AsyncClient) -> dict[str, Any]:
    path = f"/v1/initiatives/{(await propose(boris))['id']}"
    for client, step, body in (
        (vera, "approve", {"due_on": "2026-03-01", "budget": 950_000, "currency": "RUB"}),
        (boris, "start", {}),
        (boris, "ship", {"learned": "Ждали сорок минут", "changed": "Открыто второе окно"}),
    ):
        answer = await client.post(f"{path}/{step}", json=body)
        assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def campaign(*initiatives: str, at: datetime) -> Event[Any]:
    payload = CampaignCompleted(
        campaign_id="k-1", initiative_ids=initiatives, completed_at=at, recipients=10, held_back=1
    )
    return Event.root(uuid5(NAMESPACE_URL, "k-1"), payload, subject="k-1", time=at, source="/notify")


async def test_what_many_cases_have_in_common_is_told_by_root_cause_with_the_value_at_stake(
    three_cases: Callable[[], Awaitable[list[UUID]]], boris: httpx.AsyncClient
) -> None:
    await three_cases()
    initiative = await propose(boris, root_causes=["service.waiting"])
    found = {each["root_cause_id"]: each for each in (await boris.get("/v1/evidence")).json()}
    assert list(found)[:2] == ["service.waiting", "service.passed_on"]
    assert found["service.waiting"]["value_at_stake"] == 1000.0
    assert found["service.waiting"]["initiatives"] == [initiative["id"]]
    assert (found["service"]["customers"], found["service"]["value_at_stake"]) == (0, None)
    assert found["price.high"]["cases"] == 1


async def test_all_cases_with_its_causes_and_those_below_stand_behind_a_proposal(
    three_cases: Callable[[], Awaitable[list[UUID]]], boris: httpx.AsyncClient, published: Published
) -> None:
    cases = await three_cases()
    proposed = await propose(boris)
    assert (proposed["status"], proposed["version"], proposed["owner_name"]) == ("proposed", 1, "Boris")
    assert proposed["feedback_since"] == "2026-01-05T09:00:00Z"
    assert proposed["communicate_by"] == "2026-04-05T09:00:00Z"

    detail = (await boris.get(f"/v1/initiatives/{proposed['id']}")).json()
    assert detail["evidence"] == {"cases": 3, "customers": 2, "value_at_stake": 1250.0}
    assert [comment["comment"] for comment in detail["comments"]] == ["Ждала сорок минут"] * 3
    behind = (await boris.get(f"/v1/initiatives/{proposed['id']}/cases")).json()["items"]
    assert {each["id"] for each in behind} == {str(id_) for id_ in cases[:3]}

    key, event = (await published())[-1]
    assert (key, event.type, event.subject) == (proposed["id"], "initiative.proposed.v1", proposed["id"])
    assert (event.payload.cases, event.payload.value_at_stake) == (3, 1250.0)


async def test_managers_propose_and_do_and_executives_decide(
    branches: None,  # noqa: ARG001 - where it belongs
    anna: httpx.AsyncClient,
    boris: httpx.AsyncClient,
    vera: httpx.AsyncClient,
) -> None:
    assert (await anna.post("/v1/initiatives", json=PROPOSAL)).status_code == 403
    path = f"/v1/initiatives/{(await propose(boris))['id']}"
    assert (await boris.post(f"{path}/approve", json={"due_on": "2026-03-01"})).status_code == 403
    early = await boris.post(f"{path}/start", json={})
    assert (early.status_code, early.json()["status_of_initiative"]) == (409, "proposed")
    assert (await vera.post(f"{path}/approve", json={"due_on": "2026-03-01"})).json()["status"] == "approved"
    assert (await anna.get(path)).json()["due_on"] == "2026-03-01"
    history = (await anna.get(path)).json()["history"]
    assert [(line["kind"], line["actor"]["name"]) for line in history] == [("proposed", "Boris"), ("approved", "Vera")]


async def test_what_names_somebody_or_something_unknown_is_refused_with_its_place(
    branches: None,  # noqa: ARG001 - where it belongs
    boris: httpx.AsyncClient,
) -> None:
    for change, pointer in (
        ({"owner_id": "nobody"}, "/owner_id"),
        ({"department_id": "nowhere"}, "/department_id"),
        ({"root_causes": ["service", "no-such"]}, "/root_causes/1"),
    ):
        answer = await boris.post("/v1/initiatives", json=PROPOSAL | change)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    path = f"/v1/initiatives/{(await propose(boris))['id']}"
    answer = await boris.post(f"{path}/cases", json={"case_ids": [str(UUID(int=1))]})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/case_ids/0")
    assert (await boris.post(f"/v1/initiatives/{UUID(int=1)}/start", json={})).status_code == 404


async def test_two_who_decide_on_one_version_do_not_overwrite_each_other(
    branches: None,  # noqa: ARG001 - where it belongs
    boris: httpx.AsyncClient,
    vera: httpx.AsyncClient,
) -> None:
    path = f"/v1/initiatives/{(await propose(boris))['id']}"
    seen = {"If-Match": '"1"'}
    first = await vera.post(f"{path}/approve", json={"due_on": "2026-03-01"}, headers=seen)
    second = await vera.post(f"{path}/decline", json={"reason": "нет денег"}, headers=seen)
    assert (first.status_code, second.status_code) == (200, 412)


async def test_a_proposal_that_is_sent_twice_is_made_once(
    branches: None,  # noqa: ARG001 - where it belongs
    boris: httpx.AsyncClient,
) -> None:
    answers = [await boris.post("/v1/initiatives", json=PROPOSAL, headers={"Idempotency-Key": "p-1"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len((await boris.get("/v1/initiatives")).json()["items"]) == 1


async def test_the_list_pages_by_status_and_department(
    branches: None,  # noqa: ARG001 - where it belongs
    boris: httpx.AsyncClient,
    vera: httpx.AsyncClient,
) -> None:
    made = [(await propose(boris, title=f"Число {number}"))["id"] for number in range(3)]
    await vera.post(f"/v1/initiatives/{made[0]}/decline", json={"reason": "нет"})
    first = (await boris.get("/v1/initiatives?limit=2&department=branches")).json()
    second = (await boris.get("/v1/initiatives", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert {each["id"] for each in first["items"] + second["items"]} == set(made)
    assert second["next_cursor"] is None
    declined = (await boris.get("/v1/initiatives?status=declined")).json()["items"]
    assert [(each["id"], each["decision_reason"]) for each in declined] == [(made[0], "нет")]


async def test_the_quarter_clock_warns_breaches_and_is_silent_once_the_campaign_is_sent(
    three_cases: Callable[[], Awaitable[list[UUID]]],
    boris: httpx.AsyncClient,
    vera: httpx.AsyncClient,
    database: Database,
    clock: Clock,
    deliver: Deliver,
    published: Published,
) -> None:
    await three_cases()
    told, late = await shipped(boris, vera), await shipped(boris, vera)
    clocks = QuarterClocks(database, batch=10)
    clock.now = MONDAY + timedelta(days=59, hours=23)
    assert await clocks.step() is False
    clock.now = MONDAY + timedelta(days=60)
    await clocks.step()
    await clocks.step()
    sent = campaign(told["id"], at=MONDAY + timedelta(days=61))
    await deliver(sent)
    await deliver(sent)
    clock.now = MONDAY + timedelta(days=91)
    await clocks.step()
    await clocks.step()
    await deliver(campaign(late["id"], at=clock.now))

    told_of: dict[str, list[str]] = {told["id"]: [], late["id"]: []}
    for key, event in await published():
        if key in told_of:
            told_of[key].append(event.type.split(".", 1)[1])
    life = ["proposed.v1", "approved.v1", "started.v1", "shipped.v1", "clock.warned.v1"]
    assert told_of[told["id"]] == [*life, "communicated.v1"]
    assert told_of[late["id"]] == [*life, "clock.breached.v1"]
    now = (await boris.get(f"/v1/initiatives/{told['id']}")).json()
    assert (now["communicated_at"], now["campaign_id"]) == ("2026-03-07T09:00:00Z", "k-1")
    assert (await boris.get(f"/v1/initiatives/{late['id']}")).json()["communicate_by_breached"] is True


async def test_the_effect_of_a_change_is_the_time_after_it_beside_the_time_before_the_work_began(
    three_cases: Callable[[], Awaitable[list[UUID]]],
    boris: httpx.AsyncClient,
    vera: httpx.AsyncClient,
    anna: httpx.AsyncClient,
    clock: Clock,
    deliver: Deliver,
    scored: Make,
) -> None:
    await three_cases()
    clock.now = MONDAY + timedelta(days=1)
    waiting = (await propose(boris))["id"]
    assert (await anna.get(f"/v1/initiatives/{waiting}/effect")).status_code == 409
    clock.now = MONDAY + timedelta(days=10)
    changed = (await shipped(boris, vera))["id"]
    clock.now = MONDAY + timedelta(days=20)
    for number in range(8):
        answer = scored(
            f"later-{number}", score=10, customer_id=f"c-{number + 20}", answered_at=MONDAY + timedelta(days=15)
        )
        await deliver(answer)

    found = (await anna.get(f"/v1/initiatives/{changed}/effect?days=30")).json()
    assert found["before"] == {"since": "2025-12-16T09:00:00Z", "until": "2026-01-15T09:00:00Z"}
    assert found["after"] == {"since": "2026-01-15T09:00:00Z", "until": "2026-01-25T09:00:00Z"}
    assert (found["root_causes"]["before"]["count"], found["root_causes"]["before"]["n"]) == (3, 4)
    assert (found["root_causes"]["after"]["n"], found["root_causes"]["change"]) == (0, None)
    themes = found["themes"]
    assert [(themes[side]["count"], themes[side]["n"]) for side in ("before", "after")] == [(4, 4), (0, 8)]
    assert themes["change"]["value"] == -1.0
    assert themes["change"]["ci_high"] < 0
    [score] = found["scores"]
    assert (score["kind"], score["before"]["nps"], score["after"]["nps"]) == ("transactional", -100.0, 100.0)
    assert (score["before"]["n"], score["after"]["n"], score["change"]["value"]) == (4, 8, 200.0)
    assert 0 < score["change"]["ci_low"] < score["change"]["ci_high"] <= 200
