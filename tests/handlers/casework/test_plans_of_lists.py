"""What people look at all day, over tables of years: tasks, callbacks, mentions, the queues of levels; by index each.

The tables are filled set-wise and analyzed, as the plans depend on what the planner knows.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Executable, text

from libs.events.database import Database
from services.casework.store import callbacks, mentions, reading, tasks

Explain = Callable[..., Awaitable[str]]

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
ROWS = 30_000
LARGE = {"cases", "customers", "tasks", "callbacks", "mentions", "timeline"}
NOBODY = UUID(int=0)

# One in a hundred is under way; everybody has had hundreds of each.
FILL = [
    text(statement)
    for statement in (
        """
        INSERT INTO cases (
               id, event_key, customer_id, opening_response_id, program, score, tier, status, outcome, level, owner_id,
               owner_reason, owner_reason_details, round, reopenings, version, answered_at, opened_at,
               first_contact_due_at, first_contact_warn_at, first_contact_stage, resolution_due_at, resolution_warn_at,
               resolution_stage, closed_at, fires_at, listed_at, escalation_due_at)
        SELECT md5('case ' || n)::uuid, 'c-' || n, 'c-' || n, 'r-' || n, 'retail', 3, 'low',
               CASE WHEN is_open THEN 'open' ELSE 'closed' END, CASE WHEN NOT is_open THEN 'confirmed' END,
               CASE WHEN n % 300 = 0 THEN 'executive' WHEN n % 100 = 0 THEN 'management' ELSE 'frontline' END,
               'agent-' || n % 50, 'least_loaded', '{}', 0, 0, 2, at, at, at, at, 'running', at, at, 'running',
               CASE WHEN NOT is_open THEN at END, CASE WHEN is_open THEN at END,
               CASE WHEN is_open THEN at ELSE at + interval '7000 years' END, CASE WHEN is_open THEN at END
          FROM (SELECT n, n % 100 = 0 AS is_open, CAST(:now AS timestamptz) - n * interval '1 minute' AS at
                  FROM generate_series(1, CAST(:rows AS integer)) AS n) AS numbered
        """,
        "INSERT INTO customers (customer_id) SELECT 'c-' || n FROM generate_series(1, CAST(:rows AS integer)) AS n",
        """
        INSERT INTO tasks (id, case_id, kind, title, department_id, owner_id, state, opened_at, due_at, warn_at, stage,
                           ended_at, version, fires_at)
        SELECT md5('task ' || n)::uuid, md5('case ' || n)::uuid, 'department', 'Title', 'd-' || n % 20,
               'agent-' || n % 50, CASE WHEN is_open THEN 'open' ELSE 'done' END, at, at, at, 'running',
               CASE WHEN NOT is_open THEN at END, 1, CASE WHEN is_open THEN at END
          FROM (SELECT n, n % 100 = 0 AS is_open, CAST(:now AS timestamptz) - n * interval '1 minute' AS at
                  FROM generate_series(1, CAST(:rows AS integer)) AS n) AS numbered
        """,
        """
        INSERT INTO callbacks (id, case_id, at, channel, state, agreed_at, agreed_by, moves, settled_at, fires_at)
        SELECT md5('callback ' || n)::uuid, md5('case ' || n)::uuid, at, 'phone',
               CASE WHEN is_open THEN 'agreed' ELSE 'kept' END, at, 'anna', 0, CASE WHEN NOT is_open THEN at END,
               CASE WHEN is_open THEN at END
          FROM (SELECT n, n % 100 = 0 AS is_open, CAST(:now AS timestamptz) - n * interval '1 minute' AS at
                  FROM generate_series(1, CAST(:rows AS integer)) AS n) AS numbered
        """,
        """
        INSERT INTO timeline (case_id, version, kind, at, actor_kind, actor_id, details)
        SELECT md5('case ' || n)::uuid, 1, 'commented', CAST(:now AS timestamptz), 'person', 'anna', '{}'
          FROM generate_series(1, CAST(:rows AS integer)) AS n
        """,
        """
        INSERT INTO mentions (case_id, version, person_id, at, read_at)
        SELECT md5('case ' || n)::uuid, 1, 'agent-' || n % 50, CAST(:now AS timestamptz) - n * interval '1 minute',
               CASE WHEN n % 100 <> 0 THEN CAST(:now AS timestamptz) END
          FROM generate_series(1, CAST(:rows AS integer)) AS n
        """,
        "ANALYZE cases, customers, tasks, callbacks, mentions, timeline",
    )
]


@pytest.fixture
async def plan_of(database: Database) -> AsyncIterator[Explain]:
    """How the database executes a statement for these parameters."""
    async with database.transaction() as tx:
        for statement in FILL:
            names = statement.compile().params
            await tx.execute(statement, {name: {"now": NOW, "rows": ROWS}[name] for name in names})
    dialect = database.engine.dialect
    async with database.engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None

        async def explain(statement: Executable, **parameters: object) -> str:
            compiled: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined]  # a compilable one
            values = compiled.construct_params(parameters)
            rows = await driver.fetch(f"EXPLAIN {compiled}", *(values[name] for name in compiled.positiontup))
            return "\n".join(row[0] for row in rows)

        yield explain


def whole(plan: str) -> set[str]:
    """The large tables that are read from end to end."""
    return set(re.findall(r"Seq Scan on (\w+)", plan)) & LARGE


async def test_every_list_of_the_day_begins_with_its_index_and_reads_no_table_whole(plan_of: Explain) -> None:
    some = {"kind": None, "after": None, "due_at": None, "limit": 51}
    day = {"since": NOW - timedelta(days=1), "until": NOW, "after_at": NOW - timedelta(days=1), "after_id": NOBODY}
    of_day = {**day, "owner": None, "state": None, "moved": False, "limit": 51}
    latest = {"person_id": "agent-0", "before": NOW, "before_case": UUID(int=2**128 - 1), "before_version": 9}
    asked = {"now": NOW, "limit": 100, "but": []}
    nothing: dict[str, Any] = {"tier": None, "due_before": None, "customer": None, "after": None, "limit": 51}
    expected: tuple[tuple[str, Executable, dict[str, Any]], ...] = (
        ("tasks_by_state", tasks._LIST, {**some, "state": "open", "owner": None, "department": None}),
        ("tasks_by_owner", tasks._LIST, {**some, "state": "open", "owner": "agent-0", "department": None}),
        ("tasks_by_department", tasks._LIST, {**some, "state": "done", "owner": None, "department": "d-1"}),
        ("tasks_firing", tasks._FIRING, asked),
        ("callbacks_firing", callbacks._FIRING, asked),
        ("callbacks_firing", callbacks._OLDEST, {}),
        ("callbacks_in_time", callbacks._LIST, of_day),
        ("callbacks_in_time", callbacks._LIST, {**of_day, "owner": "agent-0"}),
        ("mentions_of_person", mentions._LIST, {**latest, "unread": False, "limit": 51}),
        ("mentions_unread", mentions._UNREAD, {"person_id": "agent-0"}),
        ("mentions_unread", mentions._READ, {"person_id": "agent-0", "case_id": None, "now": NOW}),
        ("cases_by_level", reading.list_statement(status=None, owner=None, level="management", **nothing), {}),
        ("cases_by_owner", reading.list_statement(status=None, owner="agent-0", level=None, **nothing), {}),
        ("cases", reading._ASKED.limit(51), {"level": "executive"}),
    )
    wrong = {}
    for index, statement, parameters in expected:
        plan = await plan_of(statement, **parameters)
        if index not in plan or whole(plan):
            wrong[f"{index}: {parameters}"] = plan
    assert wrong == {}
