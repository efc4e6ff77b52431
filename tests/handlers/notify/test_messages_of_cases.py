"""What an event makes of the ledger: one row per cause and recipient, and nothing held back in silence."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text

from libs.events.database import Database
from tests.handlers.notify.post import Post
from tests.handlers.notify.world import Clock, World


async def test_the_owner_is_told_of_a_case_once_however_often_the_event_comes(world: World) -> None:
    assigned = world.assigned()
    await world.cases(assigned)
    await world.cases(assigned)
    async with world.database.transaction() as tx:
        await world.handle_cases(tx, [assigned])  # an inbox that was lost changes nothing either

    row = await world.row()
    assert (row.recipient, row.kind, row.status) == ("employee:e-anna", "case_assigned", "queued")
    (queued,) = await world.published()
    assert queued.type == "message.queued.v1"
    assert queued.payload.message_id == str(row.id)
    assert queued.payload.cause_id == str(assigned.id)
    assert queued.payload.employee_id == "e-anna"
    assert queued.payload.customer_id is None
    assert queued.traceparent == assigned.traceparent


async def test_a_breach_is_told_to_the_owner_and_to_the_manager(world: World) -> None:
    await world.cases(world.breached())
    assert [row[:2] for row in sorted(await world.statuses())] == [
        ("employee:e-anna", "queued"),
        ("employee:e-boss", "queued"),
    ]


async def test_a_manager_who_owns_the_case_is_told_once(world: World) -> None:
    breached = world.breached()
    await world.cases(world.breached(responsible=breached.payload.owner))
    assert [row[0] for row in await world.statuses()] == ["employee:e-anna"]


@pytest.mark.parametrize("reason", ["customer_not_satisfied", "by_hand"])
async def test_the_owner_is_told_of_a_reopening_once_however_often_the_event_comes(world: World, reason: str) -> None:
    reopened = world.reopened(reason=reason)
    await world.cases(reopened)
    async with world.database.transaction() as tx:
        await world.handle_cases(tx, [reopened])
    row = await world.row()
    assert (row.recipient, row.kind, row.status) == ("employee:e-anna", "case_reopened", "queued")
    assert await world.published_types() == ["message.queued"]


@pytest.mark.parametrize(
    "reason",
    ["no_authority", "several_departments", "key_customer", "repeated_problem", "customer_asked", "not_solved"],
)
async def test_who_answers_for_an_escalated_case_is_told(world: World, reason: str) -> None:
    await world.cases(world.escalated(reason=reason))
    row = await world.row()
    assert (row.recipient, row.kind, row.status) == ("employee:e-boss", "case_escalated", "queued")


async def test_an_escalation_that_nobody_answers_for_is_told_to_nobody(world: World) -> None:
    await world.cases(world.escalated(responsible=None))
    assert await world.statuses() == []


async def test_an_escalation_from_before_events_named_the_owner_is_told(world: World) -> None:
    await world.cases(world.escalated(owner=None))
    assert [row[0] for row in await world.statuses()] == ["employee:e-boss"]


async def test_a_breach_that_escalates_is_told_once_to_each(world: World) -> None:
    await world.cases(world.breached(), world.escalated(reason="clock_breached"))
    assert sorted((row.recipient, row.kind) for row in await world.rows()) == [
        ("employee:e-anna", "clock_breached"),
        ("employee:e-boss", "clock_breached"),
    ]


async def test_a_no_of_the_customer_is_told_to_the_owner_and_to_the_manager(world: World) -> None:
    await world.cases(world.reopened(reason="customer_not_satisfied"), world.escalated())
    assert sorted((row.recipient, row.kind) for row in await world.rows()) == [
        ("employee:e-anna", "case_reopened"),
        ("employee:e-boss", "case_escalated"),
    ]


async def test_an_owner_who_also_answers_for_the_case_hears_of_a_no_once(world: World) -> None:
    owner = world.reopened().payload.owner
    await world.cases(world.reopened("case-2"), world.escalated("case-2", responsible=owner))
    assert [(row.recipient, row.kind) for row in await world.rows()] == [("employee:e-anna", "case_reopened")]


async def test_an_employee_without_an_address_is_recorded_as_held_back(world: World) -> None:
    owner = world.assigned().payload.owner
    await world.cases(world.warned(owner=type(owner)(employee_id="e-9", name="X", email="", language="ru")))
    assert await world.statuses() == [("employee:e-9", "suppressed", "no_address")]
    assert await world.published_types() == ["message.suppressed"]


async def test_a_customer_is_asked_when_the_case_is_resolved(world: World) -> None:
    await world.customers(world.profile())
    await world.cases(world.resolved())
    assert await world.statuses() == [("customer:c-1", "queued", None)]
    row = await world.row()
    assert (row.round, row.address, row.name) == (1, None, None)  # contact details stay in the profile
    (round_,) = await world.rounds()
    assert (round_.message_id, round_.ended, round_.solved) == (row.id, None, None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"email": None}, "no_address"),
        ({"email": "nobody"}, "no_address"),
        ({"email": "two@a.example\r\nBcc: x@b.example"}, "no_address"),
        ({"email_consent": False}, "no_consent"),
    ],
)
async def test_a_customer_who_cannot_be_written_to_is_held_back_with_the_reason(
    world: World, changes: dict[str, Any], reason: str
) -> None:
    await world.customers(world.profile(**changes))
    await world.cases(world.resolved())
    assert await world.statuses() == [("customer:c-1", "suppressed", reason)]
    (suppressed,) = await world.published()
    assert suppressed.payload.reason == reason


async def test_a_case_without_a_customer_asks_nobody_and_says_so(world: World) -> None:
    await world.cases(world.resolved(customer_id=None))
    assert await world.statuses() == [("case:case-1", "suppressed", "no_profile")]
    assert await world.published_types() == ["message.suppressed"]


async def test_a_request_waits_for_a_profile_that_comes_later(world: World, post: Post) -> None:
    await world.cases(world.resolved())
    assert await world.statuses() == [("customer:c-1", "waiting", None)]
    assert await world.published_types() == []
    await post.attendant.waiting()
    assert await world.statuses() == [("customer:c-1", "waiting", None)]

    await world.customers(world.profile())
    await post.attendant.waiting()
    assert await world.statuses() == [("customer:c-1", "queued", None)]
    assert await world.published_types() == ["message.queued"]


async def test_a_profile_that_commits_while_the_case_is_being_handled_is_not_missed(world: World, post: Post) -> None:
    resolved = world.resolved()
    async with world.database.transaction() as tx:
        await world.handle_cases(tx, [resolved])
        await world.customers(world.profile())  # another connection; neither sees the other
    assert await world.statuses() == [("customer:c-1", "waiting", None)]
    await post.attendant.waiting()
    assert await world.statuses() == [("customer:c-1", "queued", None)]


async def test_a_profile_that_never_comes_ends_the_waiting(world: World, post: Post, clock: Clock) -> None:
    await world.cases(world.resolved())
    clock.move(timedelta(minutes=14, seconds=59))
    await post.attendant.waiting()
    assert await world.statuses() == [("customer:c-1", "waiting", None)]
    clock.move(timedelta(seconds=1))
    await post.attendant.waiting()
    assert await world.statuses() == [("customer:c-1", "suppressed", "no_profile")]
    assert await world.published_types() == ["message.suppressed"]


async def test_a_profile_in_the_last_moment_wins_over_the_end_of_the_waiting(
    world: World, post: Post, clock: Clock
) -> None:
    await world.cases(world.resolved())
    await world.customers(world.profile())
    clock.move(timedelta(hours=1))
    await post.attendant.waiting()
    assert await world.statuses() == [("customer:c-1", "queued", None)]


async def test_only_the_latest_profile_counts(world: World) -> None:
    old, new = world.profile(email=None), world.profile()
    await world.customers(new)
    await world.customers(old)
    await world.cases(world.resolved())
    assert await world.statuses() == [("customer:c-1", "queued", None)]


async def test_the_last_of_several_profiles_in_a_batch_counts(world: World) -> None:
    await world.customers(world.profile(), world.profile(email_consent=False))
    await world.cases(world.resolved())
    assert await world.statuses() == [("customer:c-1", "suppressed", "no_consent")]


@pytest.mark.parametrize("ending", ["reopened", "closed"])
@pytest.mark.parametrize("together", [True, False])
async def test_an_unsent_request_of_an_older_round_is_outdated(world: World, ending: str, *, together: bool) -> None:
    await world.customers(world.profile())
    events = [world.resolved(), getattr(world, ending)()]
    if together:
        await world.cases(*events)
    else:
        for event in events:
            await world.cases(event)
    assert await world.statuses_of_questions() == [("customer:c-1", "suppressed", "outdated")]
    assert "message.suppressed" in await world.published_types()


async def test_a_newer_resolution_is_asked_about_and_the_older_is_not(world: World) -> None:
    await world.customers(world.profile())
    await world.cases(world.resolved(), world.reopened(), world.resolved(round=2))
    assert sorted((row.round, row.status) for row in await world.questions()) == [(1, "suppressed"), (2, "queued")]


async def test_a_waiting_request_of_an_older_round_is_outdated_too(world: World) -> None:
    await world.cases(world.resolved())
    await world.cases(world.reopened())
    assert await world.statuses_of_questions() == [("customer:c-1", "suppressed", "outdated")]


async def test_an_erased_customer_is_in_no_table_any_more(world: World, database: Database) -> None:
    await world.customers(world.profile(email="tell-tale@mail.example", name="Tell Tale"))
    await world.cases(world.resolved("case-1", agent_name="Told Teller"), world.resolved("case-2"))
    await world.customers(world.erasure())

    assert [row[1:] for row in await world.statuses()] == [("suppressed", "erased")] * 2
    assert (await world.published_types())[-2:] == ["message.suppressed"] * 2
    assert all(row.facts_text == "{}" for row in await world.rows())
    async with database.reading() as tx:
        tables = await tx.fetch(text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"))
        for (table,) in tables:
            found = await tx.fetch(
                text(f"SELECT row_to_json(t)::text AS row FROM {table} t")  # noqa: S608 - the catalogue's names
            )
            assert not [row for row in found if "tell-tale" in row.row or "Tell Tale" in row.row], table


async def test_a_customer_who_comes_back_after_an_erasure_is_known_again(world: World) -> None:
    for _ in range(5):
        await world.customers(world.profile())
    await world.customers(world.erasure(), world.event(world.profile(version=1).payload, "c-1", "anew"))
    await world.cases(world.resolved())
    assert await world.statuses() == [("customer:c-1", "queued", None)]


async def test_a_batch_costs_as_many_statements_as_one_event(world: World, database: Database) -> None:
    def batch(size: int) -> list[Any]:
        kinds = (world.assigned, world.breached, world.resolved, world.reopened, world.escalated, world.closed)
        return [make(f"case-{size}-{place}") for place in range(size) for make in kinds]

    with counted(database) as one:
        await world.cases(*batch(1))
    with counted(database) as many:
        await world.cases(*batch(100))
    assert len(many) == len(one)
    with counted(database) as one:
        await world.customers(world.profile("c-1"), world.erasure("c-2"))
    with counted(database) as many:
        await world.customers(*(world.profile(f"c-{n}") for n in range(100)), *map(world.erasure, ("x", "y", "z")))
    assert len(many) == len(one)


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    sqlalchemy_event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    yield statements
    sqlalchemy_event.remove(database.engine.sync_engine, "before_cursor_execute", note)


LIVES = st.lists(st.sampled_from(["resolved", "reopened", "unconfirmed", "confirmed"]), min_size=1, max_size=8)


@given(
    lives=st.dictionaries(st.sampled_from(["case-1", "case-2"]), LIVES, min_size=1),
    cuts=st.sets(st.integers(1, 15), max_size=4),
    twice=st.booleans(),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_however_events_are_cut_into_batches_the_end_is_the_same(
    world: World, lives: dict[str, list[str]], cuts: set[int], *, twice: bool
) -> None:
    events: list[Any] = []
    for case_id, life in lives.items():
        round_ = 0
        for step in life:
            if step == "resolved":
                round_ += 1
                events.append(world.resolved(case_id, round=round_))
            elif step == "reopened":
                events.append(world.reopened(case_id, round=round_))
            else:
                events.append(world.closed(case_id, outcome=step))

    async def end_of(*batches: list[Any]) -> tuple[list[Any], list[Any]]:
        await world.clear()
        await world.customers(world.profile())
        for batch in batches:
            await world.cases(*batch)
        return [tuple(each) for each in await world.rounds()], sorted(await world.statuses())

    expected = await end_of(*([event] for event in events))
    edges = [0, *sorted(cut for cut in cuts if cut < len(events)), len(events)]
    batches = [events[start:end] for start, end in pairwise(edges)]
    assert await end_of(*(batch for batch in batches for _ in range(1 + twice))) == expected
