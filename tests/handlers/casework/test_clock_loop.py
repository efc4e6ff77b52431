"""The clock loop on a real database: never early, once each however many workers, silent after the end."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import httpx
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from libs.events.contracts.cases import (
    CaseClockBreached,
    CaseClockReminded,
    CaseClockWarned,
    CaseClosed,
    CaseEscalated,
)
from libs.events.database import Database
from libs.events.event import Event, derived_id
from services.casework.domain.clocks import Firing
from services.casework.domain.names import ResponseId, case_id_of
from services.casework.jobs import Clocks, Forgetting, Watchdog
from services.casework.store import cases

Make = Callable[..., Event[Any]]
Deliver = Callable[..., Awaitable[None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
Rows = Callable[..., Awaitable[Sequence[Any]]]
Statements = Callable[[], AbstractContextManager[list[str]]]


class Clock(Protocol):
    now: datetime


MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
CASE = case_id_of(ResponseId("r-1"))

pytestmark = pytest.mark.usefixtures("staff")


@pytest.fixture
def tick(database: Database, clock: Clock) -> Callable[[timedelta], Coroutine[None, None, None]]:
    """Let the clock loop run once it is so long after the answer."""

    async def run(after: timedelta) -> None:
        clock.now = MONDAY + after
        while await Clocks(database, batch=100).step():
            pass

    return run


async def by_clock(published: Published) -> list[Any]:
    kinds = (CaseClockWarned, CaseClockBreached, CaseClockReminded, CaseEscalated, CaseClosed)
    return [event.payload for _, event in await published() if isinstance(event.payload, kinds)]


async def test_nothing_happens_early_and_everything_once(
    scored: Make, deliver: Deliver, published: Published, tick: Callable[[timedelta], Coroutine[None, None, None]]
) -> None:
    await deliver(scored("r-1"))
    await tick(timedelta(hours=36) - INSTANT)
    assert await by_clock(published) == []
    await tick(timedelta(hours=36))
    (warned,) = await by_clock(published)
    assert (warned.clock, warned.due_at, warned.owner.name) == (
        "first_contact",
        MONDAY + timedelta(hours=48),
        "Anna",
    )
    await tick(timedelta(hours=48) - INSTANT)
    assert len(await by_clock(published)) == 1
    await tick(timedelta(hours=48))
    await tick(timedelta(hours=49))
    _, breached, escalated = await by_clock(published)
    assert (breached.clock, breached.responsible.name) == ("first_contact", "Boris")
    assert (escalated.from_level, escalated.to_level, escalated.reason) == (
        "frontline",
        "management",
        "clock_breached",
    )
    await tick(timedelta(days=10))
    later = (await by_clock(published))[3:]
    # Management let its day pass, the executives have the case, and then the time to solve it is over, too.
    assert [(type(each), getattr(each, "clock", None)) for each in later] == [
        (CaseClockBreached, "escalation"),
        (CaseEscalated, None),
        (CaseClockBreached, "resolution"),
    ]
    await tick(timedelta(days=100))
    await tick(timedelta(days=102))
    assert [type(each) for each in (await by_clock(published))[6:]] == [CaseClockBreached, CaseClockReminded]


async def test_events_of_a_clock_are_known_by_case_clock_and_instant(
    scored: Make, deliver: Deliver, published: Published, tick: Callable[[timedelta], Coroutine[None, None, None]]
) -> None:
    await deliver(scored("r-1"))
    await tick(timedelta(hours=50))
    key, breached = next((key, event) for key, event in await published() if event.type == CaseClockBreached.TYPE)
    due_at = MONDAY + timedelta(hours=48)
    firing = Firing("first_contact", "breached", due_at, due_at)
    assert (key, breached.id) == ("c-1", derived_id(firing.id(CASE), CaseClockBreached.TYPE))


async def test_stopped_across_a_due_time_it_breaches_once_afterwards_and_skips_the_stale_warning(
    scored: Make, deliver: Deliver, published: Published, tick: Callable[[timedelta], Coroutine[None, None, None]]
) -> None:
    await deliver(scored("r-1"))
    await tick(timedelta(hours=60))
    await tick(timedelta(hours=60))
    assert [type(each) for each in await by_clock(published)] == [CaseClockBreached, CaseEscalated]


async def test_contact_before_the_due_time_silences_the_first_contact_clock(
    scored: Make,
    deliver: Deliver,
    published: Published,
    anna: httpx.AsyncClient,
    tick: Callable[[timedelta], Coroutine[None, None, None]],
) -> None:
    await deliver(scored("r-1"))
    await anna.post(f"/v1/cases/{CASE}/contact-attempts", json={"outcome": "reached"})
    await tick(timedelta(hours=72))
    assert await by_clock(published) == []


async def test_closed_before_it_was_due_means_silence(
    scored: Make,
    said: Make,
    deliver: Deliver,
    published: Published,
    anna: httpx.AsyncClient,
    tick: Callable[[timedelta], Coroutine[None, None, None]],
) -> None:
    await deliver(scored("r-1"))
    await anna.post(f"/v1/cases/{CASE}/contact-attempts", json={"outcome": "reached"})
    await anna.post(f"/v1/cases/{CASE}/resolve", json={"root_cause_id": "service"})
    await deliver(said(CASE, solved=True))
    await tick(timedelta(days=365))
    (closed,) = await by_clock(published)
    assert closed.outcome == "confirmed"


async def test_silence_of_the_customer_closes_unconfirmed_after_its_days(
    scored: Make,
    deliver: Deliver,
    published: Published,
    anna: httpx.AsyncClient,
    tick: Callable[[timedelta], Coroutine[None, None, None]],
) -> None:
    await deliver(scored("r-1"))
    await anna.post(f"/v1/cases/{CASE}/contact-attempts", json={"outcome": "reached"})
    await anna.post(f"/v1/cases/{CASE}/resolve", json={"root_cause_id": "service"})
    resolved_at = timedelta(hours=1)
    await tick(resolved_at + timedelta(days=7) - INSTANT)
    assert await by_clock(published) == []
    await tick(resolved_at + timedelta(days=7))
    (closed,) = await by_clock(published)
    assert closed.outcome == "unconfirmed"


async def test_two_workers_at_once_fire_each_clock_once(
    scored: Make, deliver: Deliver, published: Published, database: Database, clock: Clock
) -> None:
    await deliver(*(scored(f"r-{number}", customer_id=f"c-{number}") for number in range(60)))
    clock.now = MONDAY + timedelta(hours=36)

    async def work() -> None:
        while await Clocks(database, batch=7).step():
            pass

    await asyncio.gather(*(work() for _ in range(4)))
    await work()
    warned = Counter(each.case_id for each in await by_clock(published))
    assert (len(warned), set(warned.values())) == (60, {1})


async def test_what_one_worker_holds_another_passes_over_and_a_rolled_back_claim_is_met_again(
    scored: Make, deliver: Deliver, published: Published, database: Database, clock: Clock
) -> None:
    await deliver(scored("r-1"), scored("r-2", customer_id="c-2"))
    clock.now = MONDAY + timedelta(hours=36)
    other = Clocks(database, batch=10)

    class Killed(Exception):
        """The worker dies between claim and commit."""

    async def claim_and_die() -> None:
        async with database.transaction() as tx:
            (claimed,) = await cases.claim_firing(tx, 1)
            await other.step()
            (passed_by,) = await by_clock(published)
            assert passed_by.case_id != str(claimed.id)
            raise Killed

    with pytest.raises(Killed):
        await claim_and_die()
    await other.step()
    assert {each.case_id for each in await by_clock(published)} == {str(CASE), str(case_id_of(ResponseId("r-2")))}


async def test_a_call_and_the_clock_in_the_same_moment_come_one_after_the_other(
    scored: Make,
    deliver: Deliver,
    published: Published,
    database: Database,
    anna: httpx.AsyncClient,
    clock: Clock,
    somebody_waits: Callable[[], Awaitable[None]],
) -> None:
    """The clock has claimed the case when the call is recorded: the call waits, and comes after the breach."""
    await deliver(scored("r-1"))
    clock.now = MONDAY + timedelta(hours=48)
    async with database.transaction() as tx:
        await cases.claim_firing(tx, 1)
        calling = asyncio.create_task(anna.post(f"/v1/cases/{CASE}/contact-attempts", json={"outcome": "reached"}))
        await somebody_waits()
    assert (await calling).json()["status"] == "contacted"
    await Clocks(database, batch=10).step()
    assert await by_clock(published) == []


async def test_a_tick_takes_a_constant_number_of_statements(
    scored: Make, deliver: Deliver, database: Database, clock: Clock, statements: Statements
) -> None:
    counts = []
    for first, size in ((0, 1), (1_000, 100)):
        clock.now = MONDAY
        await deliver(*(scored(f"r-{number}", customer_id=f"c-{number}") for number in range(first, first + size)))
        clock.now = MONDAY + timedelta(hours=50)
        with statements() as seen:
            await Clocks(database, batch=500).step()
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 6


async def test_a_case_that_raises_is_set_aside_and_the_others_do_not_wait_for_it(
    scored: Make, deliver: Deliver, published: Published, database: Database, clock: Clock, rows: Rows
) -> None:
    """Its owner is missing, as no way of ours could bring about: the whole set raises, and one of it alone."""

    def set_aside() -> float | None:
        return REGISTRY.get_sample_value("casework_clocks_set_aside")

    async def give_bad_case_to(owner: str) -> None:
        async with database.transaction() as tx:
            statement = text("UPDATE cases SET owner_id = :owner WHERE id = :id")
            await tx.execute(statement, {"owner": owner, "id": CASE})

    await deliver(*(scored(f"r-{number}", customer_id=f"c-{number}") for number in range(1, 21)))
    await give_bad_case_to("nobody")
    clocks = Clocks(database, batch=6, hands=2)
    clock.now = MONDAY + timedelta(hours=36)
    while await clocks.step():
        pass
    assert len({each.case_id for each in await by_clock(published)}) == 19
    assert set_aside() == 1
    # Alone from now on: the set with a case that comes later is not in its way.
    clock.now += timedelta(seconds=1)
    await deliver(scored("r-21", customer_id="c-21", answered_at=MONDAY))
    await clocks.step()
    assert len({each.case_id for each in await by_clock(published)}) == 20

    await give_bad_case_to("anna")
    await clocks.step()
    assert set_aside() == 1
    clock.now += timedelta(seconds=10)
    await clocks.step()
    warned = Counter(each.case_id for each in await by_clock(published))
    assert (len(warned), set(warned.values())) == (21, {1})
    assert set_aside() == 0
    assert len(await rows("SELECT id FROM cases WHERE first_contact_stage = 'warned'")) == 21


async def test_where_most_cases_raise_the_program_is_at_fault_and_ends(
    scored: Make, deliver: Deliver, database: Database, clock: Clock
) -> None:
    await deliver(*(scored(f"r-{number}", customer_id=f"c-{number}") for number in range(21)))
    async with database.transaction() as tx:
        await tx.execute(text("UPDATE cases SET owner_id = 'nobody'"))
    clock.now = MONDAY + timedelta(hours=36)
    with pytest.raises(KeyError):
        await Clocks(database, batch=500).step()


async def test_a_full_batch_says_that_more_is_waiting(
    scored: Make, deliver: Deliver, database: Database, clock: Clock
) -> None:
    await deliver(*(scored(f"r-{number}", customer_id=f"c-{number}") for number in range(5)))
    clock.now = MONDAY + timedelta(hours=36)
    clocks = Clocks(database, batch=2)
    assert [await clocks.step() for _ in range(4)] == [True, True, False, False]


async def test_the_watchdog_measures_how_late_the_oldest_clock_is(
    scored: Make, deliver: Deliver, database: Database, clock: Clock
) -> None:
    def overdue() -> float | None:
        return REGISTRY.get_sample_value("casework_oldest_overdue_clock_seconds")

    watchdog = Watchdog(database)
    await watchdog.step()
    assert overdue() == 0
    await deliver(scored("r-1"))
    clock.now = MONDAY + timedelta(hours=36, seconds=90)
    await watchdog.step()
    assert overdue() == 90
    await Clocks(database, batch=10).step()
    await watchdog.step()
    assert overdue() == 0


async def test_answers_to_old_commands_are_forgotten(
    scored: Make, deliver: Deliver, database: Database, clock: Clock, anna: httpx.AsyncClient, rows: Rows
) -> None:
    await deliver(scored("r-1"))
    await anna.post(f"/v1/cases/{CASE}/notes", json={"text": "Звонить"}, headers={"Idempotency-Key": "k-1"})
    assert len(await rows("SELECT key FROM idempotency_keys")) == 1
    clock.now += timedelta(days=31)
    await Forgetting(database).step()
    assert await rows("SELECT key FROM idempotency_keys") == []
