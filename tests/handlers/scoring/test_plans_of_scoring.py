"""Whoever answered is found by an index, and not by reading all customers, also where the planner knows of few of them.

How long it takes is another matter, see `bench/`.
"""

from collections.abc import AsyncIterator, Callable

import pytest
from sqlalchemy import text

from libs.events.database import Database
from services.scoring.domain.customers import erasure_mark
from services.scoring.store import responses

KNOWN = """
    INSERT INTO customers (id, version, name, language, time_zone, current_value, attributes, email_consent, tier,
                           tier_reason, rules_version, created_at, updated_at)
    SELECT 'c-' || n, 1, 'Анна Петрова', 'ru', 'Europe/Moscow', n, '{}', true, 'high', 'x', 1, now(), now()
      FROM generate_series(1, 25000) AS n
"""
ERASED = """
    INSERT INTO erasures (mark, last_version, erased_at)
    SELECT sha256(convert_to('c-' || n, 'UTF8')), 1, now() FROM generate_series(25001, 50000) AS n
"""


@pytest.fixture
async def database(service_database: Callable[[str], str]) -> AsyncIterator[Database]:
    database = Database.connect(service_database("scoring"), pool_size=1)
    async with database.transaction() as tx:
        for statement in (KNOWN, ERASED):
            await tx.execute(text(statement))
    yield database
    await database.close()


@pytest.mark.parametrize("with_worth", [False, True])
@pytest.mark.parametrize("analyzed", [False, True])
async def test_a_batch_of_500_reads_no_table_of_persons_from_end_to_end(
    database: Database, *, with_worth: bool, analyzed: bool
) -> None:
    asked = responses._RESPONDENTS_WITH_WORTH if with_worth else responses._RESPONDENTS
    ids = [f"c-{number}" for number in range(24_750, 25_250)]
    async with database.transaction() as tx:
        if analyzed:
            await tx.execute(text("ANALYZE customers, erasures"))
        parameters = {"ids": ids, "marks": [erasure_mark(id_) for id_ in ids]}
        plan = "\n".join(line for (line,) in await tx.fetch(text(f"EXPLAIN {asked.text}"), parameters))
        assert "customers_pkey" in plan, plan
        assert "erasures_pkey" in plan, plan
        assert "Seq Scan on customers" not in plan, plan
        assert "Seq Scan on erasures" not in plan, plan
        found = await responses.respondents(tx, ids, with_worth=with_worth)
    assert len(found) == 500
    assert found["c-25000"].tier == "high"
    assert found["c-25000"].erased_at is None
    assert (found["c-25001"].tier, found["c-25001"].worth) == (None, None)
    assert found["c-25001"].erased_at is not None
