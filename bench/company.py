"""A company for the benches of casework: its staff, its unhappy customers' answers, and tables full of cases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

from confluent_kafka import Producer

from libs.events.codec import encode
from libs.events.contracts.scores import ResponseScored
from libs.events.event import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from bench.bench import Bench
    from libs.events.contracts.scores import Tier

AGENTS: Final = 50
_STAFF: Final = (
    "INSERT INTO departments SELECT 'd-' || n, 'Отдел ' || n, NULL, 1 FROM generate_series(1, 2) AS n",
    "INSERT INTO teams SELECT 't-' || n, 'Команда ' || n, NULL, 'd-' || 1 + n % 2, 1 FROM generate_series(1, 5) AS n",
    # Fifty agents in five teams, of whom five lead them; a manager for each department; one executive.
    """
    INSERT INTO agents (id, name, email, language, role, seniority, team_id, department_id, capacity, disabled, version)
    SELECT 'agent-' || n, 'Анна Кузнецова ' || n, 'agent-' || n || '@example.org', 'ru', 'agent', 1 + n % 3,
           't-' || 1 + n % 5, 'd-' || 1 + n % 2, 1000, false, 1
      FROM generate_series(1, 50) AS n
     UNION ALL
    SELECT 'manager-' || n, 'Борис Орлов ' || n, 'manager-' || n || '@example.org', 'ru', 'manager', 3, NULL,
           'd-' || n, 100, false, 1
      FROM generate_series(1, 2) AS n
     UNION ALL
    SELECT 'executive', 'Вера Соколова', 'executive@example.org', 'ru', 'executive', 3, NULL, NULL, 100, false, 1
    """,
    "UPDATE departments SET manager_id = 'manager-' || right(id, 1)",
    "UPDATE teams SET lead_id = 'agent-' || right(id, 1)",
    "ANALYZE agents, teams, departments",
)

# Of 20 cases one is not closed; who is unhappy for the first time has a case of their own, others had some before.
_CASES: Final = """
    INSERT INTO cases (
           id, event_key, customer_id, opening_response_id, program, touchpoint, language, score, tier, status,
           outcome, level, owner_id, owner_reason, owner_reason_details, round, reopenings, version, answered_at,
           opened_at, first_contact_due_at, first_contact_warn_at, first_contact_stage, resolution_due_at,
           resolution_warn_at, resolution_stage, resolved_at, root_cause_id, confirm_by, closed_at, fires_at, listed_at)
    SELECT md5('case ' || n)::uuid, customer, customer, 'r-' || n, 'retail', 'branch', 'ru', n % 7,
           (ARRAY['key', 'high', 'standard', 'low', 'standard'])[1 + n % 5], status,
           CASE WHEN status = 'closed' THEN 'confirmed' END,
           CASE WHEN n % 200 = 0 THEN 'executive' WHEN n % 40 = 0 THEN 'management' ELSE 'frontline' END,
           'agent-' || 1 + n % 50, 'least_loaded', '{"seniority":1,"load":3,"capacity":40}', 0, 0, 2, at, at,
           at + interval '2 days', at + interval '36 hours', 'running', at + interval '10 days',
           at + interval '7 days', 'running', CASE WHEN status IN ('resolved', 'closed') THEN at END,
           CASE WHEN status IN ('resolved', 'closed') THEN 'service' END,
           CASE WHEN status = 'resolved' THEN at + interval '7 days' END, CASE WHEN status = 'closed' THEN at END,
           CASE WHEN status <> 'closed' THEN at + interval '36 hours' END,
           CASE WHEN status = 'closed' THEN timestamptz '9990-01-01 00:00+00' - (at - timestamptz '1970-01-01 00:00+00')
                ELSE at + interval '2 days' END
      FROM (SELECT n, CASE n % 60 WHEN 0 THEN 'open' WHEN 20 THEN 'contacted' WHEN 40 THEN 'resolved'
                                  ELSE 'closed' END AS status,
                   'c-' || CASE WHEN n % 20 = 0 THEN n ELSE n % 300000 END AS customer,
                   now() - n * (interval '12 days' / CAST($1 AS integer)) + interval '3 days' AS at
              FROM generate_series(1, CAST($1 AS integer)) AS n) AS numbered
"""
_CUSTOMERS: Final = """
    INSERT INTO customers (customer_id, version, name, language, tier)
    SELECT DISTINCT customer_id, 1, 'Ольга Смирнова', 'ru', 'standard' FROM cases
"""

# Warned already, and the customer's first contact is due at `$2` and, case by case, `$3` later.
_DUE: Final = """
    INSERT INTO cases (
           id, event_key, customer_id, opening_response_id, program, touchpoint, language, score, tier, status,
           level, owner_id, owner_reason, owner_reason_details, round, reopenings, version, answered_at, opened_at,
           first_contact_due_at, first_contact_warn_at, first_contact_stage, resolution_due_at, resolution_warn_at,
           resolution_stage, fires_at, listed_at)
    SELECT gen_random_uuid(), 'c-' || customer, 'c-' || customer, 'r-' || customer, 'retail', 'branch', 'ru', n % 7,
           (ARRAY['key', 'high', 'standard', 'low', 'standard'])[1 + n % 5], 'open', 'frontline',
           'agent-' || 1 + n % 50, 'least_loaded', '{"seniority":1,"load":3,"capacity":40}', 0, 0, 3,
           due - interval '2 days', due - interval '2 days', due, due - interval '12 hours', 'warned',
           due + interval '8 days', due + interval '5 days', 'running', due, due
      FROM (SELECT n, gen_random_uuid() AS customer,
                   CAST($2 AS timestamptz) + n * CAST($3 AS interval) AS due
              FROM generate_series(1, CAST($1 AS integer)) AS n) AS numbered
"""
_DUE_TIMELINES: Final = """
    INSERT INTO timeline (case_id, version, kind, at, actor_kind, actor_id, details)
    SELECT cases.id, lines.version, lines.kind, opened_at, 'customer', customer_id, '{}'
      FROM cases, (VALUES (1, 'opened'), (2, 'assigned'), (3, 'clock_warned')) AS lines (version, kind)
     WHERE NOT EXISTS (SELECT FROM timeline WHERE timeline.case_id = cases.id)
"""

_INDEXES: Final = """
    SELECT indexname, indexdef FROM pg_indexes
     WHERE schemaname = current_schema() AND tablename = 'cases' AND indexname <> 'cases_pkey'
"""
_HOLD_RELAY: Final = "SELECT pg_try_advisory_lock(hashtextextended('otklik.relay.' || current_schema(), 0))"
_LET_RELAY: Final = "SELECT pg_advisory_unlock(hashtextextended('otklik.relay.' || current_schema(), 0))"

_TIERS: Final[Sequence[Tier]] = ("key", "high", "high", "high", "low", "low", "low", "standard", "standard", "standard")
_RESPONSES: Final = UUID("2f4c1a70-7a0c-5a53-8a44-0d3b8a6d5c11")
_COMMENT: Final = (
    "Третий раз звоню по одному и тому же счёту, каждый раз объясняю всё сначала новому человеку, обещают перезвонить "
    "и не перезванивают."
)


async def hire(connection: asyncpg.Connection) -> None:
    """Put everybody into casework's tables."""
    for statement in _STAFF:
        await connection.execute(statement)


async def fill_cases(connection: asyncpg.Connection, amount: int) -> None:
    """Fill the table of cases, with the customers to whom they belong; the indexes are made afterwards."""
    indexes = await connection.fetch(_INDEXES)
    for index in indexes:
        await connection.execute(f"DROP INDEX {index['indexname']}")
    await connection.execute(_CASES, amount)
    for index in indexes:
        await connection.execute(index["indexdef"])
    await connection.execute(_CUSTOMERS)
    await connection.execute("VACUUM ANALYZE cases, customers")


async def fill_due_cases(
    connection: asyncpg.Connection, amount: int, *, since: datetime, every: timedelta = timedelta()
) -> None:
    """Open cases whose customers must have been called by `since`, or each `every` later than the one before."""
    async with connection.transaction():
        await connection.execute(_DUE, amount, since, every)
        await connection.execute(_DUE_TIMELINES)


def answers_of_detractors(first: int, amount: int) -> list[tuple[str, bytes, list[tuple[str, str | bytes | None]]]]:
    """Scored answers of different customers as records: key, value, headers; numbered from `first` on."""
    now = datetime.now(UTC) - timedelta(minutes=5)
    records: list[tuple[str, bytes, list[tuple[str, str | bytes | None]]]] = []
    for number in range(first, first + amount):
        response, customer = f"r-{number}", f"c-{number}"
        payload = ResponseScored(
            response_id=response,
            revision=1,
            program="retail",
            touchpoint="branch",
            kind="transactional",
            metric="nps",
            score=number % 7,
            nps_class="detractor",
            comment=_COMMENT,
            customer_id=customer,
            account_id=None,
            tier=_TIERS[number % len(_TIERS)],
            tier_reason="rule 3",
            language="ru",
            instrument_id="retail-branch",
            instrument_version=1,
            answered_at=now + timedelta(microseconds=number),
        )
        trace = f"00-{number:032x}-{number:016x}-01"
        event = Event.root(
            uuid5(_RESPONSES, response), payload, subject=response, time=now, source="/scoring", traceparent=trace
        )
        value, headers = encode(event)
        assert value is not None  # noqa: S101 - only an erasure has none
        records.append((customer, value, list(headers)))
    return records


def publish(
    bootstrap_servers: str, topic: str, records: Sequence[tuple[str, bytes, list[tuple[str, str | bytes | None]]]]
) -> None:
    """Write records, and wait until the broker has them."""
    producer = Producer(
        {"bootstrap.servers": bootstrap_servers, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000}
    )
    for key, value, headers in records:
        producer.produce(topic, value, key, headers=headers)
    producer.flush(60)


async def hold_relay(connection: asyncpg.Connection) -> None:
    """Be the active relay of the schema and do nothing, before a process starts whose own then stands by.

    The relay has a stage of its own; its work would be measured once more, in the same process.
    """
    if not await connection.fetchval(_HOLD_RELAY):
        raise RuntimeError("another relay is active")


async def let_relay(connection: asyncpg.Connection) -> None:
    """Let the process's own relay work."""
    await connection.execute(_LET_RELAY)


def server_cpu_seconds(bench: Bench) -> float:
    """CPU time that PostgreSQL has used so far, in all its processes, those that ended included."""
    postmaster = (bench.postgres.data / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0]
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, _, rest = stat.read_text(encoding="ascii", errors="replace").partition(" (")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        fields = rest.rpartition(") ")[2].split()
        if number == postmaster:
            ticks += sum(int(field) for field in fields[11:15])
        elif fields[1] == postmaster:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / 100
