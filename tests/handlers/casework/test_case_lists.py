"""The list of cases: every filter, every page, and each answered from its own index."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import Executable, text

from libs.events.contracts.scores import PriorityPart
from libs.events.database import Database
from libs.events.event import Event
from services.casework.domain.names import ResponseId, case_id_of
from services.casework.store import cases, reading

Make = Callable[..., Event[Any]]
Deliver = Callable[..., Awaitable[None]]

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("staff")

# A company after some years: of 20,000 cases 19 of 20 are closed, and who has left owns only closed ones.
_MANY_CASES = text("""
    INSERT INTO cases (
           id, event_key, customer_id, opening_response_id, program, score, tier, status, outcome, level, owner_id,
           owner_reason, owner_reason_details, round, reopenings, version, answered_at, opened_at, first_contact_due_at,
           first_contact_warn_at, first_contact_stage, resolution_due_at, resolution_warn_at, resolution_stage,
           root_cause_id, confirm_by, closed_at, fires_at, listed_at)
    SELECT gen_random_uuid(), 'c-' || n, 'c-' || n, 'r-' || n, 'retail', n % 7,
           (ARRAY['key', 'high', 'standard', 'low'])[1 + n % 4], status,
           CASE WHEN status = 'closed' THEN 'confirmed' END,
           CASE WHEN n % 200 = 0 THEN 'executive' WHEN n % 40 = 0 THEN 'management' ELSE 'frontline' END,
           CASE WHEN status = 'closed' AND n % 3 = 0 THEN 'who-left' ELSE 'agent-' || n % 8 END,
           'least_loaded', '{}', 0, 0, 2, at, at, at, at, 'running', at, at, 'running', 'service',
           CASE WHEN status = 'resolved' THEN at END, CASE WHEN status = 'closed' THEN at END,
           CASE WHEN status <> 'closed' THEN at END,
           CASE WHEN status = 'closed' THEN timestamptz '9990-01-01 00:00+00' - (at - timestamptz '1970-01-01 00:00+00')
                ELSE at END
      FROM (SELECT n, CASE n % 60 WHEN 0 THEN 'open' WHEN 20 THEN 'contacted' WHEN 40 THEN 'resolved'
                                  ELSE 'closed' END AS status,
                   CAST('2026-01-05 09:00+00' AS timestamptz) + n * interval '1 minute' AS at
              FROM generate_series(1, 20000) AS n) AS numbered
""")

_RESOLVE = text("""
    UPDATE cases
       SET status = 'resolved', root_cause_id = 'service', resolved_at = now(), confirm_by = now()
     WHERE priority = 90
""")


async def listed(client: httpx.AsyncClient, **filters: object) -> list[str]:
    """The responses that opened the listed cases, page by page of two."""
    found: list[str] = []
    cursor = None
    while True:
        parameters = {"limit": 2, **filters} | ({"cursor": cursor} if cursor else {})
        response = await client.get("/v1/cases", params=parameters)  # type: ignore[arg-type]  # plain values
        assert response.status_code == 200, response.text
        page = response.json()
        assert len(page["items"]) <= 2
        found += [case["id"] for case in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def ids(*responses: str) -> list[str]:
    return [str(case_id_of(ResponseId(response))) for response in responses]


async def test_the_highest_priority_comes_first_and_only_what_waits_for_work(
    scored: Make, deliver: Deliver, anna: httpx.AsyncClient, database: Database
) -> None:
    for number, priority in enumerate((20, None, 70, 20, 90)):
        answered_at = MONDAY - timedelta(minutes=number)
        await deliver(scored(f"r-{number}", customer_id=f"c-{number}", priority=priority, answered_at=answered_at))
    async with database.transaction() as tx:
        await tx.execute(_RESOLVE)
    # Of two alike the one that is due earlier; what nobody told counts as none.
    assert await listed(anna, sort="priority") == ids("r-2", "r-3", "r-0", "r-1")
    assert await listed(anna, sort="priority", status="resolved") == ids("r-4")
    crossed = await anna.get("/v1/cases", params={"limit": 1})
    cursor = crossed.json()["next_cursor"]
    assert (await anna.get("/v1/cases", params={"sort": "priority", "cursor": cursor})).status_code == 422


async def test_a_case_has_the_highest_priority_of_its_answers_and_what_it_is_the_sum_of(
    scored: Make, deliver: Deliver, anna: httpx.AsyncClient
) -> None:
    parts = (PriorityPart(factor="tier", points=30, fact="key"), PriorityPart(factor="age", points=5, fact="25"))
    (case,) = ids("r-1")
    await deliver(scored("r-1", priority=20, priority_parts=parts[1:]))
    await deliver(scored("r-2", priority=35, priority_parts=parts))
    await deliver(scored("r-1", 2, priority=10))
    found = (await anna.get(f"/v1/cases/{case}")).json()
    assert found["priority"] == 35
    assert found["priority_parts"] == [
        {"factor": "tier", "points": 30, "fact": "key"},
        {"factor": "age", "points": 5, "fact": "25"},
    ]


@pytest.fixture
async def a_day(
    staff: None,  # noqa: ARG001 - before the first answer
    scored: Make,
    said: Make,
    deliver: Deliver,
    anna: httpx.AsyncClient,
) -> None:
    """Five cases: r-1 open, r-2 contacted, r-3 resolved, r-4 and r-5 closed; r-1 is the latest answer."""
    for number in range(1, 6):
        answered_at = MONDAY - timedelta(minutes=number)
        tier = "key" if number % 2 else "low"
        await deliver(scored(f"r-{number}", customer_id=f"c-{number}", score=4, tier=tier, answered_at=answered_at))
    for number in range(2, 6):
        path = f"/v1/cases/{case_id_of(ResponseId(f'r-{number}'))}"
        await anna.post(f"{path}/contact-attempts", json={"outcome": "reached"})
        if number > 2:
            await anna.post(f"{path}/resolve", json={"root_cause_id": "service"})
        if number > 3:
            await deliver(said(case_id_of(ResponseId(f"r-{number}")), solved=True, customer=f"c-{number}"))
    await anna.post(f"/v1/cases/{case_id_of(ResponseId('r-1'))}/escalate", json={"reason": "key_customer"})
    await anna.post(f"/v1/cases/{case_id_of(ResponseId('r-2'))}/assign", json={"owner_id": "boris"})


@pytest.mark.usefixtures("a_day")
async def test_what_is_due_first_comes_first_and_closed_cases_last(anna: httpx.AsyncClient) -> None:
    everything = await listed(anna)
    # first contact after 48 hours, the customer's word after 7 days, the resolution of the low tier after 14
    assert everything[:3] == ids("r-1", "r-3", "r-2")
    assert set(everything[3:]) == set(ids("r-4", "r-5"))


@pytest.mark.usefixtures("a_day")
@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"status": "open"}, ["r-1"]),
        ({"status": "contacted"}, ["r-2"]),
        ({"status": "resolved"}, ["r-3"]),
        ({"owner": "boris"}, ["r-2"]),
        ({"owner": "nobody"}, []),
        ({"level": "management"}, ["r-1"]),
        ({"tier": "low"}, ["r-2", "r-4"]),
        ({"tier": "low", "status": "closed"}, ["r-4"]),
        ({"customer": "c-3"}, ["r-3"]),
        ({"due_before": (MONDAY + timedelta(days=3)).isoformat()}, ["r-1"]),
        ({"due_before": (MONDAY + timedelta(days=8)).isoformat(), "owner": "anna"}, ["r-1", "r-3"]),
    ],
)
async def test_every_filter_shows_its_cases(
    anna: httpx.AsyncClient, filters: dict[str, object], expected: list[str]
) -> None:
    assert await listed(anna, **filters) == ids(*expected)


@pytest.mark.parametrize(
    "query",
    [
        "status=lost",
        "level=moon",
        "tier=gold",
        "due_before=tomorrow",
        "due_before=1767600000",
        "due_before=2026-01-05T09:00:00",
        "due_before=0001-01-01T00:00:00%2B14:00",
        "limit=0",
        "limit=100000",
        "cursor=abc",
        "cursor=WyIyMDI2Il0",
        "owner=",
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(anna: httpx.AsyncClient, query: str) -> None:
    assert (await anna.get(f"/v1/cases?{query}")).status_code == 422


@pytest.fixture
async def plan_of(database: Database) -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """How the database would execute a statement: for these parameters, and for any."""
    async with database.transaction() as tx:
        await tx.execute(_MANY_CASES)
        await tx.execute(text("ANALYZE cases"))
    dialect = database.engine.dialect
    async with database.engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None

        async def explain(statement: Executable, *, ready_for: str, **parameters: object) -> str:
            compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]  # a compilable one
            values = compiled.construct_params(parameters)
            bound = [values[name] for name in compiled.positiontup]
            if ready_for == "these":
                rows = await driver.fetch(f"EXPLAIN {compiled}", *bound)
            else:
                await driver.execute("SET plan_cache_mode = force_generic_plan")
                await driver.execute(f"PREPARE statement AS {compiled}")
                rows = await driver.fetch(f"EXPLAIN EXECUTE statement ({', '.join('NULL' for _ in bound)})")
                await driver.execute("DEALLOCATE statement")
            return "\n".join(row[0] for row in rows)

        yield explain


def list_of(**filters: object) -> Executable:
    nothing = {"after": None, "status": None, "owner": None, "level": None, "tier": None, "customer": None}
    return reading.list_statement(limit=51, **({"due_before": None} | nothing | filters))  # type: ignore[arg-type]  # as given


@pytest.mark.parametrize("ready_for", ["these", "any"])
@pytest.mark.parametrize("after", [None, (datetime(2026, 1, 5, 12, tzinfo=UTC), UUID(int=0))])
async def test_each_filter_reads_its_pages_in_order_from_its_index(
    plan_of: Callable[..., Awaitable[str]], ready_for: str, after: tuple[datetime, UUID] | None
) -> None:
    for filters, index in (
        ({}, "cases_listed"),
        ({"due_before": datetime(2026, 1, 18, tzinfo=UTC)}, "cases_listed"),
        ({"status": "closed"}, "cases_by_status"),
        ({"status": "resolved"}, "cases_by_status"),
        ({"owner": "agent-7"}, "cases_by_owner"),
        ({"owner": "who-left"}, "cases_by_owner"),
        ({"level": "executive"}, "cases_by_level"),
        ({"level": "frontline"}, "cases_by_level"),
        ({"tier": "key"}, "cases_by_tier"),
        ({"customer": "c-7"}, "cases_by_customer"),
    ):
        plan = await plan_of(list_of(after=after, **filters), ready_for=ready_for)
        assert re.search(rf"Index Scan (using|on) {index}\b", plan), (filters, plan)
        assert "Seq Scan on cases" not in plan, (filters, plan)
        # A handful may as well be fetched and then sorted.
        assert all(int(rows) < 100 for rows in re.findall(r"Sort  \(cost=\S+ rows=(\d+)", plan)), (filters, plan)


@pytest.mark.parametrize("ready_for", ["these", "any"])
async def test_two_filters_at_once_are_read_from_the_index_of_one_of_them(
    plan_of: Callable[..., Awaitable[str]], ready_for: str
) -> None:
    for filters in (
        {"status": "open", "owner": "agent-7"},
        {"status": "closed", "level": "executive"},
        {"tier": "key", "level": "management"},
    ):
        plan = await plan_of(list_of(**filters), ready_for=ready_for)
        assert re.search(r"Index Scan (using|on) cases_by_(status|owner|level|tier)\b", plan), (filters, plan)
        assert "Seq Scan on cases" not in plan, (filters, plan)


@pytest.mark.parametrize("ready_for", ["these", "any"])
async def test_the_clock_loop_and_the_batches_find_their_cases_by_index(
    plan_of: Callable[..., Awaitable[str]], ready_for: str
) -> None:
    firing = await plan_of(cases._CLAIM_FIRING, ready_for=ready_for, now=MONDAY, limit=500, but=[])
    assert "Index Scan using cases_firing" in firing
    touched = await plan_of(cases._LOCK, ready_for=ready_for, ids=[UUID(int=1), UUID(int=2)], customers=["c-1", "c-2"])
    assert "BitmapOr" in touched
    assert "one_open_case_per_customer" in touched
