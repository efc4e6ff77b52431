"""The floor of casework: the rows of a case, in one raw statement for 500 of them, from arrays made beforehand.

python -m bench.floors.case_rows DSN CASES FIRST-NUMBER     prints cases per second
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg

DSN, CASES, FIRST = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
BATCH = 500

# What a detractor's first answer leaves behind: the customer, the answer, the case, two lines of its timeline, the mark
# in the inbox, two events in the outbox, and the owner's load.
STATEMENT = """
WITH taken AS (
    SELECT * FROM unnest(
        $1::uuid[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::text[], $7::timestamptz[],
        $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::uuid[], $13::text[],
        $14::text[], $15::text[], $16::text[], $17::bytea[], $18::bytea[], $19::bytea[], $20::bytea[])
        AS taken (id, customer, response, owner, score, tier, answered_at, contact_due, contact_warn, resolution_due,
                  resolution_warn, event_id, comment, reason, opened_details, assigned_details, opened_headers,
                  opened_value, assigned_headers, assigned_value)
), met AS (
    INSERT INTO customers (customer_id) SELECT customer FROM taken ON CONFLICT DO NOTHING
), answered AS (
    INSERT INTO answers (response_id, revision, customer_id, program, touchpoint, kind, metric, score, nps_class,
                         comment, tier, language, answered_at, cause_id, traceparent, case_id)
    SELECT response, 1, customer, 'retail', 'branch', 'transactional', 'nps', score, 'detractor', comment, tier, 'ru',
           answered_at, event_id, '00-00000000000000000000000000000001-0000000000000001-01', id
      FROM taken
), opened AS (
    INSERT INTO cases (id, event_key, customer_id, opening_response_id, program, touchpoint, language, score, tier,
                       status, level, owner_id, owner_reason, owner_reason_details, round, reopenings, version,
                       answered_at, opened_at, first_contact_due_at, first_contact_warn_at, first_contact_stage,
                       resolution_due_at, resolution_warn_at, resolution_stage, fires_at, listed_at)
    SELECT id, customer, customer, response, 'retail', 'branch', 'ru', score, tier, 'open', 'frontline', owner,
           'least_loaded', reason::json, 0, 0, 2, answered_at, now(), contact_due, contact_warn, 'running',
           resolution_due, resolution_warn, 'running', contact_warn, contact_due
      FROM taken
), happened AS (
    INSERT INTO timeline (case_id, version, kind, at, actor_kind, actor_id, details)
    SELECT id, 1, 'opened', now(), 'customer', customer, opened_details::json FROM taken
     UNION ALL
    SELECT id, 2, 'assigned', now(), 'customer', customer, assigned_details::json FROM taken
), handled AS (
    INSERT INTO inbox (event_id, consumer, handled_at) SELECT event_id, 'casework.scores', now() FROM taken
), told AS (
    INSERT INTO outbox (topic, key, headers, value, emitted_at)
    SELECT 'casework.cases', customer, opened_headers, opened_value, now() FROM taken
     UNION ALL
    SELECT 'casework.cases', customer, assigned_headers, assigned_value, now() FROM taken
)
INSERT INTO agent_loads (agent_id, running_cases)
SELECT owner, count(*) FROM taken GROUP BY owner ORDER BY owner
    ON CONFLICT (agent_id) DO UPDATE SET running_cases = agent_loads.running_cases + excluded.running_cases
"""
COMMENT = (
    "Третий раз звоню по одному и тому же счёту, каждый раз объясняю всё сначала новому человеку, обещают перезвонить "
    "и не перезванивают."
)
TIERS = ("key", "high", "high", "high", "low", "low", "low", "standard", "standard", "standard")
OWNER_DETAILS = '{"seniority":1,"load":3,"capacity":40}'


def rows(first: int, now: datetime) -> list[tuple[Any, ...]]:
    """The rows of one statement."""
    made = []
    for number in range(first, first + BATCH):
        response, customer = f"r-{number}", f"c-{number}"
        answered_at = now + timedelta(microseconds=number)
        due, resolution_due = answered_at + timedelta(hours=48), answered_at + timedelta(days=10)
        made.append((
            uuid4(), customer, response, f"agent-{1 + number % 50}", number % 7, TIERS[number % 10], answered_at,
            due, due - timedelta(hours=12), resolution_due, resolution_due - timedelta(hours=60), uuid4(), COMMENT,
            OWNER_DETAILS, f'{{"response_id":"{response}","score":3}}', OWNER_DETAILS,
            b"h" * 270, b"v" * 520, b"h" * 270, b"v" * 420,
        ))  # fmt: skip
    return made


async def main() -> None:
    """Write, and say how fast it went."""
    connection = await asyncpg.connect(DSN)
    statement = await connection.prepare(STATEMENT)
    now = datetime.now(UTC) - timedelta(minutes=5)
    batches = [list(map(list, zip(*rows(first, now), strict=True))) for first in range(FIRST, FIRST + CASES, BATCH)]
    began = time.perf_counter()
    for batch in batches:
        await statement.fetch(*batch)
    print(CASES / (time.perf_counter() - began))  # noqa: T201 - its output is its result
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main())
