"""What operators look at over tables of years: the ledger by its filters, deliveries of web hooks; by index each."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from libs.events.database import Database
from services.notify.store import campaigns, hook_deliveries, ledger, providers, reaching

Explain = Callable[..., Awaitable[str]]

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ROWS = 30_000
LANE = UUID(int=1)
LARGE = {"messages", "hook_deliveries", "hook_bodies", "profiles", "suppressions"}

# One in a thousand failed, and of many thanks half were held back; most deliveries belong to one subscription.
FILL = (
    """
    INSERT INTO messages (id, cause_id, recipient, kind, case_id, case_version, customer_id, facts, status, due_at,
                          created_at, changed_at, bounce)
    SELECT md5('m' || n)::uuid, md5('cause ' || n)::uuid, 'customer:c-' || n % 5000, 'thanks', 'case-' || n, 3,
           'c-' || n % 5000, '{}', CASE WHEN n % 1000 = 0 THEN 'failed' WHEN n % 2 = 1 THEN 'suppressed'
           ELSE 'sent' END, at, at, at, CASE WHEN n % 1000 = 7 THEN 'hard' END
      FROM (SELECT n, CAST(:now AS timestamptz) - n * interval '1 minute' AS at
              FROM generate_series(1, CAST(:rows AS integer)) AS n) AS numbered
    """,
    """
    INSERT INTO messages (id, cause_id, recipient, kind, facts, status, due_at, created_at, changed_at, provider)
    SELECT md5('o' || n)::uuid, CAST('00000000-0000-0000-0000-000000000001' AS uuid), 'customer:c-' || n,
           CASE WHEN n % 1000 = 3 THEN 'callback' ELSE 'changes_for_customers' END, '{}',
           CASE WHEN n % 1000 = 0 THEN 'suppressed' ELSE 'sent' END, at, at, at,
           CASE WHEN n % 1000 = 9 THEN 'gateway' END
      FROM (SELECT n, CAST(:now AS timestamptz) - n * interval '1 minute' AS at
              FROM generate_series(1, CAST(:rows AS integer)) AS n) AS numbered
    """,
    """
    INSERT INTO profiles (customer_id, version, name, email, language, time_zone, email_consent, email_mark)
    SELECT 'c-' || n, 1, 'Name', 'c-' || n || '@mail.example', 'ru', 'Europe/Moscow', true, md5('a' || n)
      FROM generate_series(1, CAST(:rows AS integer)) AS n
     WHERE CAST(:now AS timestamptz) IS NOT NULL
    """,
    """
    INSERT INTO suppressions (id, mark, medium, reason, why, customer_id, added_at, added_by)
    SELECT md5('s' || n)::uuid, md5('a' || n), 'email', 'listed', 'why', 'c-' || n, CAST(:now AS timestamptz), 'anna'
      FROM generate_series(1, CAST(:rows AS integer)) AS n
    """,
    """
    INSERT INTO hook_bodies (event_id, sees, body, created_at)
    SELECT md5('e' || n)::uuid, 'facts', '{}', CAST(:now AS timestamptz)
      FROM generate_series(1, CAST(:rows AS integer)) AS n
    """,
    """
    INSERT INTO hook_deliveries (subscription_id, event_id, type, sees, status, due_at, created_at, changed_at)
    SELECT CASE WHEN n % 10 = 0 THEN CAST('00000000-0000-0000-0000-000000000002' AS uuid)
                ELSE CAST('00000000-0000-0000-0000-000000000001' AS uuid) END,
           md5('e' || n)::uuid, 'case.opened.v1', 'facts',
           CASE WHEN n % 1000 = 1 THEN 'failed' WHEN n % 1000 < 5 THEN 'pending' ELSE 'delivered' END, at, at, at
      FROM (SELECT n, CAST(:now AS timestamptz) - n * interval '1 minute' AS at
              FROM generate_series(1, CAST(:rows AS integer)) AS n) AS numbered
    """,
)


@pytest.fixture
async def plan_of(database: Database) -> AsyncIterator[Explain]:
    """How the database executes a statement for these parameters."""
    async with database.transaction() as tx:
        for statement in FILL:
            await tx.execute(sa.text(statement), {"now": NOW, "rows": ROWS})
        await tx.execute(sa.text("ANALYZE messages, hook_bodies, hook_deliveries, profiles, suppressions"))
    dialect = database.engine.dialect
    async with database.engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None

        async def explain(statement: sa.Executable, **parameters: object) -> str:
            compiled: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined]  # a compilable one
            values = compiled.construct_params(parameters)
            rows = await driver.fetch(f"EXPLAIN {compiled}", *(values[name] for name in compiled.positiontup))
            return "\n".join(row[0] for row in rows)

        yield explain


async def test_lists_and_claims_begin_with_their_index_and_read_no_table_whole(plan_of: Explain) -> None:
    message, delivery = ledger._MESSAGES.c, hook_deliveries._DELIVERIES.c
    messages = ledger._NEWEST.limit(51)
    deliveries = hook_deliveries._NEWEST.where(delivery.subscription_id == LANE).limit(51)
    claim = {"ids": [LANE], "rooms": [32], "now": NOW, "until": NOW}
    expected: tuple[tuple[str, sa.Executable, dict[str, Any]], ...] = (
        ("messages_newest", messages, {}),
        ("messages_by_status", messages.where(message.status == "failed"), {}),
        ("messages_of_case", messages.where(message.case_id == "case-7"), {}),
        ("messages_bounced", messages.where(message.bounce == "hard"), {}),
        (
            "messages_of_customer",
            messages.where(sa.or_(message.customer_id == "c-7", message.employee_id == "c-7")),
            {},
        ),
        ("messages_of_rare_kind", messages.where(message.kind == "callback", ledger._RARE_KIND), {}),
        ("messages_not_sent", campaigns._TOLD_IN_VAIN, {"id": LANE, "status": "suppressed", "after": "", "limit": 51}),
        ("messages_of_provider", providers._ANSWERS, {"since": NOW}),
        ("suppressions_of_customer", reaching._LISTED, {"customer_id": "c-7", "now": NOW}),
        ("hook_deliveries_newest", deliveries, {}),
        ("hook_deliveries_failed", deliveries.where(delivery.status == "failed"), {}),
        ("hook_deliveries_due", hook_deliveries._CLAIM, claim),
    )
    wrong = {}
    for index, statement, parameters in expected:
        plan = await plan_of(statement, **parameters)
        if index not in plan or set(re.findall(r"Seq Scan on (\w+)", plan)) & LARGE:
            wrong[index] = plan
    assert wrong == {}
