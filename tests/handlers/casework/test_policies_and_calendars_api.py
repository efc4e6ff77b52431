"""Policies of programs and levels, and calendars, over HTTP: what the company edits, and which clocks go by it."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from libs.events.event import Event

LogIn = Callable[..., Awaitable[httpx.AsyncClient]]
Make = Callable[..., Event[Any]]
Deliver = Callable[..., Awaitable[None]]
Rows = Callable[..., Awaitable[Sequence[Any]]]

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
NINE_TO_SIX = [{"start": "09:00", "end": "13:00"}, {"start": "14:00", "end": "18:00"}]
OFFICE = {
    "name": "Москва",
    "zone": "Europe/Moscow",
    "week": dict.fromkeys(("monday", "tuesday", "wednesday", "thursday", "friday"), NINE_TO_SIX),
    "holidays": ["2026-01-06"],
    "special_days": [{"date": "2026-01-10", "hours": [{"start": "10:00", "end": "24:00"}]}],
}

pytestmark = pytest.mark.usefixtures("staff")


@pytest.fixture
async def admin(log_in: LogIn) -> httpx.AsyncClient:
    return await log_in("root", "administrator")


@pytest.fixture
async def policy(admin: httpx.AsyncClient) -> dict[str, Any]:
    """The standard tier's policy, as a body to be put."""
    found: dict[str, Any] = (await admin.get("/v1/sla-policies/standard")).json()
    return {name: value for name, value in found.items() if name not in ("tier", "version", "warn_after")}


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["type"].removeprefix("urn:otklik:problem:")


async def test_a_program_has_a_policy_of_its_own_until_it_is_taken_away(
    admin: httpx.AsyncClient, policy: dict[str, Any], scored: Make, deliver: Deliver, rows: Rows
) -> None:
    address = "/v1/programs/премиум retail/sla-policies/standard"
    assert (await admin.get(address)).status_code == 404
    created = await admin.put(address, json=policy | {"first_contact_hours": 4, "warnings": [0.5, 0.9]})
    assert (created.status_code, created.json()["program"], created.json()["warn_after"]) == (
        201,
        "премиум retail",
        0.5,
    )
    assert [each["tier"] for each in (await admin.get(address.rpartition("/")[0])).json()["items"]] == ["standard"]
    await deliver(
        scored("r-1", program="премиум retail"),
        scored("r-2", program="премиум retail", customer_id="c-2", tier="low"),
        scored("r-3", customer_id="c-3"),
    )
    replaced = await admin.put(address, json=policy | {"first_contact_hours": 8}, headers={"If-Match": '"1"'})
    assert (replaced.status_code, replaced.json()["version"]) == (200, 2)
    assert (await admin.put(address, json=policy, headers={"If-Match": '"1"'})).status_code == 412
    assert (await admin.delete(address, headers={"If-Match": '"1"'})).status_code == 412
    assert (await admin.delete(address)).status_code == 204
    assert (await admin.delete(address)).status_code == 404
    await deliver(scored("r-4", program="премиум retail", customer_id="c-4"))
    due = await rows("SELECT first_contact_due_at - answered_at AS allowance FROM cases ORDER BY customer_id")
    # Clocks that run keep their instants, whatever becomes of the policy.
    assert [row.allowance / timedelta(hours=1) for row in due] == [4, 48, 48, 48]
    stored = await rows("SELECT first_contact_later AS later FROM cases ORDER BY customer_id")
    assert [row.later for row in stored] == [[MONDAY + timedelta(hours=3.6)], None, None, None]


async def test_business_hours_hold_where_a_policy_names_a_calendar(
    admin: httpx.AsyncClient, policy: dict[str, Any], scored: Make, deliver: Deliver, rows: Rows
) -> None:
    missing = await admin.put("/v1/sla-policies/standard", json=policy | {"calendar_id": "moscow"})
    assert problem(missing) == (422, "unknown-calendar")
    created = await admin.put("/v1/calendars/moscow", json=OFFICE)
    assert (created.status_code, created.json()["week"]["monday"], created.json()["week"]["sunday"]) == (
        201,
        NINE_TO_SIX,
        [],
    )
    found = await admin.get("/v1/calendars/moscow")
    assert found.json() == created.json()
    assert found.headers["etag"] == '"1"'
    assert [each["id"] for each in (await admin.get("/v1/calendars")).json()["items"]] == ["moscow"]
    body = policy | {"calendar_id": "moscow", "first_contact_hours": 16, "resolution_hours": 44}
    assert (await admin.put("/v1/sla-policies/standard", json=body)).json()["calendar_id"] == "moscow"

    await deliver(scored("r-1"))  # Monday, noon in Moscow: five hours; Tuesday is a holiday, Wednesday has eight
    (row,) = await rows("SELECT first_contact_due_at, resolution_due_at FROM cases")
    assert row.first_contact_due_at == datetime(2026, 1, 8, 9, tzinfo=UTC)
    # 5 on Monday, 8 each from Wednesday to Friday, 14 on Saturday, and the last of Monday.
    assert row.resolution_due_at == datetime(2026, 1, 12, 7, tzinfo=UTC)

    assert problem(await admin.delete("/v1/calendars/moscow")) == (409, "calendar-in-use")
    assert (await admin.put("/v1/sla-policies/standard", json=policy)).json()["calendar_id"] is None
    assert (await admin.delete("/v1/calendars/moscow")).status_code == 204
    assert (await admin.get("/v1/calendars/moscow")).status_code == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"zone": "Europe/Atlantis"},
        {"zone": "../../etc/passwd"},
        {"week": {}},
        {"week": {"someday": NINE_TO_SIX}},
        {"week": {"monday": [{"start": "9:00", "end": "18:00"}]}},
        {"week": {"monday": [{"start": "18:00", "end": "09:00"}]}},
        {"week": {"monday": [{"start": "09:00", "end": "20:00"}, {"start": "19:00", "end": "21:00"}]}},
        {"holidays": ["2026-02-30"]},
        {"holidays": ["2026-01-10"]},
        {"special_days": [{"date": "2026-01-11", "hours": []}, {"date": "2026-01-11", "hours": []}]},
    ],
)
async def test_a_calendar_that_nobody_could_count_by_is_refused(
    admin: httpx.AsyncClient, changes: dict[str, object]
) -> None:
    assert problem(await admin.put("/v1/calendars/moscow", json=OFFICE | changes)) == (422, "invalid")


@pytest.mark.parametrize(
    "changes",
    [
        {"warnings": []},
        {"warnings": [0.9, 0.5]},
        {"warnings": [0.5, 0.5]},
        {"warnings": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]},
        {"warnings": [1.0]},
        {"warnings": [0.5], "warn_after": 0.75},
        {"warnings": None},
        {"management_hours": 0},
        {"longest_wait_days": -1},
        {"calendar_id": "no such id"},
    ],
)
async def test_warnings_levels_and_waits_that_make_no_sense_are_refused(
    admin: httpx.AsyncClient, policy: dict[str, Any], changes: dict[str, object]
) -> None:
    assert problem(await admin.put("/v1/sla-policies/standard", json=policy | changes)) == (422, "invalid")


@pytest.mark.parametrize("program", ["%00", "%ff", "%ed%a0%80", "a%2fb", "%0a"])
async def test_a_program_by_a_name_that_no_program_has_is_a_refusal_and_no_failure(
    admin: httpx.AsyncClient, policy: dict[str, Any], program: str
) -> None:
    address = f"/v1/programs/{program}/sla-policies/key"
    for answer in (await admin.get(address), await admin.put(address, json=policy), await admin.delete(address)):
        assert answer.status_code in {400, 404, 422}


async def test_who_only_knows_of_one_warning_says_when_to_warn_first(
    admin: httpx.AsyncClient, policy: dict[str, Any]
) -> None:
    body = {name: value for name, value in policy.items() if name != "warnings"} | {"warn_after": 0.6}
    changed = (await admin.put("/v1/sla-policies/standard", json=body)).json()
    assert (changed["warnings"], changed["warn_after"]) == ([0.6], 0.6)


@pytest.mark.parametrize(
    ("role", "read", "write"), [("agent", 200, 403), ("operator", 200, 403), ("employee", 403, 403)]
)
async def test_who_leads_sets_policies_and_calendars(
    log_in: LogIn, policy: dict[str, Any], role: str, read: int, write: int
) -> None:
    person = await log_in("somebody", role)
    for path in ("/v1/calendars", "/v1/programs/retail/sla-policies"):
        assert (await person.get(path)).status_code == read
    assert (await person.put("/v1/calendars/moscow", json=OFFICE)).status_code == write
    assert (await person.put("/v1/programs/retail/sla-policies/key", json=policy)).status_code == write
    assert (await person.delete("/v1/programs/retail/sla-policies/key")).status_code == write
