"""Sending costs the same however long the ledger has become, and however many mails are in one go."""

import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import TextClause, event, text

from libs.events.database import Database
from services.notify.domain.messages import Status
from services.notify.domain.outcomes import Settlement
from services.notify.store import confirmations, delivery, ledger, profiles
from tests.handlers.notify.mail_trap import MailTrap
from tests.handlers.notify.post import Post
from tests.handlers.notify.world import Clock, World

ID = UUID(int=1)
NOW = None
"""The plan of a time that is not known is the plan for any."""
STATEMENTS: dict[str, tuple[TextClause, dict[str, Any]]] = {
    "what is due": (delivery._ANY_DUE, {"now": NOW}),
    "claim": (delivery._CLAIM, {"now": NOW, "limit": 200, "sender": 1}),
    "suppress": (delivery._SUPPRESS, {"ids": [ID], "attempts": [1], "reasons": ["no_consent"], "now": NOW}),
    "mark": (delivery._MARK, {"ids": [ID] * 40, "attempts": [1] * 40, "now": NOW}),
    "settle": (
        delivery._SETTLE,
        {
            "ids": [ID] * 40,
            "attempts": [1] * 40,
            "statuses": ["sent"] * 40,
            "reasons": [None] * 40,
            "due_ats": [None] * 40,
            "failures": [0] * 40,
            "now": NOW,
        },
    ),
    "abandoned": (delivery._ABANDONED, {"class": delivery.PRESENCE_CLASS, "limit": 1000, "now": NOW}),
    "doubts": (delivery._DOUBTS, {"now": NOW, "limit": 20, "next": NOW}),
    "number of doubts": (delivery._COUNT_DOUBTS, {}),
    "outdated": (ledger._OUTDATE, {"case_ids": ["case-1"], "befores": [9], "now": NOW}),
    "promoted": (ledger._PROMOTE, {"now": NOW, "limit": 100}),
    "expired": (ledger._EXPIRE, {"now": NOW, "limit": 100}),
    "forgotten": (ledger._PRUNE, {"before": NOW, "answerable": NOW, "limit": 2000}),
    "profiles": (profiles._GET, {"customer_ids": ["c-1", "c-2"]}),
    "erasure": (profiles._SUPPRESS, {"customer_ids": ["c-1"], "now": NOW}),
    "round": (confirmations._FIND, {"message_id": ID}),
}
GROWN = (
    text("""
        INSERT INTO profiles (customer_id, version, name, email, language, time_zone, email_consent)
        SELECT 'c-' || n, 1, 'Name', 'c-' || n || '@mail.example', 'ru', 'Europe/Moscow', true
          FROM generate_series(1, 30000) AS n
    """),
    text("""
        INSERT INTO confirmations (case_id, round, case_version, message_id, customer_id, agent_name, asked_about,
                                   confirm_by)
        SELECT 'case-' || n, 1, 3, CAST(md5('m' || n) AS uuid), 'c-' || n, 'Anna', now(), now()
          FROM generate_series(1, 30000) AS n
    """),
    text("""
        INSERT INTO messages (id, cause_id, recipient, kind, case_id, case_version, round, customer_id, facts, status,
                              sender, due_at, created_at, changed_at)
        SELECT CAST(md5('m' || n) AS uuid), gen_random_uuid(), 'customer:c-' || n, 'confirmation_request', 'case-' || n,
               3, 1, 'c-' || n, CAST('{}' AS jsonb),
               (ARRAY['queued', 'sending', 'transmitting', 'doubtful', 'waiting', 'failed'])[n % 6 + 1],
               CASE WHEN n % 6 IN (1, 2) THEN 1 END, now(), now() - n * interval '1 minute', now()
          FROM generate_series(1, 300) AS n
         UNION ALL
        SELECT CAST(md5('m' || n) AS uuid), gen_random_uuid(), 'customer:c-' || n, 'confirmation_request', 'case-' || n,
               3, 1, 'c-' || n, CAST('{}' AS jsonb), 'sent', NULL, now(), now() - n * interval '1 minute', now()
          FROM generate_series(301, 30000) AS n
    """),
)


@pytest.fixture
async def grown(database: Database) -> Database:
    """A ledger of years."""
    async with database.transaction() as tx:
        for grow in GROWN:
            await tx.execute(grow)
    async with database.engine.connect() as connection:
        vacuuming = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await vacuuming.execute(text("VACUUM ANALYZE messages, profiles, confirmations"))
    return database


async def test_no_statement_of_sending_reads_a_whole_table(grown: Database) -> None:
    read: dict[str, list[str]] = {}
    async with grown.transaction() as tx:
        for name, (statement, parameters) in STATEMENTS.items():
            plan = [row[0] for row in await tx.fetch(text(f"EXPLAIN {statement.text}"), parameters)]
            assert plan
            whole = [line for line in plan if re.search(r"Seq Scan on (messages|profiles|confirmations)", line)]
            if whole:
                read[name] = plan
    assert read == {}


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements that are run meanwhile."""
    run: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_others: object) -> None:
        run.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", count)
    try:
        yield run
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", count)


async def test_as_many_statements_for_two_hundred_mails_as_for_one(
    world: World, post: Post, database: Database
) -> None:
    async def statements_for(amount: int, first: int) -> list[int]:
        numbers = range(first, first + amount)
        await world.customers(*(world.profile(f"c-{number}") for number in numbers))
        counts = []
        with counted(database) as run:
            await world.cases(*(world.resolved(f"case-{number}", customer_id=f"c-{number}") for number in numbers))
        counts.append(len(run))
        if amount > 1:
            await world.customers(world.profile(f"c-{first}", email_consent=False))
        number = await post.presence.number()

        async def step(work: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - whatever it gives
            with counted(database) as run:
                outcome = await work()
            counts.append(len(run))
            return outcome

        claimed = await step(lambda: post.sender._claim(number, amount))
        entries = [message.entry for message in claimed]
        assert await step(lambda: post.journal._mark(entries)) == [True] * len(entries)
        sent = Settlement(status=Status.SENT)
        await step(lambda: post.journal._settle([(entry, sent) for entry in entries]))
        return counts

    one = await statements_for(1, 1)
    many = await statements_for(200, 1000)
    statuses = [row.status for row in await world.rows()]
    assert (statuses.count("sent"), statuses.count("suppressed")) == (200, 1)
    # What is held back is two more, for the ledger and for the outbox, however many are.
    one[1] += 2
    assert many == one


async def test_what_is_planned_once_on_a_new_system_is_planned_for_years(database: Database) -> None:
    now = datetime.now(UTC)
    sent = {"ids": [ID], "attempts": [1], "keys": ["k"], "values": [b""], "headers": [b""], "topic": "t", "now": now}
    by_index: dict[str, set[str]] = {}
    for name, statement, parameters in (
        ("claim", delivery._CLAIM, {"now": now, "limit": 200, "sender": 1}),
        ("mark", delivery._MARK, {"ids": [ID] * 40, "attempts": [1] * 40, "now": now}),
        ("sent", delivery._SENT, sent),
    ):
        # As on the connections where it is kept.
        rows = await database.at_once(text(f"EXPLAIN {statement.text}"), parameters, publishes=False)
        plan = "\n".join(row[0] for row in rows)
        assert not re.search(r"(Seq|Bitmap Heap) Scan on (messages|profiles|confirmations)", plan), plan
        by_index[name] = set(re.findall(r"using (\w+) on messages", plan))
    assert by_index == {
        "claim": {"messages_due", "messages_pkey"},
        "mark": {"messages_pkey"},
        "sent": {"messages_pkey"},
    }


async def test_settled_messages_are_forgotten_when_they_are_old_and_others_never(
    world: World, post: Post, trap: MailTrap, clock: Clock, database: Database
) -> None:
    await world.customers(world.profile())
    await world.cases(world.resolved("case-1"), world.assigned("case-2"))
    trap.tell("dot", "cut")
    await post.rest()
    assert sorted(row.status for row in await world.rows()) == ["doubtful", "sent"]
    doubtful = next(row.id for row in await world.rows() if row.status == "doubtful")
    kept = timedelta(days=400)

    clock.move(timedelta(days=399))
    async with database.transaction() as tx:
        assert await ledger.prune(tx, kept=kept) is False
    assert len(await world.rows()) == 2

    clock.move(timedelta(days=2))
    async with database.transaction() as tx:
        assert await ledger.prune(tx, kept=kept) is False
    assert [row.id for row in await world.rows()] == [doubtful]
    assert len(await world.rounds()) == (doubtful in [each.message_id for each in await world.rounds()])


async def test_a_question_that_may_still_be_answered_is_not_forgotten(
    world: World, post: Post, clock: Clock, database: Database
) -> None:
    await world.customers(world.profile())
    await world.cases(world.resolved(confirm_by=clock.now + timedelta(days=400)))
    await post.rest()
    clock.move(timedelta(days=401))
    async with database.transaction() as tx:
        await ledger.prune(tx, kept=timedelta(days=400))
    assert len(await world.rows()) == len(await world.rounds()) == 1
    clock.move(timedelta(days=30))
    async with database.transaction() as tx:
        await ledger.prune(tx, kept=timedelta(days=400))
    assert await world.rows() == await world.rounds() == []
