"""Clocks counted anew over HTTP, set by set, and the alarm where nobody looks at clocks."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import httpx
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from libs.events.contracts.cases import CaseClockBreached, CaseClockChanged, CaseEscalated
from libs.events.database import Database
from libs.events.event import Event
from services.casework.contact_jobs import CallbackClocks
from services.casework.domain.names import ResponseId, case_id_of
from services.casework.jobs import Clocks, Recomputing, Watchdog
from services.casework.task_jobs import TaskClocks

LogIn = Callable[..., Awaitable[httpx.AsyncClient]]
Make = Callable[..., Event[Any]]
Deliver = Callable[..., Awaitable[None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
Rows = Callable[..., Awaitable[Sequence[Any]]]
Recompute = Callable[..., Coroutine[None, None, dict[str, Any]]]


class Clock(Protocol):
    now: datetime


MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("staff")


@pytest.fixture
async def boris(log_in: LogIn) -> httpx.AsyncClient:
    return await log_in("boris", "manager")


@pytest.fixture
def recompute(boris: httpx.AsyncClient, database: Database) -> Recompute:
    """Ask for it, let the loop do it in sets of three, and see what came of it."""

    async def ask(**body: object) -> dict[str, Any]:
        asked = await boris.post("/v1/sla-policies/recompute", json={"dry_run": False, **body})
        assert (asked.status_code, asked.json()["status"]) == (202, "running"), asked.text
        while await Recomputing(database, batch=3).step():
            pass
        found: dict[str, Any] = (await boris.get(asked.headers["location"])).json()
        return found

    return ask


async def shorten(boris: httpx.AsyncClient, hours: int) -> None:
    policy = (await boris.get("/v1/sla-policies/standard")).json()
    body = {name: value for name, value in policy.items() if name not in ("tier", "version")}
    changed = await boris.put("/v1/sla-policies/standard", json=body | {"first_contact_hours": hours})
    assert changed.status_code == 200


async def test_a_dry_run_says_how_many_and_which_and_the_act_does_just_that(
    scored: Make, deliver: Deliver, published: Published, boris: httpx.AsyncClient, recompute: Recompute, clock: Clock
) -> None:
    """Seven open cases: five of the standard tier, two of which are old enough to breach; one low; one contacted."""
    for number in range(1, 8):
        tier = "low" if number == 6 else "standard"
        answered_at = MONDAY - timedelta(hours=20 if number <= 2 else 1)
        await deliver(scored(f"r-{number}", customer_id=f"c-{number}", tier=tier, answered_at=answered_at))
    contacted = case_id_of(ResponseId("r-7"))
    await boris.post(f"/v1/cases/{contacted}/contact-attempts", json={"outcome": "reached"})
    before = [event.payload for _, event in await published()]
    await shorten(boris, 12)

    dry = await recompute(dry_run=True, tier="standard")
    assert (dry["status"], dry["seen"], dry["changed"], dry["breached"]) == ("done", 6, 5, 2)
    assert len(await published()) == len(before)
    breaches = (await boris.get(f"/v1/sla-policies/recomputations/{dry['id']}/breaches?limit=1")).json()
    following = await boris.get(
        f"/v1/sla-policies/recomputations/{dry['id']}/breaches", params={"cursor": breaches["next_cursor"]}
    )
    which = [each["case_id"] for each in (*breaches["items"], *following.json()["items"])]
    assert set(which) == {str(case_id_of(ResponseId(f"r-{number}"))) for number in (1, 2)}
    assert breaches["items"][0]["clocks"] == ["first_contact"]

    clock.now += timedelta(minutes=1)
    done = await recompute(tier="standard")
    assert (done["seen"], done["changed"], done["breached"], done["asked_by"]) == (6, 5, 2, "boris")
    told = [event.payload for _, event in await published()][len(before) :]
    assert sum(isinstance(each, CaseClockChanged) for each in told) == 5
    assert {each.case_id for each in told if isinstance(each, CaseClockBreached)} == set(which)
    assert {each.case_id for each in told if isinstance(each, CaseEscalated)} == set(which)
    case = (await boris.get(f"/v1/cases/{which[0]}")).json()
    assert [entry["kind"] for entry in case["timeline"]][-3:] == ["clock_changed", "clock_breached", "escalated"]
    assert case["timeline"][-3]["actor"] == {"kind": "person", "id": "boris", "name": "Boris"}

    clock.now += timedelta(minutes=1)
    again = await recompute()
    assert (again["seen"], again["changed"], again["breached"]) == (7, 0, 0)
    listed: list[str] = []
    cursor: dict[str, str] = {}
    while len(listed) < 3:
        page = (await boris.get("/v1/sla-policies/recomputations", params={"limit": "1", **cursor})).json()
        listed += [each["id"] for each in page["items"]]
        cursor = {"cursor": page["next_cursor"]}
    assert listed == [again["id"], done["id"], dry["id"]]
    assert cursor == {"cursor": None}


async def test_a_changed_calendar_moves_what_runs_by_it_and_nothing_else(
    scored: Make, deliver: Deliver, boris: httpx.AsyncClient, recompute: Recompute, rows: Rows
) -> None:
    hours = [{"start": "09:00", "end": "18:00"}]
    days = ("monday", "tuesday", "wednesday", "thursday", "friday")
    office: dict[str, Any] = {"name": "Office", "zone": "UTC", "week": dict.fromkeys(days, hours)}
    await boris.put("/v1/calendars/office", json=office)
    policy = (await boris.get("/v1/sla-policies/standard")).json()
    body = {name: value for name, value in policy.items() if name not in ("tier", "version")}
    body |= {"calendar_id": "office", "first_contact_hours": 18}
    await boris.put("/v1/programs/retail/sla-policies/standard", json=body)
    await deliver(scored("r-1"), scored("r-2", customer_id="c-2", program="corporate"))

    async def due() -> list[datetime]:
        found = await rows("SELECT first_contact_due_at AS due FROM cases ORDER BY customer_id")
        return [row.due for row in found]

    first = [datetime(2026, 1, 6, 18, tzinfo=UTC), MONDAY + timedelta(hours=48)]
    assert await due() == first
    await boris.put("/v1/calendars/office", json=office | {"holidays": ["2026-01-06"]})
    assert await due() == first
    done = await recompute(calendar_id="office")
    assert (done["seen"], done["changed"], done["breached"]) == (2, 1, 0)
    assert await due() == [datetime(2026, 1, 7, 18, tzinfo=UTC), first[1]]


async def test_a_case_that_raises_ends_it_by_name_and_to_ask_again_is_safe(
    scored: Make, deliver: Deliver, boris: httpx.AsyncClient, recompute: Recompute, database: Database
) -> None:
    async def give_to(owner: str) -> None:
        async with database.transaction() as tx:
            await tx.execute(text("UPDATE cases SET owner_id = :owner"), {"owner": owner})

    for number in range(5):
        answered_at = MONDAY - timedelta(hours=20)
        await deliver(scored(f"r-{number}", customer_id=f"c-{number}", answered_at=answered_at))
    await shorten(boris, 12)
    await give_to("nobody")
    failed = await recompute()
    assert (failed["status"], failed["failure"], failed["changed"]) == ("failed", "KeyError", 0)
    await give_to("anna")
    assert (await recompute())["breached"] == 5
    assert (await recompute())["changed"] == 0


async def test_who_leads_may_recompute_and_who_closes_loops_may_look(
    log_in: LogIn, boris: httpx.AsyncClient, recompute: Recompute
) -> None:
    anna = await log_in("anna")
    assert (await anna.post("/v1/sla-policies/recompute", json={"dry_run": True})).status_code == 403
    assert (await boris.post("/v1/sla-policies/recompute", json={})).status_code == 422
    assert (
        await boris.post("/v1/sla-policies/recompute", json={"dry_run": True, "calendar_id": "moon"})
    ).status_code == 422
    done = await recompute(dry_run=True)
    assert done["seen"] == 0
    assert (await anna.get(f"/v1/sla-policies/recomputations/{done['id']}")).status_code == 200
    nothing = "/v1/sla-policies/recomputations/00000000-0000-0000-0000-000000000000"
    assert (await anna.get(nothing)).status_code == (await anna.get(f"{nothing}/breaches")).status_code == 404


async def test_clocks_that_nobody_checks_are_an_alarm_that_everybody_who_runs_the_system_sees(
    scored: Make, deliver: Deliver, database: Database, clock: Clock, log_in: LogIn
) -> None:
    operator = await log_in("oleg", "operator")
    clocks, watchdog = Clocks(database, batch=10), Watchdog(database)
    others = (CallbackClocks(database, batch=10), TaskClocks(database, batch=10))

    async def go_round() -> None:
        await clocks.step()
        for each in others:
            await each.step()

    async def alarm() -> tuple[object, object, float | None]:
        await watchdog.step()
        seen = (await operator.get("/v1/clocks")).json()
        return seen["alarm"], seen["late_seconds"], REGISTRY.get_sample_value("casework_clocks_alarm")

    await deliver(scored("r-1"))
    clock.now += timedelta(seconds=11)
    await go_round()
    assert await alarm() == (None, 0, 0)
    clock.now += timedelta(seconds=61)
    assert await alarm() == ("not_checked", 0, 1)
    assert (await operator.get("/v1/clocks")).json()["silent"] == ["callbacks", "cases", "tasks"]
    await go_round()
    assert await alarm() == (None, 0, 0)
    # One loop alone falls silent, and the others do not hide it.
    clock.now += timedelta(seconds=61)
    await clocks.step()
    await others[1].step()
    assert await alarm() == ("not_checked", 0, 1)
    assert (await operator.get("/v1/clocks")).json()["silent"] == ["callbacks"]
    await others[0].step()
    assert await alarm() == (None, 0, 0)
    checked = REGISTRY.get_sample_value("casework_callbacks_checked_timestamp_seconds")
    assert checked == clock.now.timestamp()
    # Somebody looks, and one case is never dealt with.
    async with database.transaction() as tx:
        await tx.execute(text("UPDATE cases SET owner_id = 'nobody'"))
    clock.now = MONDAY + timedelta(hours=36)
    await go_round()
    clock.now += timedelta(seconds=90)
    await go_round()
    assert await alarm() == ("late", 90, 1)
