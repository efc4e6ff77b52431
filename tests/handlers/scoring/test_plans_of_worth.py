"""Statements over customers, accounts and invitations read no whole table, however many there are."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from libs.events.database import Database
from libs.events.event import Event
from services.scoring.account_scores import compute_account_scores
from services.scoring.silences import judge, look_again
from services.scoring.store import customers, locks

GROW = (
    text("""
        INSERT INTO customers
        SELECT 'grown-' || n, 1, 'x', NULL, NULL, 'ru', 'Europe/Moscow', 'grown-' || n / 20, NULL, n, n, '{}', true,
               CASE n % 100 WHEN 0 THEN 'key' ELSE 'standard' END, 'x', 1, now(), now()
          FROM generate_series(1, 30000) AS n
    """),
    text("""
        INSERT INTO accounts (id, version, name, created_at, updated_at)
        SELECT 'grown-' || n, 1, 'x' || n, now(), now() FROM generate_series(1, 30000) AS n
    """),
    text("""
        INSERT INTO invitations (id, customer_id, program, channel, tier, invited_at, loaded_at, answered_at,
                                 response_id, silence, looked_again)
        SELECT 'grown-' || n, 'grown-' || n, 'p', 'email', 'low', now() - n * interval '1 minute', now(), now(),
               'grown-' || n, 'passed', true
          FROM generate_series(1, 30000) AS n
    """),
    text("""
        INSERT INTO account_scores
        SELECT 'grown-' || n, 'relationship', n % 10, 1, 1, n % 50 = 0, now() + interval '1 day', now()
          FROM generate_series(1, 30000) AS n
    """),
    text("""
        INSERT INTO responses
        SELECT (jsonb_populate_record(one, jsonb_build_object('id', 'grown-' || n, 'customer_id', 'grown-' || n))).*
          FROM responses AS one CROSS JOIN generate_series(1, 30000) AS n
         WHERE one.id = (SELECT min(id) FROM responses)
    """),
    text("ANALYZE responses, customers, accounts, invitations, account_scores"),
)
TABLES = ("customers", "accounts", "invitations", "account_scores", "responses")
READ = """
    SELECT pg_stat_force_next_flush(), relname, seq_tup_read
      FROM pg_stat_user_tables WHERE relname = ANY(CAST(:tables AS text[])) ORDER BY relname
"""


@pytest.fixture
async def database(service_database: Callable[[str], str]) -> AsyncIterator[Database]:
    # One connection, so that every statement is prepared where it is used again.
    database = Database.connect(service_database("scoring"), pool_size=1)
    yield database
    await database.close()


async def test_no_table_of_worth_is_read_as_a_whole(
    database: Database,
    client: httpx.AsyncClient,
    a_customer: Callable[..., dict[str, Any]],
    an_answer: Callable[..., Event[Any]],
    deliver: Callable[..., Coroutine[None, None, None]],
    rows: Callable[..., Awaitable[Sequence[Any]]],
) -> None:
    now = datetime.now(UTC)

    async def all_of_it(part: str) -> None:
        ids = [f"{part}-{n}" for n in range(20)]
        people = [a_customer(id=id_, account_id=f"a-{id_}") for id_ in ids]
        invited_at = (now - timedelta(days=20)).isoformat()
        asked = {"program": "retail", "channel": "email", "invited_at": invited_at}
        bodies = {
            "/v1/accounts/batch": [{"id": f"a-{id_}", "name": id_, "attributes": {"part": part}} for id_ in ids],
            "/v1/customers/batch": people,
            "/v1/invitations": [{"id": id_, "customer_id": id_, **asked} for id_ in ids],
        }
        for path, items in bodies.items():
            assert (await client.post(path, json={"items": items})).status_code == 200
        await deliver(*(an_answer(id_, customer_id=id_, answered_at=now) for id_ in ids[:10]))
        for params in ({}, {"tier": "key"}, {"account_id": f"a-{part}-1"}):
            assert (await client.get("/v1/customers", params=params)).status_code == 200
        for path in ("/v1/accounts", "/v1/account-scores", "/v1/account-scores?show=flagged", "/v1/silences"):
            assert (await client.get(path)).status_code == 200
        assert (await client.get(f"/v1/account-scores/a-{part}-1")).json()["account_name"] == f"{part}-1"
        await judge(database, timedelta(days=14))
        await look_again(database)
        while await compute_account_scores(database):
            pass
        async with database.transaction() as tx:
            await locks.publishing_profiles(tx)
            await customers.claim_outdated(tx, 2**31 - 1, 10)
        assert (await client.delete(f"/v1/customers/{part}-2")).status_code == 204

    async def read_in_sequence() -> dict[str, int]:
        for _ in range(2):  # the first one only asks for the numbers to be brought up to date
            found = await rows(READ, tables=list(TABLES))
        return {row.relname: row.seq_tup_read for row in found}

    await all_of_it("small")
    async with database.transaction() as tx:
        for statement in GROW:
            await tx.execute(statement)
    before = await read_in_sequence()
    await all_of_it("large")
    after = await read_in_sequence()
    # One row tells that there is any.
    assert [name for name in TABLES if after[name] - before[name] >= 100] == []
