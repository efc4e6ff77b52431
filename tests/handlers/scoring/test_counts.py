"""Counts follow what is stored, whatever happens in whatever order, and can be made anew."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from libs.events.contracts.responses import ResponseWithdrawn
from libs.events.database import Database
from libs.events.event import Event
from services.scoring.jobs import fold_counts, recount
from services.scoring.store import counts, customers, locks, metrics
from services.scoring.store.metrics import Grouping, Series

AnAnswer = Callable[..., Event[Any]]
Deliver = Callable[..., Coroutine[None, None, None]]
Rows = Callable[..., Awaitable[Sequence[Any]]]

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
GROUPINGS: tuple[Grouping | None, ...] = ("touchpoint", "segment", "region", "day", "month", None)


@dataclass(frozen=True)
class Told:
    """An answer, or its withdrawal where it has no day."""

    response: int
    revision: int
    score: int | None
    day: int | None
    touchpoint: str
    customer: int


told = st.builds(
    Told,
    response=st.integers(0, 3),
    revision=st.integers(1, 4),
    score=st.none() | st.integers(0, 10),
    day=st.none() | st.integers(0, 40),
    touchpoint=st.sampled_from(["branch", "app"]),
    customer=st.integers(0, 2),
)
erasure = st.builds(lambda customer: customer, st.integers(0, 2))
histories = st.lists(st.lists(told, min_size=1, max_size=4) | erasure | st.just("fold"), min_size=1, max_size=8)


def withdrawn(response: str, revision: int) -> Event[Any]:
    payload = ResponseWithdrawn(
        response_id=response,
        revision=revision,
        source="typeform",
        vendor_response_id=response,
        program="retail",
        withdrawn_at=MONDAY,
        received_at=MONDAY,
    )
    id_ = uuid5(NAMESPACE_URL, f"{response}/{revision}")
    return Event.root(id_, payload, subject=response, time=MONDAY, source="/ingest")


async def expected(database: Database, **wanted: object) -> dict[object, list[int]]:
    """Counted from the answers by another road, by touchpoint, tier or day."""
    statement = text("""
        SELECT CASE CAST(:by AS text) WHEN 'touchpoint' THEN responses.touchpoint WHEN 'segment' THEN responses.tier
                   WHEN 'region' THEN cells.region
                   WHEN 'day' THEN to_char(answered_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')
                   WHEN 'month' THEN to_char(answered_at AT TIME ZONE 'UTC', 'YYYY-MM') END AS name, score
          FROM responses JOIN cells ON cells.id = responses.cell
         WHERE score IS NOT NULL AND (CAST(:since AS timestamptz) IS NULL OR answered_at >= :since)
    """)
    found: dict[object, list[int]] = {}
    async with database.reading() as tx:
        for row in await tx.fetch(statement, wanted):
            found.setdefault(row.name, [0] * 11)[row.score] += 1
    return found


async def counted(database: Database, by: Grouping | None, since: datetime | None) -> dict[object, list[int]]:
    async with database.reading() as tx:
        found = await metrics.count(tx, Series(metric="nps", since=since), by)
    return {each.group: list(each.scores) for each in found}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories)
async def test_counts_equal_a_count_from_scratch_after_any_history(
    database: Database,
    clear: Callable[[], Awaitable[None]],
    an_answer: AnAnswer,
    deliver: Deliver,
    history: list[Any],
) -> None:
    await clear()
    async with database.transaction() as tx:
        await tx.execute(_TWO_CUSTOMERS)
    for step in history:
        match step:
            case "fold":
                await fold_counts(database)
            case int():
                async with database.transaction() as tx:
                    await locks.erasing(tx)
                    await customers.erase(tx, f"c-{step}")
            case _:
                await deliver(
                    *(
                        withdrawn(f"r-{each.response}", each.revision)
                        if each.day is None
                        else an_answer(
                            f"r-{each.response}",
                            each.revision,
                            score=each.score,
                            answered_at=MONDAY + timedelta(days=each.day, hours=each.day % 24),
                            touchpoint=each.touchpoint,
                            customer_id=f"c-{each.customer}",
                        )
                        for each in step
                    )
                )
        for by in GROUPINGS:
            for since in (None, MONDAY + timedelta(days=3, hours=2)):
                assert await counted(database, by, since) == await expected(database, by=by, since=since)
    # What is stored as counts is right as well, not only together with what is not counted in yet.
    await fold_counts(database)
    assert await recount(database) == 0


_TWO_CUSTOMERS = text("""
    INSERT INTO customers (id, version, name, language, time_zone, attributes, email_consent, tier, tier_reason,
                           rules_version, created_at, updated_at)
    SELECT id, 1, 'Анна', 'ru', 'UTC', CAST(attributes AS jsonb), true, tier, 'x', 1, now(), now()
      FROM (VALUES ('c-0', '{"region": "Урал"}', 'key'), ('c-1', '{}', 'low')) AS given (id, attributes, tier)
""")


async def test_counts_that_somebody_spoilt_are_found_and_put_right(
    database: Database, an_answer: AnAnswer, deliver: Deliver
) -> None:
    await deliver(*(an_answer(f"r-{n}", score=n % 11, answered_at=MONDAY + timedelta(days=n)) for n in range(60)))
    await fold_counts(database)
    await deliver(an_answer("r-late", score=4))
    assert await recount(database) == 0
    async with database.transaction() as tx:
        await tx.execute(text("DELETE FROM day_counts WHERE day = '2026-01-06'"))
        await tx.execute(text("UPDATE month_counts SET s3 = s3 + 2 WHERE month = '2026-02-01'"))
        await tx.execute(text("DELETE FROM responses WHERE id = 'r-1' OR id = 'r-2'"))
    # Of each detail: the deleted day has no answer any more, that of r-2 lost its one, and three months are wrong.
    assert await recount(database) == 12
    assert await recount(database) == 0
    for by in GROUPINGS:
        assert await counted(database, by, None) == await expected(database, by=by, since=None)


async def test_two_that_fold_at_once_count_everything_once(
    database: Database, an_answer: AnAnswer, deliver: Deliver, rows: Rows
) -> None:
    for n in range(12):
        await deliver(an_answer(f"r-{n}", score=9))
    await asyncio.gather(*(fold_counts(database) for _ in range(4)))
    assert await rows("SELECT FROM tallies") == []
    assert [row.s9 for row in await rows("SELECT s9 FROM day_counts")] == [12] * 4
    assert [row.s9 for row in await rows("SELECT s9 FROM month_counts")] == [12] * 4


async def test_a_fold_that_is_cut_off_leaves_everything_to_the_next(
    database: Database, an_answer: AnAnswer, deliver: Deliver
) -> None:
    await deliver(*(an_answer(f"r-{n}", score=10) for n in range(5)))

    class CutOffError(Exception):
        pass

    async def fold_and_die() -> None:
        async with database.transaction() as tx:
            assert await counts.fold(tx, 10) == 1
            raise CutOffError

    with pytest.raises(CutOffError):
        await fold_and_die()
    before = await counted(database, "day", None)
    await fold_counts(database)
    assert before == await counted(database, "day", None) == {"2026-01-05": [0] * 10 + [5]}


async def test_new_cells_that_two_batches_make_at_once_are_made_once(
    an_answer: AnAnswer, deliver: Deliver, client: httpx.AsyncClient
) -> None:
    def batch(prefix: str) -> list[Event[Any]]:
        return [an_answer(f"{prefix}-{n}", touchpoint=f"t-{n}", score=9) for n in range(30)]

    await deliver(*(an_answer(f"warm-{n}", touchpoint=f"t-{n}", score=None) for n in range(30)))
    await asyncio.gather(deliver(*batch("a")), deliver(*reversed(batch("b"))), deliver(*batch("c")))
    items = (await client.get("/v1/metrics/nps", params={"by": "touchpoint"})).json()["items"]
    assert [item["n"] for item in items] == [3] * 30


async def test_answers_that_were_stored_before_there_were_counts_get_the_same_cells_and_counts(
    database: Database, an_answer: AnAnswer, deliver: Deliver, rows: Rows
) -> None:
    async with database.transaction() as tx:
        await tx.execute(_TWO_CUSTOMERS)
        await tx.execute(_ODD_REGION)
    asked = [{}, {"channel": "sms"}, {"metric": "csat", "scale_min": 1, "scale_max": 5}, {"kind": "relationship"}]
    await deliver(
        *(
            an_answer(
                f"r-{n}",
                score=None if n == 7 else n % 5 + 1,
                asked=asked[n % 4],
                customer_id=None if n == 5 else f"c-{n % 3}",
                touchpoint=None if n % 6 == 1 else "Касса «№ 1»",
                answered_at=MONDAY + timedelta(days=n),
            )
            for n in range(40)
        )
    )
    await fold_counts(database)
    contents = (
        "SELECT * FROM cells ORDER BY id",
        "SELECT * FROM day_counts ORDER BY cell, day",
        "SELECT * FROM month_counts ORDER BY cell, month",
        "SELECT id, cell FROM responses ORDER BY id",
    )
    before = [await rows(statement) for statement in contents]
    async with database.engine.begin() as connection:
        for statement in (*_AS_IT_WAS, *import_module(_MIGRATION)._STATEMENTS):
            await connection.exec_driver_sql(statement)
    assert [await rows(statement) for statement in contents] == before


_MIGRATION = "services.scoring.migrations.versions.0004_statistics"
_ODD_REGION = text("""
    UPDATE customers SET attributes = '{"region": "a \\"quoted\\" \\\\ one\\u0001\\u2028é😀"}'
     WHERE id = 'c-1'
""")
_AS_IT_WAS = (
    "DROP TABLE touchpoint_maps, tier_totals, cells, tallies, day_counts, month_counts",
    "DROP INDEX responses_counted",
    "ALTER TABLE responses DROP COLUMN cell",
    "CREATE INDEX responses_by_class ON responses (program, answered_at)",
)
