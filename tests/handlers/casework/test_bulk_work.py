"""Many cases at once: previewed, done once, reported case by case; filters are saved and shared, lists exported."""

import csv
import io
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from libs.events.event import Event
from services.casework.domain.names import ResponseId, case_id_of

Make = Callable[..., Event[Any]]
Deliver = Callable[..., Awaitable[None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
Rows = Callable[..., Awaitable[Sequence[Any]]]
LogIn = Callable[..., Awaitable[httpx.AsyncClient]]
Hire = Callable[..., Awaitable[None]]
NOBODYS = "00000000-0000-0000-0000-00000000000a"

pytestmark = pytest.mark.usefixtures("staff")


def case(number: int) -> str:
    return str(case_id_of(ResponseId(f"r-{number}")))


@pytest.fixture
async def boris(staff: None, scored: Make, said: Make, deliver: Deliver, log_in: LogIn) -> httpx.AsyncClient:  # noqa: ARG001 - they own the cases
    """The manager, before four cases of Anna's: one contacted, one closed."""
    anna = await log_in("anna")
    await deliver(*(scored(f"r-{n}", customer_id=f"c-{n}") for n in (1, 2, 3, 4)))
    for number in (2, 3):
        await anna.post(f"/v1/cases/{case(number)}/contact-attempts", json={"outcome": "reached"})
    await anna.post(f"/v1/cases/{case(3)}/resolve", json={"root_cause_id": "service"})
    await deliver(said(case(3), solved=True, customer="c-3"))
    return await log_in("boris", "manager")


async def test_a_preview_says_what_would_change_and_what_is_refused_and_the_command_does_it_once(
    boris: httpx.AsyncClient, anna: httpx.AsyncClient, hire: Hire, published: Published, rows: Rows
) -> None:
    await hire("dmitri")
    named = [{"id": case(1)}, {"id": case(2)}, {"id": case(3)}, {"id": NOBODYS}, {"id": case(4), "version": 1}]
    body: dict[str, Any] = {"action": {"kind": "assign", "owner_id": "dmitri"}, "cases": named, "note": "Смена"}
    assert (await anna.post("/v1/cases/bulk", json=body | {"preview": True})).status_code == 403
    before = len(await published())
    preview = (await boris.post("/v1/cases/bulk", json=body | {"preview": True})).json()
    assert [(each["result"], each["because"]) for each in preview["items"]] == [
        ("changed", None),
        ("changed", None),
        ("refused", "case-already-closed"),
        ("refused", "not-found"),
        ("refused", "precondition-failed"),
    ]
    assert [each["customer_is_told"] for each in preview["items"]] == [False, True, False, False, False]
    assert (len(await published()), (preview["changed"], preview["refused"])) == (before, (2, 3))

    once = {"Idempotency-Key": "bulk-1"}
    done = (await boris.post("/v1/cases/bulk", json=body | {"preview": False}, headers=once)).json()
    assert done["items"] == preview["items"]
    assert (await boris.post("/v1/cases/bulk", json=body | {"preview": False}, headers=once)).json() == done
    told = [event.type for _, event in (await published())[before:]]
    assert told == ["case.assigned.v1", "case.assigned.v1", "case.contact.changed.v1"] or sorted(told) == [
        "case.assigned.v1",
        "case.assigned.v1",
        "case.contact.changed.v1",
    ]
    owners = {row.customer_id: row.owner_id for row in await rows("SELECT customer_id, owner_id FROM cases")}
    assert owners == {"c-1": "dmitri", "c-2": "dmitri", "c-3": "anna", "c-4": "anna"}
    again = (await boris.post("/v1/cases/bulk", json=body | {"preview": False})).json()
    assert [each["result"] for each in again["items"]][:2] == ["unchanged", "unchanged"]


async def test_the_cases_of_a_filter_climb_each_with_its_own_event(
    boris: httpx.AsyncClient, published: Published
) -> None:
    body = {
        "action": {"kind": "escalate", "reason": "repeated_problem"},
        "filter": {"status": "open"},
        "preview": False,
    }
    report = (await boris.post("/v1/cases/bulk", json=body)).json()
    assert {each["case_id"]: (each["level_before"], each["level"]) for each in report["items"]} == {
        case(1): ("frontline", "management"),
        case(4): ("frontline", "management"),
    }
    climbed = [event for _, event in await published() if event.type == "case.escalated.v1"]
    assert len({event.id for event in climbed}) == 2
    assert report["more"] is False


async def test_a_priority_by_hand_decides_who_is_called_first(boris: httpx.AsyncClient, published: Published) -> None:
    body = {"action": {"kind": "priority", "priority": 90}, "cases": [{"id": case(4)}], "preview": False}
    report = (await boris.post("/v1/cases/bulk", json=body)).json()
    assert (report["items"][0]["priority_before"], report["items"][0]["priority"]) == (None, 90)
    listed = (await boris.get("/v1/cases", params={"sort": "priority"})).json()["items"]
    assert listed[0]["id"] == case(4)
    assert (await published())[-1][1].type == "case.prioritized.v1"


async def test_the_routing_rule_shares_out_what_nobody_is_named_for(boris: httpx.AsyncClient, hire: Hire) -> None:
    await hire("dmitri")
    body = {"action": {"kind": "assign"}, "filter": {"owner": "anna", "status": "open"}, "preview": True}
    report = (await boris.post("/v1/cases/bulk", json=body)).json()
    assert [each["owner_id"] for each in report["items"]] == ["dmitri", "dmitri"]


async def test_many_take_no_statement_more_than_one(
    boris: httpx.AsyncClient,
    scored: Make,
    deliver: Deliver,
    statements: Callable[[], AbstractContextManager[list[str]]],
) -> None:
    await deliver(*(scored(f"r-{n}", customer_id=f"c-{n}") for n in range(100, 150)))
    await boris.get("/v1/filters")
    counts = []
    for named in ([case(1)], [case(n) for n in range(100, 150)]):
        body = {
            "action": {"kind": "escalate", "reason": "customer_asked"},
            "cases": [{"id": id_} for id_ in named],
            "preview": False,
        }
        with statements() as seen:
            assert (await boris.post("/v1/cases/bulk", json=body)).json()["changed"] == len(named)
        counts.append(len(seen))
    assert counts[0] == counts[1]


async def test_what_is_not_one_clear_wish_is_refused(boris: httpx.AsyncClient) -> None:
    escalate = {"kind": "escalate", "reason": "customer_asked"}
    for body in (
        {"action": escalate, "preview": True},
        {"action": escalate, "preview": True, "filter": {}, "cases": [{"id": case(1)}]},
        {"action": escalate, "preview": True, "cases": [{"id": case(1)}, {"id": case(1)}]},
        {"action": {"kind": "assign", "owner_id": "nobody"}, "preview": True, "filter": {}},
        {"action": {"kind": "close"}, "preview": True, "filter": {}},
    ):
        assert (await boris.post("/v1/cases/bulk", json=body)).status_code == 422


async def test_filters_are_ones_own_or_shared_with_the_team(
    boris: httpx.AsyncClient, anna: httpx.AsyncClient, hire: Hire, log_in: LogIn
) -> None:
    for team in ("first", "second"):
        await boris.put(f"/v1/teams/{team}", json={"name": team.title()})
    await hire("anna", team_id="first")
    await hire("dmitri", team_id="first")
    await hire("egor", team_id="second")
    dmitri, egor = await log_in("dmitri"), await log_in("egor")
    mine, ours = str(uuid4()), str(uuid4())
    wish = {"name": "Горит", "filter": {"status": "open", "due_within_hours": 4}}
    assert (await anna.put(f"/v1/filters/{mine}", json=wish)).status_code == 201
    shared = wish | {"name": "Ключевые", "filter": {"tier": "key", "sort": "priority"}, "team_id": "first"}
    assert (await anna.put(f"/v1/filters/{ours}", json=shared)).status_code == 201
    refused = await anna.put(f"/v1/filters/{uuid4()}", json=wish | {"team_id": "second"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/team_id")

    seen = (await anna.get("/v1/filters")).json()["items"]
    assert [(each["name"], each["mine"]) for each in seen] == [("Горит", True), ("Ключевые", True)]
    (theirs,) = (await dmitri.get("/v1/filters")).json()["items"]
    assert (theirs["id"], theirs["mine"], theirs["owner_name"], theirs["filter"]["tier"]) == (
        ours,
        False,
        "Anna",
        "key",
    )
    assert (await egor.get("/v1/filters")).json()["items"] == []
    assert (await dmitri.put(f"/v1/filters/{ours}", json=wish)).status_code == 403
    assert (await dmitri.delete(f"/v1/filters/{ours}")).status_code == 403

    changed = await anna.put(f"/v1/filters/{mine}", json=wish | {"name": "Срочное"}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    assert (await anna.delete(f"/v1/filters/{mine}", headers={"If-Match": '"1"'})).status_code == 412
    assert (await anna.delete(f"/v1/filters/{mine}")).status_code == 204
    assert len((await anna.get("/v1/filters")).json()["items"]) == 1
    nobody = await log_in()
    assert (await nobody.get("/v1/filters")).status_code == 403


async def test_a_list_is_exported_for_spreadsheets_whatever_customers_are_called(
    boris: httpx.AsyncClient, profile: Make, scored: Make, deliver: Deliver
) -> None:
    await deliver(profile("c-1", name='=HYPERLINK("http://x","y")'), profile("c-2", name="Иванов, Пётр\nООО «Ромашка»"))
    await deliver(*(scored(f"r-{n}", customer_id=f"c-{n}") for n in range(10, 1010)))
    answer = await boris.get("/v1/cases.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="cases.csv"'
    assert answer.text.startswith("\ufeffid,status,")
    table = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"), newline="")))
    assert len({UUID(line["id"]) for line in table}) == len(table) == 1004
    names = {line["customer_id"]: line["customer_name"] for line in table}
    assert names["c-1"] == '\'=HYPERLINK("http://x","y")'
    assert names["c-2"] == "Иванов, Пётр\nООО «Ромашка»"
    closed = (await boris.get("/v1/cases.csv", params={"status": "closed"})).text
    assert [line["customer_id"] for line in csv.DictReader(io.StringIO(closed.removeprefix("\ufeff")))] == ["c-3"]
