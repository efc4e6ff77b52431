"""The hot statements over large tables: each finds its rows by an index, and reads no table that grows from end to end.

Plans depend on what the planner knows, so the tables are filled (set-wise, in a second or two) and analyzed. How long
it takes is another matter, see `bench/`.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import pytest
from sqlalchemy import Executable, text

from libs.events.database import Database
from libs.events.event import Event
from services.casework.jobs import Clocks
from services.casework.store import answers, cases, customers, people, recomputations

Make = Callable[..., Event[Any]]
Deliver = Callable[..., Awaitable[None]]
Statements = Callable[[], AbstractContextManager[list[str]]]
Explain = Callable[..., Awaitable[str]]


class Clock(Protocol):
    now: datetime


MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
LARGE = ("cases", "answers", "customers", "timeline")

# One case in twenty is not closed, and half of those are due.
FILL = [
    text(statement)
    for statement in (
        """
        INSERT INTO cases (
               id, event_key, customer_id, opening_response_id, program, score, tier, status, outcome, level, owner_id,
               owner_reason, owner_reason_details, round, reopenings, version, answered_at, opened_at,
               first_contact_due_at, first_contact_warn_at, first_contact_stage, resolution_due_at, resolution_warn_at,
               resolution_stage, closed_at, fires_at, listed_at)
        SELECT md5('case ' || n)::uuid, 'c-' || n, 'c-' || n % 10000, 'r-' || n, 'retail', 3, 'low',
               CASE WHEN is_open THEN 'open' ELSE 'closed' END, CASE WHEN NOT is_open THEN 'confirmed' END,
               'frontline', 'anna', 'least_loaded', '{}', 0, 0, 2, at, at, at, at, 'running', at, at, 'running',
               CASE WHEN NOT is_open THEN at END, CASE WHEN is_open THEN at END, at
          FROM (SELECT n, n < 1000 AS is_open,
                       CAST('2026-01-05 09:00+00' AS timestamptz) + (n - 500) * interval '1 minute' AS at
                  FROM generate_series(1, 20000) AS n) AS numbered
        """,
        "INSERT INTO customers (customer_id) SELECT 'c-' || n FROM generate_series(1, 20000) AS n",
        """
        INSERT INTO answers (response_id, revision, customer_id, program, kind, metric, tier, answered_at, cause_id,
                             case_id, waits_for_owner)
        SELECT 'r-' || n, 1, 'c-' || n, 'retail', 'transactional', 'nps', 'low', '2026-01-05 09:00+00',
               md5('cause ' || n)::uuid, md5('case ' || n)::uuid, n % 5000 = 0
          FROM generate_series(1, 20000) AS n
        """,
        """
        INSERT INTO timeline (case_id, version, kind, at, actor_kind, actor_id, details)
        SELECT md5('case ' || n)::uuid, 1, 'opened', '2026-01-05 09:00+00', 'customer', 'c-' || n, '{}'
          FROM generate_series(1, 20000) AS n
        """,
        """
        INSERT INTO agents (id, name, email, language, role, seniority, capacity, disabled, version)
        SELECT 'agent-' || n, 'Anna', 'anna@example.org', 'ru', 'agent', 1, 100, false, 1
          FROM generate_series(1, 50) AS n
        """,
        "INSERT INTO agent_loads SELECT 'agent-' || n, n FROM generate_series(1, 50) AS n",
        "ANALYZE cases, customers, answers, timeline, agents, agent_loads",
    )
]
CUSTOMERS = [f"c-{number}" for number in range(1, 501)]
RESPONSES = [f"r-{number}" for number in range(1, 501)]
IDS = [UUID(int=number) for number in range(1, 501)]


@pytest.fixture
async def plan_of(database: Database) -> AsyncIterator[Explain]:
    """How the database executes a statement for these parameters, over tables that have grown."""
    async with database.transaction() as tx:
        for statement in FILL:
            await tx.execute(statement)
    dialect = database.engine.dialect
    async with database.engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None

        async def explain(statement: Executable, **parameters: object) -> str:
            compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]  # a compilable one
            values = compiled.construct_params(parameters)
            rows = await driver.fetch(f"EXPLAIN {compiled}", *(values[name] for name in compiled.positiontup))
            return "\n".join(row[0] for row in rows)

        yield explain


def reads_all_of(plan: str) -> set[str]:
    return set(re.findall(r"Seq Scan on (\w+)", plan)) & set(LARGE)


async def test_a_batch_of_500_answers_is_met_by_index_everywhere(plan_of: Explain) -> None:
    for statement, parameters, index in (
        (customers._HOLD, {"customers": CUSTOMERS}, "customers_pkey"),
        (answers._KNOWN, {"ids": RESPONSES}, "answers_pkey"),
        # The answer joins its customer's open case, or belongs to a case already.
        (cases._LOCK, {"ids": IDS, "customers": CUSTOMERS}, "one_open_case_per_customer"),
        (cases._LOCK, {"ids": IDS, "customers": CUSTOMERS}, "cases_pkey"),
        (cases._PREVIOUS_OWNERS, {"customers": CUSTOMERS}, "cases_by_customer"),
    ):
        plan = await plan_of(statement, **parameters)
        assert index in plan, plan
        assert reads_all_of(plan) == set(), plan


async def test_due_clocks_are_claimed_in_their_order_without_sorting_them(plan_of: Explain) -> None:
    now = MONDAY + timedelta(days=2)
    for statement in (cases._CLAIM_FIRING, cases._FIRING):
        for but in ([], IDS[:20]):
            plan = await plan_of(statement, now=now, limit=500, but=but)
            assert "Index Scan using cases_firing" in plan, plan
            assert "Sort" not in plan, plan
    alone = await plan_of(cases._CLAIM_ONE_FIRING, id=IDS[0], now=now)
    assert "Index Scan using cases_pkey" in alone, alone
    oldest = await plan_of(cases._OLDEST_FIRING)
    assert "cases_firing" in oldest, oldest


async def test_a_set_of_cases_whose_clocks_are_counted_anew_is_found_by_index_wherever_it_begins(
    plan_of: Explain,
) -> None:
    for after in (UUID(int=0), UUID(int=2**127)):
        plan = await plan_of(recomputations._SET, after=after, limit=500, program=None, tier=None, level=None)
        assert "LockRows" in plan, plan
        assert reads_all_of(plan) == set(), plan


async def test_loads_are_read_and_not_counted_and_waiting_answers_found_among_all_others(plan_of: Explain) -> None:
    loads = await plan_of(people._STAFF)
    assert "agent_loads" in loads, loads
    assert "cases" not in loads, loads
    for statement, parameters in ((answers._WAITING, {"limit": 500}), (answers._COUNT_WAITING, {})):
        plan = await plan_of(statement, **parameters)
        assert "answers_waiting" in plan, plan
        assert reads_all_of(plan) == set(), plan


@pytest.mark.usefixtures("staff")
async def test_one_ten_or_a_hundred_answers_and_clocks_take_as_many_statements(
    scored: Make, deliver: Deliver, database: Database, clock: Clock, statements: Statements
) -> None:
    opening, firing = [], []
    for first, size in ((0, 1), (1_000, 10), (2_000, 100)):
        clock.now = MONDAY + timedelta(hours=1)
        batch = [scored(f"r-{number}", customer_id=f"c-{number}") for number in range(first, first + size)]
        with statements() as seen:
            await deliver(*batch)
        opening.append(len(seen))
        clock.now = MONDAY + timedelta(hours=50)
        with statements() as seen:
            await Clocks(database, batch=500).step()
        firing.append(len(seen))
    assert len(set(opening)) == len(set(firing)) == 1, (opening, firing)
