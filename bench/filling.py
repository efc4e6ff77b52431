"""Tables full of rows, made in one statement each: what services have after years."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_INDEXES: Final = """
    SELECT indexdef FROM pg_indexes
     WHERE schemaname = current_schema() AND tablename = $1
       AND indexname NOT IN (SELECT conname FROM pg_constraint WHERE conrelid = $1::regclass)
"""
_INDEX_NAMES: Final = """
    SELECT indexname FROM pg_indexes
     WHERE schemaname = current_schema() AND tablename = $1
       AND indexname NOT IN (SELECT conname FROM pg_constraint WHERE conrelid = $1::regclass)
"""
_KEYS: Final = """
    SELECT conname, pg_get_constraintdef(oid) AS definition FROM pg_constraint
     WHERE conrelid = $1::regclass AND contype IN ('p', 'u')
"""

# Ids of events and responses come from hashes; those of deliveries are in the order of time.
_INBOX: Final = """
    INSERT INTO inbox (event_id, consumer, handled_at)
    SELECT md5('event ' || n)::uuid, 'filled', now() FROM generate_series($1::integer, $2::integer) AS n
"""
ROWS: Final[Mapping[str, Mapping[str, str]]] = {
    "ingest": {
        "responses": """
            INSERT INTO responses (id, source, vendor_response_id, revision, content_hash, event_id, received_at)
            SELECT md5('r ' || n)::uuid, 'shop', 'filled-' || n, 1, decode(md5('c ' || n), 'hex'),
                   md5('e ' || n)::uuid, now()
              FROM generate_series($1::integer, $2::integer) AS n
        """,
        "deliveries": """
            INSERT INTO deliveries (id, source, via, delivery_key, conflict, body, body_hash, headers, content_type,
                                    received_at, status, response_id, event_ids, copies)
            SELECT lpad(to_hex(n), 32, '0')::uuid, 'shop', 'webhook', 'msg_filled_' || n, '', '\\x7b7d',
                   decode(md5('b ' || n), 'hex'), '{}', 'application/json', now(), 'accepted', md5('r ' || n)::uuid,
                   ARRAY[md5('e ' || n)::uuid], 1
              FROM generate_series($1::integer, $2::integer) AS n
        """,
    },
    "scoring": {
        "inbox": _INBOX,
        "customers": """
            INSERT INTO customers (id, version, name, email, language, time_zone, current_value, attributes,
                                   email_consent, tier, tier_reason, rules_version, created_at, updated_at)
            SELECT 'filled-' || n, 1, 'Ольга Смирнова', n || '@customers.example', 'ru', 'Europe/Moscow', n, '{}',
                   true, 'standard', 'default', 1, now(), now()
              FROM generate_series($1::integer, $2::integer) AS n WHERE n % 4 = 0
        """,
        "responses": """
            INSERT INTO responses (id, revision, source, vendor_response_id, program, touchpoint, kind, metric, score,
                                   nps_class, class_contradicted, customer_id, tier, tier_reason, instrument_id,
                                   instrument_version, answered_at, received_at, erased, scored_at, cell)
            SELECT md5('r ' || n), 1, 'shop', 'filled-' || n, 'support', 'ticket-closed', 'transactional', 'nps',
                   9, 'promoter', false, 'filled-' || n / 4 * 4, 'standard', 'default', md5('instrument')::uuid, 1,
                   now() - n * interval '1 second', now(), false, now(), 1
              FROM generate_series($1::integer, $2::integer) AS n
        """,
    },
    "casework": {
        "inbox": _INBOX,
        "customers": """
            INSERT INTO customers (customer_id, version, name, language, tier)
            SELECT 'filled-' || n, 1, 'Ольга Смирнова', 'ru', 'standard'
              FROM generate_series($1::integer, $2::integer) AS n WHERE n % 4 = 0
        """,
        "answers": """
            INSERT INTO answers (response_id, revision, customer_id, program, touchpoint, kind, metric, score,
                                 nps_class, tier, answered_at, cause_id, case_id)
            SELECT md5('r ' || n), 1, 'filled-' || n / 4 * 4, 'support', 'ticket-closed', 'transactional', 'nps',
                   9, 'promoter', 'standard', now() - n * interval '1 second', md5('e ' || n)::uuid, NULL
              FROM generate_series($1::integer, $2::integer) AS n
        """,
        "cases": """
            INSERT INTO cases (id, event_key, customer_id, opening_response_id, program, touchpoint, language, score,
                               tier, status, outcome, level, owner_id, owner_reason, owner_reason_details, round,
                               reopenings, version, answered_at, opened_at, first_contact_due_at,
                               first_contact_warn_at, first_contact_stage, resolution_due_at, resolution_warn_at,
                               resolution_stage, root_cause_id, closed_at, listed_at)
            SELECT md5('case ' || n)::uuid, 'filled-' || n / 4 * 4, 'filled-' || n / 4 * 4, md5('r ' || n), 'support',
                   'ticket-closed', 'ru', 3, 'standard', 'closed', 'confirmed', 'frontline', 'agent-' || 1 + n % 50,
                   'least_loaded', '{}', 0, 0, 4, at, at, at, at, 'met', at, at, 'met', 'service', at, at
              FROM (SELECT n, now() - n * interval '1 second' AS at
                      FROM generate_series($1::integer, $2::integer) AS n WHERE n % 7 = 0) AS numbered
        """,
        "timeline": """
            INSERT INTO timeline (case_id, version, kind, at, actor_kind, actor_id, details)
            SELECT md5('case ' || n)::uuid, version, 'opened', now(), 'customer', 'filled', '{}'
              FROM generate_series($1::integer, $2::integer) AS n, generate_series(1, 4) AS version WHERE n % 7 = 0
        """,
    },
    "notify": {
        "inbox": _INBOX,
        "messages": """
            INSERT INTO messages (id, cause_id, recipient, kind, case_id, case_version, employee_id, address, name,
                                  language, facts, status, attempt, due_at, created_at, changed_at)
            SELECT md5('m ' || n)::uuid, md5('e ' || n)::uuid, 'employee:agent-' || n % 50, 'case_assigned',
                   md5('case ' || n)::uuid::text, 2, 'agent-' || n % 50, 'agent@bank.example', 'Анна Воронова', 'ru',
                   '{"tier": "standard"}', 'sent', 1, at, at, at
              FROM (SELECT n, now() - n * interval '1 second' AS at
                      FROM generate_series($1::integer, $2::integer) AS n) AS numbered
        """,
    },
    "portal": {
        "inbox": _INBOX,
        "events": """
            INSERT INTO events (event_id, type, subject, happened_at, received_at, facts)
            SELECT md5('e ' || n)::uuid, 'survey.response.scored.v1', md5('r ' || n), now(), now(),
                   jsonb_build_object('customer_id', 'filled-' || n, 'score', n % 11)
              FROM generate_series($1::integer, $2::integer) AS n
        """,
    },
}
"""For each service the tables that grow, and how their rows from `$1` to `$2` are made."""


async def fill(url: str, rows: Mapping[str, str], *, first: int, last: int) -> None:
    """Add rows `first` to `last` to each table; keys and indexes are made anew afterwards, which is quicker."""
    connection = await asyncpg.connect(url, command_timeout=600)
    try:
        # What is lost when the server fails now is filled in again.
        await connection.execute("SET synchronous_commit = off")
        await connection.execute("SET maintenance_work_mem = '512MB'")
        for table, statement in rows.items():
            remade = await _take_off(connection, table)
            await connection.execute(statement, first, last)
            for definition in remade:
                await connection.execute(definition)
            await connection.execute(f"VACUUM (ANALYZE) {table}")
    finally:
        await connection.close()


async def _take_off(connection: asyncpg.Connection[Any], table: str) -> Sequence[str]:
    """Drop a table's keys and indexes; the statements that make them again."""
    keys = await connection.fetch(_KEYS, table)
    indexes = [row["indexdef"] for row in await connection.fetch(_INDEXES, table)]
    for row in await connection.fetch(_INDEX_NAMES, table):
        await connection.execute(f"DROP INDEX {row['indexname']}")
    for key in keys:
        await connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {key['conname']}")
    return [
        *(f"ALTER TABLE {table} ADD CONSTRAINT {key['conname']} {key['definition']}" for key in keys),
        *indexes,
    ]
