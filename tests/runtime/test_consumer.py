"""The guarantee: each effect once, whatever fails; poison set aside, never a record lost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from libs.events.codec import encode
from libs.events.consumer import APART_FROM
from libs.events.contracts.messages import ConfirmationAnswered
from libs.events.database import MAX_VALUE_BYTES, Database, Tx
from libs.events.errors import PermanentError, TooManyDeadLetters, Unavailable
from libs.events.event import Event
from libs.events.outbox import Outgoing
from libs.events.retry import Backoff
from libs.events.telemetry import new_traceparent
from libs.events.testing import (
    CONSUMER,
    MemorySubscription,
    Workbench,
    a_broken_record,
    an_answer,
    an_outgoing,
    eventually,
    running,
)


class Killed(BaseException):
    """As good as SIGKILL for what is below: nothing catches it."""


class Failing(MemorySubscription):
    """Its next commits fail with what they are given, one after the other."""

    def __init__(self, bench: Workbench, *failures: BaseException) -> None:
        super().__init__(bench.broker, CONSUMER, bench.topic.name, timedelta(seconds=60))
        self._failures = list(failures)

    async def commit(self, offsets: dict[tuple[str, int], int]) -> None:
        if self._failures:
            raise self._failures.pop(0)
        await super().commit(offsets)


def fails_on(*poison: int, error: Exception | None = None) -> Callable[[Event[Any]], None]:
    """A judge that lets all pass but the answers with these numbers."""

    def judge(event: Event[Any]) -> None:
        if event.payload.round in poison:
            raise error or ValueError(f"number {event.payload.round} is poison")

    return judge


def header(record: Outgoing, name: str) -> str:
    return dict(record.headers)[name].decode()


def count(outcome: str) -> float:
    return REGISTRY.get_sample_value("otklik_records_total", {"consumer": CONSUMER, "outcome": outcome}) or 0.0


async def test_a_batch_reaches_the_handler_whole_and_in_order(bench: Workbench) -> None:
    bench.deliver(*(an_answer("anna", number) for number in range(100)))

    async with running(bench.consumer()):
        await bench.all_done()

    assert await bench.effects.by_customer() == {"anna": list(range(100))}
    assert bench.effects.batches == [100]


async def test_an_event_takes_effect_once_however_often_it_is_delivered(bench: Workbench) -> None:
    events = [an_answer("anna", number) for number in range(5)]
    bench.deliver(events[0], events[0], *events)
    async with running(bench.consumer()):
        await bench.all_done()
        bench.deliver(*events)
        bench.deliver(*reversed(events))
        await bench.all_done()

    assert await bench.effects.ids() == [event.id for event in events]


async def test_a_replay_of_the_topic_from_its_start_changes_nothing(bench: Workbench) -> None:
    bench.deliver(*(an_answer("anna", number) for number in range(5)))
    bench.effects.judge = fails_on(2)
    async with running(bench.consumer()):
        await bench.all_done()
    before = (await bench.effects.ids(), await bench.waiting())

    bench.effects.judge = fails_on()
    bench.broker.group(CONSUMER).committed.clear()
    async with running(bench.consumer()):
        await bench.all_done()

    assert (await bench.effects.ids(), await bench.waiting()) == before


async def test_killed_between_the_two_commits_the_effects_are_there_once(bench: Workbench) -> None:
    bench.deliver(*(an_answer("anna", number) for number in range(5)))
    with pytest.raises(Killed):
        async with running(bench.consumer(subscription=Failing(bench, Killed()))):
            await eventually(bench.effects.ids)
    assert bench.lag == 5

    async with running(bench.consumer()):
        await bench.all_done()

    assert await bench.effects.by_customer() == {"anna": [0, 1, 2, 3, 4]}


async def test_an_offset_that_could_not_be_committed_is_committed_later_though_nothing_follows(
    bench: Workbench,
) -> None:
    bench.deliver(an_answer(), an_answer("boris"))

    async with running(bench.consumer(subscription=Failing(bench, Unavailable("away"), Unavailable("away")))):
        await bench.all_done()

    assert await bench.effects.by_customer() == {"anna": [1], "boris": [1]}


async def test_poison_is_set_aside_and_the_rest_keeps_its_order(bench: Workbench) -> None:
    bench.deliver(*(an_answer(customer, number) for number in range(20) for customer in ("anna", "boris")))
    bench.effects.judge = fails_on(7, 13)

    async with running(bench.consumer()):
        await bench.all_done()

    rest = [number for number in range(20) if number not in (7, 13)]
    assert await bench.effects.by_customer() == {"anna": rest, "boris": rest}
    assert [header(letter, "ce_subject") for letter in await bench.dead_letters()] == [
        "case of anna",
        "case of boris",
    ] * 2


async def test_a_blip_is_retried(bench: Workbench) -> None:
    failures = [ValueError("once"), ValueError("twice"), ValueError("thrice")]

    def judge(event: Event[Any]) -> None:
        if event.payload.round == 2 and failures:
            raise failures.pop()

    bench.deliver(*(an_answer("anna", number) for number in range(4)))
    bench.effects.judge = judge

    async with running(bench.consumer()):
        await bench.all_done()

    assert await bench.effects.by_customer() == {"anna": [0, 1, 2, 3]}
    assert await bench.dead_letters() == []


async def test_what_fails_again_and_again_is_set_aside_after_as_many_attempts(bench: Workbench) -> None:
    bench.deliver(an_answer())
    bench.effects.judge = fails_on(1)

    async with running(bench.consumer()):
        await bench.all_done()

    (letter,) = await bench.dead_letters()
    assert header(letter, "dlq_attempts") == "5"
    # One attempt in the batch, which proved nothing, and five alone.
    assert bench.effects.batches == [1] * 6


async def test_a_permanent_error_is_set_aside_at_once(bench: Workbench) -> None:
    bench.deliver(an_answer())
    bench.effects.judge = fails_on(1, error=PermanentError("no such survey"))

    async with running(bench.consumer()):
        await bench.all_done()

    (letter,) = await bench.dead_letters()
    assert header(letter, "dlq_attempts") == "1"
    assert header(letter, "dlq_reason") == "PermanentError: no such survey"
    assert bench.effects.batches == [1, 1]


async def test_a_dead_letter_has_the_original_bytes_and_says_why_and_whence(bench: Workbench) -> None:
    original = a_broken_record(
        topic=bench.topic.name,
        key="anna",
        value=b'{"half": \xff',
        headers=(*an_outgoing(an_answer(), topic=bench.topic.name, key="anna").headers, ("foreign", b"\x00\xff")),
    )
    bench.deliver(an_answer("anna", 1))
    bench.deliver_record(original)
    bench.deliver(an_answer("anna", 2))

    async with running(bench.consumer()):
        await bench.all_done()

    (letter,) = await bench.dead_letters()
    assert letter.topic == f"{bench.topic.name}.{CONSUMER}.dlq"
    assert (letter.key, letter.value) == (original.key, original.value)
    assert letter.headers[: len(original.headers)] == original.headers
    assert header(letter, "dlq_reason").startswith("Undecodable: ")
    assert header(letter, "dlq_consumer") == CONSUMER
    assert (header(letter, "dlq_topic"), header(letter, "dlq_partition"), header(letter, "dlq_offset")) == (
        bench.topic.name,
        "0",
        "1",
    )
    assert header(letter, "dlq_key") == "anna"
    assert header(letter, "dlq_attempts") == "1"
    # It cost its neighbours nothing, not even a second call.
    assert bench.effects.batches == [2]


@pytest.mark.parametrize(
    "value",
    [b"", b"null", b"[]", b"{}", b"[" * 100_000, b'{"case_id": "\xff"}', b'{"round": 1e400}', b"\x00", None],
    ids=["empty", "null", "list", "no fields", "deep", "not UTF-8", "no number", "NUL", "tombstone"],
)
async def test_what_breaks_its_contract_is_set_aside_without_a_second_attempt(
    bench: Workbench, value: bytes | None
) -> None:
    good = an_outgoing(an_answer(), topic=bench.topic.name, key="anna")
    bench.deliver_record(Outgoing(good.topic, good.key, value, good.headers))
    bench.deliver(an_answer("boris"))

    async with running(bench.consumer()):
        await bench.all_done()

    (letter,) = await bench.dead_letters()
    assert letter.value == value
    assert await bench.effects.by_customer() == {"boris": [1]}
    assert bench.effects.batches == [1]


@pytest.mark.parametrize("missing", ["ce_id", "ce_type", "ce_source", "ce_time", "ce_specversion"])
async def test_without_an_attribute_a_record_is_set_aside(bench: Workbench, missing: str) -> None:
    good = an_outgoing(an_answer(), topic=bench.topic.name, key="anna")
    headers = tuple((name, value) for name, value in good.headers if name != missing)
    bench.deliver_record(Outgoing(good.topic, good.key, good.value, headers))
    bench.deliver(an_answer("boris"))

    async with running(bench.consumer()):
        await bench.all_done()

    (letter,) = await bench.dead_letters()
    assert missing in header(letter, "dlq_reason")
    assert await bench.effects.by_customer() == {"boris": [1]}


async def test_a_nul_byte_that_the_database_refuses_costs_no_neighbour_its_effect(bench: Workbench) -> None:
    bench.deliver(an_answer("anna", 1), an_answer("a\x00a", 2), an_answer("anna", 3))

    async with running(bench.consumer()):
        await bench.all_done()

    (letter,) = await bench.dead_letters()
    assert header(letter, "dlq_offset") == "1"
    assert await bench.effects.by_customer() == {"anna": [1, 3]}


async def test_of_a_hundred_poison_in_a_row_none_is_lost_and_what_follows_takes_effect(bench: Workbench) -> None:
    bench.deliver(an_answer("anna", 0), *(an_answer("boris", number) for number in range(1, 101)), an_answer("anna", 0))
    bench.effects.judge = fails_on(*range(1, 101), error=PermanentError("of no use"))
    stops = 0

    while bench.lag:  # as a supervisor does
        stop = asyncio.Event()
        life = asyncio.create_task(bench.consumer().run(stop))
        await eventually(lambda life=life: life.done() or bench.lag == 0)  # type: ignore[misc]
        stop.set()
        await asyncio.wait([life])
        stops += isinstance(life.exception(), TooManyDeadLetters)

    assert [header(letter, "dlq_offset") for letter in await bench.dead_letters()] == [
        str(offset) for offset in range(1, 101)
    ]
    assert stops == 4
    assert await bench.effects.by_customer() == {"anna": [0, 0]}


async def test_a_dead_letter_that_cannot_be_written_stops_the_process_and_the_record_stays_unread(
    bench: Workbench, database: Database
) -> None:
    async with database.transaction() as tx:
        await tx.execute(text("ALTER TABLE outbox ADD CONSTRAINT refused CHECK (topic NOT LIKE '%.dlq')"))
    bench.deliver(an_answer("anna", 1), an_answer("anna", 2), an_answer("anna", 3))
    bench.effects.judge = fails_on(2)
    for _ in range(2):
        with pytest.raises(IntegrityError, match="refused"):
            await bench.consumer().run(asyncio.Event())
        assert await bench.effects.by_customer() == {"anna": [1]}
        assert bench.lag == 3

    async with database.transaction() as tx:
        await tx.execute(text("ALTER TABLE outbox DROP CONSTRAINT refused"))
    async with running(bench.consumer()):
        await bench.all_done()
    assert await bench.effects.by_customer() == {"anna": [1, 3]}
    assert [header(letter, "dlq_offset") for letter in await bench.dead_letters()] == ["1"]


@pytest.mark.parametrize("where", ["value", "headers", "key"])
async def test_a_record_that_no_dead_letter_can_hold_is_known_by_its_place(bench: Workbench, where: str) -> None:
    large = b"\xff" * 2_000_000
    record = Outgoing(
        bench.topic.name,
        large.decode("latin-1") if where == "key" else "anna",
        large if where == "value" else b"{",
        (("foreign", large),) if where == "headers" else (),
    )
    bench.deliver_record(record)

    async with running(bench.consumer()):
        await bench.all_done()

    (letter,) = await bench.dead_letters()
    assert len(letter.key) + len(letter.value or b"") + sum(len(value) for _, value in letter.headers) < 4_000
    assert int(header(letter, "dlq_left_out")) > 2_000_000
    assert (header(letter, "dlq_topic"), header(letter, "dlq_partition"), header(letter, "dlq_offset")) == (
        bench.topic.name,
        "0",
        "0",
    )


async def test_headers_of_others_do_not_make_an_event_undecodable(bench: Workbench) -> None:
    good = an_outgoing(an_answer(), topic=bench.topic.name, key="anna")
    bench.deliver_record(Outgoing(good.topic, good.key, good.value, (*good.headers, ("b3", b"\xff\xfe"))))

    async with running(bench.consumer()):
        await bench.all_done()

    assert await bench.effects.by_customer() == {"anna": [1]}


async def test_a_dead_letter_is_written_once_although_the_record_comes_again(bench: Workbench) -> None:
    bench.deliver(an_answer("anna", 1))
    bench.deliver_record(a_broken_record(topic=bench.topic.name))
    bench.effects.judge = fails_on(1)
    with pytest.raises(Killed):
        async with running(bench.consumer(subscription=Failing(bench, Killed()))):
            await eventually(bench.dead_letters)

    async with running(bench.consumer()):
        await bench.all_done()

    assert [header(letter, "dlq_offset") for letter in await bench.dead_letters()] == ["0", "1"]


async def test_what_was_set_aside_is_not_handled_after_all_when_it_comes_again(bench: Workbench) -> None:
    bench.deliver(an_answer("anna", 1))
    bench.effects.judge = fails_on(1)
    with pytest.raises(Killed):
        async with running(bench.consumer(subscription=Failing(bench, Killed()))):
            await eventually(bench.dead_letters)

    bench.effects.judge = fails_on()
    async with running(bench.consumer()):
        await bench.all_done()

    assert await bench.effects.ids() == []
    assert len(await bench.dead_letters()) == 1


async def test_a_dead_letter_put_back_on_its_topic_is_handled(bench: Workbench) -> None:
    bench.deliver(an_answer("anna", 1))
    bench.effects.judge = fails_on(1)
    async with running(bench.consumer()):
        await bench.all_done()
        bench.effects.judge = fails_on()
        (letter,) = await bench.dead_letters()
        bench.deliver_record(Outgoing(bench.topic.name, letter.key, letter.value, letter.headers))
        await bench.all_done()

    assert await bench.effects.by_customer() == {"anna": [1]}


async def test_a_type_that_is_not_ours_is_skipped_and_counted(bench: Workbench) -> None:
    value, headers = encode(an_answer())
    foreign = tuple((name, b"survey.closed.v1" if name == "ce_type" else raw) for name, raw in headers)
    bench.deliver_record(Outgoing(bench.topic.name, "anna", value, foreign))
    bench.deliver(an_answer("anna", 2))
    before = count("skipped")

    async with running(bench.consumer()):
        await bench.all_done()

    assert count("skipped") - before == 1
    assert await bench.effects.by_customer() == {"anna": [2]}
    assert await bench.dead_letters() == []


async def test_a_type_that_nobody_wants_at_this_moment_is_passed_over_and_no_fault_of_it_matters(
    bench: Workbench,
) -> None:
    wanted: set[str] = set()

    async def what_is_wanted(_tx: Tx) -> frozenset[str]:
        return frozenset(wanted)

    bench.deliver(an_answer("anna", 1))
    bench.deliver_record(a_broken_record(topic=bench.topic.name))
    async with running(bench.consumer(wanted=what_is_wanted)):
        await bench.all_done()
        assert await bench.effects.by_customer() == {}
        wanted.add(ConfirmationAnswered.TYPE)
        bench.deliver(an_answer("anna", 2))
        await bench.all_done()
    assert await bench.effects.by_customer() == {"anna": [2]}


async def test_every_record_is_counted_once_by_what_became_of_it(bench: Workbench) -> None:
    outcomes = ("handled", "duplicate", "skipped", "dead_lettered")
    before = [count(outcome) for outcome in outcomes]
    events = [an_answer("anna", number) for number in range(10)]
    bench.deliver(*events, *events[:4])
    bench.deliver_record(a_broken_record(topic=bench.topic.name))
    bench.effects.judge = fails_on(5)

    async with running(bench.consumer(subscription=Failing(bench, Unavailable("away")))):
        await bench.all_done()

    handled, duplicate, skipped, dead_lettered = (
        count(outcome) - earlier for outcome, earlier in zip(outcomes, before, strict=True)
    )
    # The second delivery of all 15 (the commit failed once) is seen as what it is.
    assert (handled, duplicate, skipped, dead_lettered) == (9, 4 + 15, 0, 2)


async def test_the_breaker_stops_and_has_lost_nothing(bench: Workbench) -> None:
    bench.deliver(*(an_answer("anna", number) for number in range(10)))
    bench.effects.judge = fails_on(*range(2, 10))

    with pytest.raises(TooManyDeadLetters) as stopped:
        await bench.consumer(dead_letters_in_a_row=3).run(asyncio.Event())

    assert stopped.value.limit == 3
    assert isinstance(stopped.value.__cause__, ValueError)
    assert await bench.effects.by_customer() == {"anna": [0, 1]}
    assert len(await bench.dead_letters()) == 3
    # Handled, set aside, or beyond the committed offset: each record is in exactly one of these.
    assert bench.broker.committed(CONSUMER, bench.topic.name) == {0: 5}

    bench.effects.judge = fails_on()
    async with running(bench.consumer(dead_letters_in_a_row=3)):
        await bench.all_done()
    assert await bench.effects.by_customer() == {"anna": [0, 1, 5, 6, 7, 8, 9]}
    assert len(await bench.dead_letters()) == 3


async def test_undecodable_records_in_a_row_trip_the_breaker_too(bench: Workbench) -> None:
    bench.deliver(an_answer())
    for number in range(5):
        bench.deliver_record(a_broken_record(topic=bench.topic.name, value=str(number).encode()))
    bench.deliver(an_answer("boris"))

    with pytest.raises(TooManyDeadLetters):
        await bench.consumer(dead_letters_in_a_row=3).run(asyncio.Event())

    assert [letter.value for letter in await bench.dead_letters()] == [b"0", b"1", b"2"]
    assert bench.broker.committed(CONSUMER, bench.topic.name) == {0: 4}
    async with running(bench.consumer(dead_letters_in_a_row=3)):
        await bench.all_done()
    assert [letter.value for letter in await bench.dead_letters()] == [b"0", b"1", b"2", b"3", b"4"]
    assert await bench.effects.by_customer() == {"anna": [1], "boris": [1]}


async def test_the_breaker_counts_across_batches_and_only_in_a_row(bench: Workbench) -> None:
    consumer = bench.consumer(dead_letters_in_a_row=3)
    bench.effects.judge = fails_on(0)
    async with running(consumer):
        for _ in range(3):
            for _ in range(3):
                bench.deliver(an_answer("anna", 0))
                await bench.all_done()
            bench.deliver(an_answer("anna", 1))
            await bench.all_done()
    assert len(await bench.dead_letters()) == 9

    stop = asyncio.Event()
    again = asyncio.create_task(consumer.run(stop))
    for _ in range(3):
        bench.deliver(an_answer("anna", 0))
        await bench.all_done()
    bench.deliver(an_answer("anna", 0))
    with pytest.raises(TooManyDeadLetters):
        await again
    assert len(await bench.dead_letters()) == 12


async def test_duplicates_and_skipped_records_between_dead_letters_do_not_appease_the_breaker(
    bench: Workbench,
) -> None:
    known = an_answer("anna", 1)
    value, headers = encode(an_answer())
    foreign = Outgoing(
        bench.topic.name, "anna", value, tuple((n, b"foreign.v1" if n == "ce_type" else raw) for n, raw in headers)
    )
    bench.deliver(known)
    for _ in range(5):
        bench.deliver(an_answer("anna", 0), known)
        bench.deliver_record(foreign)
    bench.effects.judge = fails_on(0)

    with pytest.raises(TooManyDeadLetters):
        await bench.consumer(dead_letters_in_a_row=3).run(asyncio.Event())

    assert len(await bench.dead_letters()) == 3


async def test_told_to_stop_while_it_waits_for_the_next_attempt_it_leaves_the_record_unread(bench: Workbench) -> None:
    bench.deliver(an_answer("anna", 1), an_answer("anna", 2), an_answer("anna", 3))
    bench.effects.judge = fails_on(2)
    patient = Backoff(timedelta(hours=1), timedelta(hours=1), attempts=5)

    async with running(bench.consumer(backoff=patient)):
        await eventually(bench.effects.ids)

    assert bench.broker.committed(CONSUMER, bench.topic.name) == {0: 1}
    bench.effects.judge = fails_on()
    async with running(bench.consumer()):
        await bench.all_done()
    assert await bench.effects.by_customer() == {"anna": [1, 2, 3]}
    assert await bench.dead_letters() == []


async def test_a_wrong_call_to_the_database_is_not_taken_for_an_outage(bench: Workbench) -> None:
    async def handle(tx: Tx, _: Sequence[Event[Any]]) -> None:
        await tx.execute(text("INSERT INTO effects (number) VALUES (:number)"), {"number": 10**12})

    bench.deliver(an_answer())
    async with running(bench.consumer(handle)):
        await bench.all_done()

    assert header((await bench.dead_letters())[0], "dlq_reason").startswith("DBAPIError: ")


async def test_a_missing_file_is_not_taken_for_an_outage(bench: Workbench) -> None:
    bench.deliver(an_answer())
    bench.effects.judge = fails_on(1, error=FileNotFoundError("no such time zone"))

    async with running(bench.consumer()):
        await bench.all_done()

    assert len(await bench.dead_letters()) == 1


async def test_a_deadlock_is_waited_out_and_sets_nothing_aside(bench: Workbench) -> None:
    failures = ["40P01", "40001", "55P03"]

    async def handle(tx: Tx, events: Sequence[Event[Any]]) -> None:
        await bench.effects.handle(tx, events)
        if failures:
            await tx.execute(text(f"DO $$ BEGIN RAISE SQLSTATE '{failures.pop()}'; END $$"))

    bench.deliver(an_answer())
    async with running(bench.consumer(handle)):
        await bench.all_done()

    assert failures == []
    assert await bench.effects.by_customer() == {"anna": [1]}
    assert await bench.dead_letters() == []


async def test_of_a_transaction_that_is_rolled_back_nothing_is_published(bench: Workbench) -> None:
    async def handle(tx: Tx, events: Sequence[Event[Any]]) -> None:
        for event in events:
            tx.emit_record("caused", event.payload.customer_id, str(event.payload.round).encode(), ())
        await bench.effects.handle(tx, events)

    bench.deliver(*(an_answer("anna", number) for number in range(5)))
    bench.effects.judge = fails_on(3)

    async with running(bench.consumer(handle)):
        await bench.all_done()

    assert [record.value for record in await bench.waiting() if record.topic == "caused"] == [b"0", b"1", b"2", b"4"]


async def test_an_event_too_large_for_a_record_does_not_reach_the_outbox(bench: Workbench) -> None:
    async def handle(tx: Tx, events: Sequence[Event[Any]]) -> None:
        for event in events:
            tx.emit(an_answer(comment="x" * MAX_VALUE_BYTES, id_=event.id), key="anna")

    bench.deliver(an_answer())
    async with running(bench.consumer(handle)):
        await bench.all_done()

    (letter,) = await bench.waiting()
    assert header(letter, "dlq_attempts") == "1"


async def test_the_trace_of_the_cause_goes_on_in_what_it_causes_and_in_its_dead_letter(bench: Workbench) -> None:
    traces = [new_traceparent(), new_traceparent()]

    async def handle(tx: Tx, events: Sequence[Event[Any]]) -> None:
        for event in events:
            payload = ConfirmationAnswered(
                case_id="1", customer_id="anna", round=1, solved=True, comment=None, answered_at=tx.now
            )
            tx.emit(Event.caused_by(event, payload, subject="1", time=tx.now, source="/test"), key="anna")
        await bench.effects.handle(tx, events)

    bench.deliver(an_answer("anna", 1, traceparent=traces[0]), an_answer("anna", 2, traceparent=traces[1]))
    bench.effects.judge = fails_on(2)
    async with running(bench.consumer(handle)):
        await bench.all_done()

    caused, letter = await bench.waiting()
    assert header(caused, "traceparent") == traces[0]
    assert header(letter, "traceparent") == traces[1]


async def test_a_key_that_is_no_text_is_kept_in_the_dead_letter(bench: Workbench) -> None:
    bench.deliver_record(Outgoing(bench.topic.name, "a\x00b", b"", ()))

    async with running(bench.consumer()):
        await bench.all_done()

    (letter,) = await bench.dead_letters()
    assert dict(letter.headers)["dlq_key"] == b"a\x00b"


async def test_several_topics_of_one_group_have_a_pulse_each(database: Database) -> None:
    first, second = Workbench(database, topic="first"), Workbench(database, topic="second")

    assert first.consumer().name != second.consumer().name


@asynccontextmanager
async def counted_statements(database: Database) -> AsyncIterator[list[str]]:
    statements: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    engine = database.engine.sync_engine
    sqlalchemy_event.listen(engine, "before_cursor_execute", note)
    yield statements
    sqlalchemy_event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("broken", [0, 1, 15])
async def test_a_batch_takes_as_many_statements_whether_it_has_one_event_or_a_thousand(
    bench: Workbench, database: Database, broken: int
) -> None:
    async def handle(tx: Tx, events: Sequence[Event[Any]]) -> None:
        await bench.effects.handle(tx, events)
        for event in events:
            tx.emit_record("caused", event.payload.customer_id, b"", ())

    subscription = bench.subscription()
    await subscription.start()
    consumer = bench.consumer(handle, subscription=subscription)
    counts = []
    for size in (1, 1, 10, APART_FROM - broken - 1, 1_000):
        bench.deliver(*(an_answer(str(uuid4()), number) for number in range(size)))
        for number in range(broken):
            bench.deliver_record(a_broken_record(topic=bench.topic.name, value=str(number).encode()))
        async with (
            counted_statements(database) as statements,
            subscription.batch(2_000, timedelta(seconds=1)) as records,
        ):
            await consumer.take(records, asyncio.Event())
        counts.append(len(statements))
    await subscription.stop()

    # Inbox, effects, outbox with its notification; and the marks of what is set aside.
    at_rest = 3 if broken == 0 else 4
    # At the head of a partition: what was noted before, the note, its deletion.
    # From a size on, two parts; and the whole, where something was wrong with them.
    apart = 2 * at_rest if broken == 0 else counts[-1]
    assert counts == [3 + at_rest, at_rest, at_rest, at_rest, apart]
    assert apart <= 3 * at_rest
    assert len(await bench.effects.ids()) == 1_012 + APART_FROM - broken - 1


def of_many(customers: int, each: int) -> list[Event[ConfirmationAnswered]]:
    return [an_answer(f"customer-{customer}", number) for number in range(each) for customer in range(customers)]


async def test_a_large_batch_is_handled_in_two_parts_and_each_key_whole_in_one_of_them(bench: Workbench) -> None:
    bench.deliver(*of_many(99, 5))
    parts: list[list[Event[Any]]] = []

    async def handle(tx: Tx, events: Sequence[Event[Any]]) -> None:
        parts.append(list(events))
        await bench.effects.handle(tx, events)

    async with running(bench.consumer(handle)):
        await bench.all_done()
    assert await bench.effects.by_customer() == {f"customer-{number}": list(range(5)) for number in range(99)}
    one, other = ({event.payload.customer_id for event in part} for part in parts)
    assert not one & other
    assert len(one | other) == 99
    assert min(bench.effects.batches) > 150


async def test_the_two_parts_of_a_batch_are_handled_at_the_same_time(bench: Workbench) -> None:
    bench.deliver(*of_many(100, 5))
    both = asyncio.Barrier(2)

    async def handle(tx: Tx, events: Sequence[Event[Any]]) -> None:
        await both.wait()  # for ever, if one came after the other
        await bench.effects.handle(tx, events)

    async with running(bench.consumer(handle)):
        await bench.all_done()
    assert len(await bench.effects.ids()) == 500


@pytest.mark.parametrize("undecodable", [False, True])
async def test_poison_in_one_part_costs_nobody_their_effect_and_nothing_takes_effect_twice(
    bench: Workbench, *, undecodable: bool
) -> None:
    bench.deliver(*of_many(100, 3))
    if undecodable:
        bench.deliver_record(a_broken_record(topic=bench.topic.name))
    else:
        bench.deliver(an_answer("poisoned", 99))
        bench.effects.judge = fails_on(99)
    async with running(bench.consumer()):
        await bench.all_done()
    assert await bench.effects.by_customer() == {f"customer-{number}": [0, 1, 2] for number in range(100)}
    assert len(await bench.dead_letters()) == 1


async def test_offsets_move_only_when_both_parts_are_committed(bench: Workbench) -> None:
    bench.deliver(*of_many(100, 3))
    parts = 0

    async def handle(tx: Tx, events: Sequence[Event[Any]]) -> None:
        nonlocal parts
        parts += 1
        number = parts
        await bench.effects.handle(tx, events)
        if number == 2:
            raise Killed

    with pytest.raises(Killed):
        await bench.consumer(handle).run(asyncio.Event())
    assert bench.broker.committed(CONSUMER, bench.topic.name) == {}
    assert 0 < len(await bench.effects.ids()) < 300

    async with running(bench.consumer()):
        await bench.all_done()
    assert await bench.effects.by_customer() == {f"customer-{number}": [0, 1, 2] for number in range(100)}


async def test_an_outage_in_one_part_sets_nothing_aside(bench: Workbench) -> None:
    bench.deliver(*of_many(100, 3))
    calls = 0

    async def handle(tx: Tx, events: Sequence[Event[Any]]) -> None:
        nonlocal calls
        calls += 1
        if calls in {2, 3}:  # a part, and the whole
            raise Unavailable("away")
        await bench.effects.handle(tx, events)

    async with running(bench.consumer(handle)):
        await bench.all_done()
    assert await bench.effects.by_customer() == {f"customer-{number}": [0, 1, 2] for number in range(100)}
    assert await bench.dead_letters() == []
