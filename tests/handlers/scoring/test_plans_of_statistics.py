"""Statistics read as little as their question needs, however much has been counted."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from libs.events.database import Database, Tx
from services.scoring.store import metrics
from services.scoring.store.metrics import Grouping, Series

GROW = (
    """
    INSERT INTO cells
    SELECT n * 4 + place, detail, CASE detail WHEN 'both' THEN ARRAY[n * 4 + 1, n * 4 + 2, n * 4 + 3, n * 4 + 4] END,
           'p-' || n % 4, 't-' || n % 20, 'transactional', 'nps', 0, 10, '00000000-0000-0000-0000-000000000000', 1,
           'email', false, NULL, CASE WHEN detail IN ('both', 'tier') THEN 'key' END,
           CASE WHEN detail IN ('both', 'region') THEN 'r' END
      FROM generate_series(1, 200) AS n,
           (VALUES ('both', 1), ('tier', 2), ('region', 3), ('neither', 4)) AS of_detail (detail, place)
    """,
    """
    INSERT INTO day_counts SELECT detail, id, CAST(day AS date), 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1
      FROM cells, generate_series(DATE '2025-01-01', DATE '2025-03-31', interval '1 day') AS day
    """,
    """
    INSERT INTO month_counts SELECT detail, id, CAST(month AS date), 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1
      FROM cells, generate_series(DATE '2025-01-01', DATE '2025-03-31', interval '1 month') AS month
    """,
    """
    INSERT INTO responses (id, revision, source, program, kind, metric, score, class_contradicted, tier, tier_reason,
                           instrument_id, instrument_version, answered_at, received_at, erased, scored_at, cell)
    SELECT 'r-' || n, 1, 's', 'p', 'transactional', 'nps', 1, false, 'key', 'x',
           '00000000-0000-0000-0000-000000000000', 1, DATE '2025-01-01' + n * interval '5 minutes', now(), false,
           now(), 5
      FROM generate_series(1, 20000) AS n
    """,
    "ANALYZE cells, day_counts, month_counts, responses",
)


@pytest.fixture
async def database(service_database: Callable[[str], str]) -> AsyncIterator[Database]:
    database = Database.connect(service_database("scoring"), pool_size=1)
    async with database.transaction() as tx:
        for statement in GROW:
            await tx.execute(text(statement))
    yield database
    await database.close()


class Explained:
    """A transaction that asks for the plan of what it is given, and finds nothing."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self.plan = ""

    async def fetch(self, statement: Any, parameters: Any) -> list[Any]:  # noqa: ANN401 - as `Tx`
        rows = await self._tx.fetch(text(f"EXPLAIN (COSTS off) {statement.text}"), parameters)
        self.plan = "\n".join(line for (line,) in rows)
        return []


async def plan(database: Database, series: Series, by: Grouping | None) -> str:
    async with database.reading() as tx:
        explained = Explained(tx)
        await metrics.count(explained, series, by)  # type: ignore[arg-type]  # all that it needs of one
    return explained.plan


@pytest.mark.parametrize(
    ("asked", "by", "part"),
    [
        ({}, None, "neither"),
        ({"touchpoint": "t-1"}, "department", "neither"),
        ({}, "segment", "tier"),
        ({"segment": "key"}, "touchpoint", "tier"),
        ({"region": "r"}, "week", "region"),
        ({"region": "r"}, "segment", "both"),
    ],
)
async def test_only_counts_of_the_detail_that_is_asked_for_are_read(
    database: Database, asked: dict[str, Any], by: Grouping | None, part: str
) -> None:
    found = await plan(database, Series(metric="nps", **asked), by)
    assert f"_counts_{part}" in found
    assert not [other for other in {"both", "tier", "region", "neither"} - {part} if f"_counts_{other}" in found]


async def test_answers_are_read_only_for_the_hours_at_the_edges_and_from_the_index_alone(database: Database) -> None:
    edges = Series(metric="nps", since=datetime(2025, 1, 10, 12, tzinfo=UTC), until=datetime(2025, 3, 2, 7, tzinfo=UTC))
    found = await plan(database, edges, None)
    assert found.count("using responses_counted") == 2
    assert "Seq Scan on responses" not in found


async def test_a_narrow_question_finds_its_counts_by_the_key(database: Database) -> None:
    narrow = Series(metric="nps", touchpoint="t-1", segment="key", region="r", since=datetime(2025, 3, 30, tzinfo=UTC))
    found = await plan(database, narrow, "day")
    assert "day_counts_both_pkey" in found
    assert "Seq Scan on day_counts" not in found
