"""No statement that grows with what was kept reads a whole table, large as it is."""

import re
from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import TextClause, text

from libs.events.database import Database
from libs.events.lanes import SETTINGS
from services.ingest.store import deliveries, firsts, kept, known, repeated

ID = UUID(int=1)
STATEMENTS: dict[str, tuple[TextClause, dict[str, Any]]] = {
    "look": (known._LOOK, {"sources": ["a", "b"], "keys": ["1", "2"], "responses": [ID, ID]}),
    "responses": (known._HOLD_RESPONSES, {"ids": [ID]}),
    "changed": (
        deliveries._CHANGE_RESPONSES,
        {
            "ids": [ID],
            "customers": [None],
            "revisions": [1],
            "hashes": [b""],
            "revised": [None],
            "events": [ID],
            "received": [None],
            "told": [None],
        },
    ),
    "copies": (deliveries._COUNT_COPIES, {"ids": [ID], "more": [1]}),
    "held": (deliveries._HOLD, {"ids": [ID]}),
    "replayed": (
        deliveries._REPLAYED,
        {
            "ids": [ID],
            "statuses": ["accepted"],
            "reasons": [None],
            "whys": [None],
            "responses": [ID],
            "events": [ID],
            "now": None,
        },
    ),
    "page": (kept._PAGE, {"before": ID, "limit": 50}),
    "page of a source": (kept._PAGE_OF_SOURCE, {"source": "a", "status": None, "before": ID, "limit": 50}),
    "page to look at": (
        kept._PAGE_TO_LOOK_AT,
        {"status": "quarantined", "source": None, "before": ID, "limit": 50},
    ),
    "one": (kept._CONTENTS, {"id": ID}),
    "to replay": (
        kept._TO_REPLAY,
        {"status": "quarantined", "source": None, "after": ID, "from": None, "to": None, "limit": 50},
    ),
}


GROWN = (
    text("""
        INSERT INTO deliveries
        SELECT gen_random_uuid(), 's-' || n % 50, 'webhook', 'k-' || n, '', 'x', 'x', '{}', 'application/json', now(),
               CASE WHEN n % 200 = 0 THEN 'quarantined' ELSE 'accepted' END, NULL, NULL, '{}', 1, NULL
          FROM generate_series(1, 50000) AS n
    """),
    text("""
        INSERT INTO responses
        SELECT gen_random_uuid(), 's', 'r-' || n, 1, 'x', now(), gen_random_uuid(), now()
          FROM generate_series(1, 50000) AS n
    """),
)


@pytest.fixture
async def planned(database: Database) -> Database:
    async with database.transaction() as tx:
        for grow in GROWN:
            await tx.execute(grow)
    async with database.engine.connect() as connection:
        vacuuming = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await vacuuming.execute(text("VACUUM ANALYZE deliveries, responses"))
    return database


async def test_rows_are_found_by_their_keys(planned: Database) -> None:
    reading_all: dict[str, list[str]] = {}
    async with planned.transaction() as tx:
        for name, (statement, parameters) in STATEMENTS.items():
            plan = [row[0] for row in await tx.fetch(text(f"EXPLAIN {statement.text}"), parameters)]
            assert plan
            reading_all[name] = [line for line in plan if re.search(r"Seq Scan on (deliveries|responses)", line)]
    assert reading_all == {name: [] for name in STATEMENTS}


async def test_the_plan_that_is_kept_from_the_first_batch_on_finds_rows_by_their_keys(database: Database) -> None:
    parameters: dict[str, Any] = {"rows": [], "via": "webhook", "content_type": "", "emitted_at": None, "notify": False}
    async with database.transaction() as tx:
        for setting in SETTINGS:
            await tx.execute(text(setting.replace("SET", "SET LOCAL")))
        plan = [row[0] for row in await tx.fetch(text(f"EXPLAIN {firsts._ADD.text}"), parameters)]
    looked_up = [line.strip() for line in plan if re.search(r"Scan.* on (deliveries|responses|outbox)", line)]
    assert [line.partition("  (")[0] for line in looked_up] == ["->  Index Only Scan using responses_pkey on responses"]
    assert any("Index Cond: (id = arrived" in line for line in plan)


async def test_repetitions_are_found_by_their_keys_by_a_plan_that_is_kept(database: Database) -> None:
    async with database.transaction() as tx:
        for setting in SETTINGS:
            await tx.execute(text(setting.replace("SET", "SET LOCAL")))
        nothing: dict[str, Any] = {"sources": [], "keys": [], "hashes": [], "more": []}
        plan = [row[0] for row in await tx.fetch(text(f"EXPLAIN {repeated._COUNT.text}"), nothing)]
    scans = Counter(index for line in plan for index in re.findall(r"Index Scan using (\w+) on deliveries", line))
    assert scans == {"deliveries_once": 1, "deliveries_pkey": 2}, plan
    assert not [line for line in plan if re.search("Seq Scan on deliveries|Sort Key: deliveries", line)], plan
    assert sum("Index Cond" in line for line in plan) == scans.total()
