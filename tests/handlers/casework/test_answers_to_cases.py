"""Scored answers become cases: once each, set-wise, whatever the batch and however often they come."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from libs.events.contracts.cases import CaseAssigned, CaseJoined, CaseOpened
from libs.events.database import Database
from libs.events.event import Event
from services.casework.domain.names import ResponseId, case_id_of
from services.casework.handlers import handle_scores
from services.casework.jobs import WaitingAnswers

Make = Callable[..., Event[Any]]
Deliver = Callable[..., Coroutine[None, None, None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
Rows = Callable[..., Awaitable[Sequence[Any]]]
Statements = Callable[[], AbstractContextManager[list[str]]]
Hire = Callable[..., Awaitable[None]]


class Clock(Protocol):
    now: datetime


MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
on_a_database = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

ANNA_NOTED = text("""
    INSERT INTO timeline (case_id, version, kind, at, actor_kind, actor_id, details)
    SELECT id, 100, 'noted', now(), 'person', 'anna', '{}' FROM cases
""")
LOADS_ARE_RIGHT = """
    SELECT agents.id, COALESCE(running_cases, 0) AS counted,
           (SELECT count(*) FROM cases WHERE owner_id = agents.id AND status IN ('open', 'contacted')) AS owned
      FROM agents LEFT JOIN agent_loads ON agent_id = agents.id
"""


@pytest.mark.usefixtures("staff")
async def test_a_detractor_opens_a_case_with_an_owner_and_a_timeline(
    scored: Make, deliver: Deliver, published: Published, rows: Rows
) -> None:
    await deliver(scored("r-1", score=2))
    (case,) = await rows("SELECT * FROM cases")
    assert (case.id, case.status, case.owner_id, case.score, case.version) == (
        case_id_of(ResponseId("r-1")),
        "open",
        "anna",
        2,
        2,
    )
    assert case.first_contact_due_at == MONDAY + timedelta(hours=48)
    assert case.fires_at == MONDAY + timedelta(hours=36)
    entries = await rows("SELECT version, kind, actor_kind, actor_id FROM timeline ORDER BY version")
    assert [tuple(entry) for entry in entries] == [
        (1, "opened", "customer", "c-1"),
        (2, "assigned", "customer", "c-1"),
    ]
    (answer,) = await rows("SELECT * FROM answers")
    assert (answer.case_id, answer.comment) == (case.id, "Ждала сорок минут")
    (first_key, opened), (second_key, assigned) = await published()
    assert (first_key, second_key) == ("c-1", "c-1")
    assert isinstance(opened.payload, CaseOpened)
    assert isinstance(assigned.payload, CaseAssigned)
    assert (opened.subject, opened.source, opened.traceparent) == (str(case.id), "/casework", "00-a-b-01")
    assert opened.payload.owner.email == "anna@example.org"
    assert opened.id != assigned.id


@pytest.mark.usefixtures("staff")
async def test_delivered_again_and_again_it_happened_once(
    scored: Make, deliver: Deliver, published: Published, rows: Rows
) -> None:
    await deliver(scored("r-1"), scored("r-1"))
    await deliver(scored("r-1"))
    assert len(await published()) == 2
    (load,) = await rows("SELECT running_cases FROM agent_loads")
    assert load.running_cases == 1


@pytest.mark.usefixtures("staff")
async def test_several_detractor_answers_of_one_customer_in_one_batch_are_one_case(
    scored: Make, deliver: Deliver, published: Published, rows: Rows
) -> None:
    await deliver(scored("r-1"), scored("r-2", score=0), scored("r-3", score=9), scored("r-4", customer_id="c-2"))
    assert len(await rows("SELECT id FROM cases")) == 2
    (case,) = await rows("SELECT * FROM cases WHERE customer_id = 'c-1'")
    assert {row.case_id for row in await rows("SELECT case_id FROM answers WHERE customer_id = 'c-1'")} == {case.id}
    joined = [event.payload for _, event in await published() if isinstance(event.payload, CaseJoined)]
    assert [(each.response_id, each.score, each.version) for each in joined] == [("r-2", 0, 3), ("r-3", 9, 4)]


@pytest.mark.usefixtures("staff")
async def test_an_answer_of_nobody_goes_under_its_own_key(scored: Make, deliver: Deliver, published: Published) -> None:
    await deliver(scored("r-7", customer_id=None))
    assert {key for key, _ in await published()} == {"r-7"}


@pytest.mark.usefixtures("staff")
async def test_answers_of_other_metrics_and_the_content_are_remembered_without_a_case(
    scored: Make, deliver: Deliver, published: Published, rows: Rows
) -> None:
    await deliver(
        scored("r-1", score=8),
        scored("r-2", score=10),
        scored("r-3", score=None),
        scored("r-4", score=1, metric="ces", nps_class=None),
    )
    assert len(await rows("SELECT response_id FROM answers WHERE case_id IS NULL")) == 4
    assert (await published(), await rows("SELECT id FROM cases")) == ([], [])


@pytest.mark.usefixtures("staff")
async def test_a_rescored_answer_updates_its_case_and_a_stale_one_does_not(
    scored: Make, deliver: Deliver, rows: Rows
) -> None:
    await deliver(scored("r-1", comment=None), scored("r-1", 3, score=1, comment="Никто не помог"))
    await deliver(scored("r-1", 2, score=6, comment="Всё плохо"))
    (case,) = await rows("SELECT score, version FROM cases")
    (answer,) = await rows("SELECT revision, comment FROM answers")
    assert (case.score, case.version, answer.revision, answer.comment) == (1, 3, 3, "Никто не помог")


@pytest.mark.usefixtures("staff")
async def test_rescored_to_a_detractors_opens_a_case(scored: Make, deliver: Deliver, rows: Rows) -> None:
    await deliver(scored("r-1", score=8))
    await deliver(scored("r-1", 2, score=5))
    (case,) = await rows("SELECT opening_response_id FROM cases")
    assert case.opening_response_id == "r-1"


@pytest.mark.usefixtures("staff")
async def test_an_answer_that_comes_too_late_opens_breached_and_escalated(
    scored: Make, deliver: Deliver, published: Published, rows: Rows, clock: Clock
) -> None:
    clock.now = MONDAY + timedelta(hours=49)
    await deliver(scored("r-1"))
    assert [event.type.split(".v")[0] for _, event in await published()] == [
        "case.opened",
        "case.assigned",
        "case.clock.breached",
        "case.escalated",
    ]
    (case,) = await rows("SELECT level, responsible_id, owner_id FROM cases")
    assert tuple(case) == ("management", "boris", "anna")


async def test_the_next_case_of_a_customer_goes_to_the_same_agent(
    scored: Make, deliver: Deliver, rows: Rows, hire: Hire, database: Database
) -> None:
    await hire("anna")
    await deliver(scored("r-1"))
    await hire("zoya", seniority=3)
    async with database.transaction() as tx:
        await tx.execute(
            text("""
                UPDATE cases SET status = 'closed', outcome = 'confirmed', closed_at = :now, fires_at = NULL
            """),
            {"now": tx.now},
        )
    await deliver(scored("r-2"), scored("r-3", customer_id="c-2"))
    owners = await rows("SELECT opening_response_id, owner_id, owner_reason FROM cases ORDER BY 1")
    assert [tuple(row) for row in owners] == [
        ("r-1", "anna", "least_loaded"),
        ("r-2", "anna", "previous_owner"),
        ("r-3", "zoya", "least_loaded"),
    ]


async def test_without_anybody_to_own_it_the_answer_waits_and_its_case_opens_when_somebody_comes(
    scored: Make, deliver: Deliver, published: Published, rows: Rows, hire: Hire, database: Database, clock: Clock
) -> None:
    waiting = WaitingAnswers(database, batch=10)
    await deliver(scored("r-1"), scored("r-2"), scored("r-3", score=9))
    assert (await published(), await rows("SELECT id FROM cases")) == ([], [])
    assert await waiting.step() is False
    await hire("anna")
    clock.now = MONDAY + timedelta(hours=40)
    await waiting.step()
    await waiting.step()
    (case,) = await rows("SELECT opening_response_id, owner_id, first_contact_due_at FROM cases")
    assert tuple(case) == ("r-1", "anna", MONDAY + timedelta(hours=48))
    assert [event.payload.TYPE for _, event in await published()] == [
        "case.opened.v1",
        "case.assigned.v1",
        "case.clock.warned.v1",
        "case.joined.v1",
    ]
    # As if it had been opened at once: the ids follow from the answer's event.
    first = (await published())[0][1]
    assert first.id == Event.caused_by(scored("r-1"), first.payload, subject="", time=MONDAY, source="").id
    assert await rows("SELECT response_id FROM answers WHERE waits_for_owner") == []


async def test_two_workers_open_a_waiting_answers_case_once(
    scored: Make, deliver: Deliver, rows: Rows, hire: Hire, database: Database
) -> None:
    await deliver(*(scored(f"r-{number}", customer_id=f"c-{number}") for number in range(30)))
    await hire("anna")
    await asyncio.gather(*(WaitingAnswers(database, batch=10).step() for _ in range(6)))
    while await WaitingAnswers(database, batch=10).step():
        pass
    assert len(await rows("SELECT id FROM cases")) == 30
    (load,) = await rows("SELECT running_cases FROM agent_loads")
    assert load.running_cases == 30


@pytest.mark.parametrize("shape", ["new", "joining", "revised"])
@pytest.mark.usefixtures("staff")
async def test_a_batch_takes_a_constant_number_of_statements(
    scored: Make, deliver: Deliver, statements: Statements, shape: str
) -> None:
    counts = []
    for first, size in ((0, 1), (1_000, 5), (2_000, 300)):
        numbers = range(first, first + size)
        if shape != "new":
            await deliver(*(scored(f"r-{number}", customer_id=f"c-{number}") for number in numbers))
        revision = 2 if shape == "revised" else 1
        prefix = "r" if shape != "joining" else "j"
        batch = [scored(f"{prefix}-{number}", revision, customer_id=f"c-{number}") for number in numbers]
        with statements() as seen:
            await deliver(*batch)
        counts.append(len(seen))
    assert len(set(counts)) == 1
    assert counts[0] <= 15


@pytest.mark.usefixtures("staff")
async def test_loads_count_what_people_own(scored: Make, deliver: Deliver, rows: Rows, hire: Hire) -> None:
    await hire("zoya", capacity=50)
    await deliver(*(scored(f"r-{number}", customer_id=f"c-{number}") for number in range(30)))
    loads = await rows(LOADS_ARE_RIGHT)
    assert all(row.counted == row.owned for row in loads)
    assert {row.id: row.owned for row in loads if row.owned} == {"anna": 20, "zoya": 10}


class Happened(Protocol):
    def __call__(self) -> Awaitable[tuple[object, ...]]: ...


@pytest.fixture
def outcome(rows: Rows, published: Published) -> Happened:
    """Everything that a series of deliveries left behind, but for the loads that were read on the way."""

    async def read() -> tuple[object, ...]:
        cases = await rows("""
            SELECT id, customer_id, opening_response_id, score, status, level, owner_id, version, fires_at, listed_at
              FROM cases ORDER BY id
        """)
        answers = await rows("SELECT response_id, revision, score, comment, case_id FROM answers ORDER BY 1")
        timeline = await rows("SELECT case_id, version, kind, at FROM timeline ORDER BY case_id, version")
        told = Counter((key, event.id, event.type, event.subject) for key, event in await published())
        return [tuple(row) for row in cases], [tuple(row) for row in answers], [tuple(row) for row in timeline], told

    return read


deliveries = st.lists(
    st.tuples(st.integers(1, 5), st.integers(1, 3), st.sampled_from([2, 6, 8, 10, None])), min_size=1, max_size=14
)


@on_a_database
@given(deliveries, st.randoms(use_true_random=False))
@pytest.mark.usefixtures("staff")
async def test_batches_duplicates_and_one_by_one_end_the_same(
    scored: Make,
    deliver: Deliver,
    clear: Callable[[], Awaitable[None]],
    outcome: Happened,
    series: list[tuple[int, int, int | None]],
    random: Any,  # noqa: ANN401 - a random.Random, seeded by the example
) -> None:
    """The score of a revision is what the first delivery of it says; a customer has two responses."""
    contents: dict[tuple[int, int], int | None] = {}
    events = [
        scored(
            f"r-{response}",
            revision,
            score=contents.setdefault((response, revision), score),
            customer_id=f"c-{response // 2}",
        )
        for response, revision, score in series
    ]
    await clear()
    for event in events:
        await deliver(event)
    expected = await outcome()
    await clear()
    place = 0
    while place < len(events):
        size = random.randint(1, 5)
        await deliver(*events[place : place + size])
        # What was delivered is delivered again.
        await deliver(*events[random.randint(0, place) : place + random.randint(0, size)])
        place += size
    assert await outcome() == expected


@pytest.mark.usefixtures("staff")
async def test_the_order_among_customers_decides_nothing_but_the_load(
    scored: Make, deliver: Deliver, clear: Callable[[], Awaitable[None]], outcome: Happened
) -> None:
    events = [scored(f"r-{number}", customer_id=f"c-{number}") for number in range(12)]
    await deliver(*events)
    expected = await outcome()
    await clear()
    await deliver(*reversed(events))
    assert await outcome() == expected


@pytest.mark.parametrize("met_before", [False, True])
@pytest.mark.usefixtures("staff")
async def test_two_workers_with_answers_of_one_customer_open_one_case(
    scored: Make,
    deliver: Deliver,
    rows: Rows,
    database: Database,
    somebody_waits: Callable[[], Awaitable[None]],
    met_before: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """A worker that lost its partition and its heir have two answers in hand: one opens, the other joins."""
    if met_before:
        await deliver(scored("r-0", score=9))
    async with database.transaction() as tx:
        await handle_scores(tx, [scored("r-1")])
        second = asyncio.create_task(deliver(scored("r-2")))
        await somebody_waits()
    await second
    (case,) = await rows("SELECT id, opening_response_id FROM cases")
    assert case.opening_response_id == "r-1"
    joined = await rows("SELECT case_id FROM answers WHERE response_id IN ('r-1', 'r-2')")
    assert [row.case_id for row in joined] == [case.id, case.id]


@pytest.mark.usefixtures("staff")
async def test_the_table_itself_holds_one_open_case_per_customer(
    scored: Make, deliver: Deliver, database: Database
) -> None:
    await deliver(scored("r-1"), scored("r-2", customer_id="c-2"))
    with pytest.raises(IntegrityError, match="one_open_case_per_customer"):
        async with database.transaction() as tx:
            await tx.execute(text("UPDATE cases SET customer_id = 'c-1'"))


@pytest.mark.usefixtures("staff")
@pytest.mark.parametrize(
    ("change", "kind", "reason"),
    [
        ({"score": 9}, "revised", "answer_improved"),
        ({"score": None, "withdrawn": True}, "withdrawn", "answer_withdrawn"),
    ],
)
async def test_what_nobody_has_acted_on_is_taken_back_and_the_case_says_so(
    scored: Make, deliver: Deliver, rows: Rows, change: dict[str, Any], kind: str, reason: str
) -> None:
    await deliver(scored("r-1", score=2))
    await deliver(scored("r-1", revision=2, **change))
    (case,) = await rows("SELECT status, outcome FROM cases")
    assert tuple(case) == ("closed", "unconfirmed")
    *_, told, closed = await rows("SELECT kind, CAST(details AS text) AS details FROM timeline ORDER BY version")
    assert told.kind == kind
    assert (closed.kind, f'"{reason}"' in closed.details) == ("closed", True)
    (answer,) = await rows("SELECT score, nps_class FROM answers")
    assert answer.nps_class != "detractor"


@pytest.mark.usefixtures("staff")
async def test_what_somebody_has_acted_on_stays_with_a_person(
    database: Database, scored: Make, deliver: Deliver, rows: Rows
) -> None:
    await deliver(scored("r-1", score=2))
    async with database.transaction() as tx:
        await tx.execute(ANNA_NOTED)
    await deliver(scored("r-1", revision=2, score=9))
    (case,) = await rows("SELECT status, score FROM cases")
    assert tuple(case) == ("open", 9)


@pytest.mark.usefixtures("staff")
@pytest.mark.parametrize("batches", [(1, 1, 1), (2, 1), (1, 2), (3,)])
async def test_a_case_with_another_unhappy_answer_stays_open(
    scored: Make, deliver: Deliver, rows: Rows, batches: tuple[int, ...]
) -> None:
    events = [scored("r-1", score=2), scored("r-2", score=3), scored("r-1", revision=2, score=10)]
    for size in batches:
        await deliver(*events[:size])
        events = events[size:]
    (case,) = await rows("SELECT status FROM cases")
    assert case.status == "open"


@pytest.mark.usefixtures("staff")
async def test_a_customer_who_becomes_unhappy_again_gets_a_case_again(
    scored: Make, deliver: Deliver, rows: Rows
) -> None:
    await deliver(scored("r-1", score=2))
    await deliver(scored("r-1", revision=2, score=9))
    await deliver(scored("r-1", revision=3, score=1))
    (case,) = await rows("SELECT status, score FROM cases")
    assert tuple(case) == ("open", 1)
