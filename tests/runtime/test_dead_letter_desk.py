"""Dead letters for people: what is there, newest first; what was decided; and replays that reach one consumer alone."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from libs.events.consumer import Consumer
from libs.events.database import Database
from libs.events.dead_letters import (
    DeadLetter,
    DeadLetterDesk,
    Entry,
    Log,
    NoSuchLetter,
    Outcome,
    Place,
    State,
    Wanted,
    parse_id,
    queues_of,
)
from libs.events.errors import TooManyDeadLetters, Unavailable
from libs.events.event import Event
from libs.events.health import Health
from libs.events.kafka import KafkaPublisher, KafkaSubscription
from libs.events.kafka_log import kafka_log
from libs.events.outbox import Outgoing
from libs.events.relay import Publisher, Relay
from libs.events.subscription import Subscription
from libs.events.testing import (
    NOON,
    Effects,
    MemoryBroker,
    Workbench,
    a_broken_record,
    a_topic,
    an_answer,
    an_outgoing,
    eventually,
    running,
)
from libs.events.testing.workbench import QUICK
from libs.events.topics import DECISIONS, NOTIFY_MESSAGES, SURVEY_SCORES, TOPICS, Topic

BROKEN = "test.broken"
WELL = "test.well"
ALL = Wanted(state=None)


def a_letter_entry(
    queue_topic: str,
    number: int,
    *,
    consumer: str = "test.answers",
    topic: str = "answers",
    type_: str = "confirmation.answered.v1",
    reason: str = "ValueError: poison",
    value: bytes | None = b"{}",
    minutes: float | None = None,
) -> Entry:
    """A dead letter as a consumer writes it, set aside so many minutes after noon."""
    at = NOON + timedelta(minutes=number if minutes is None else minutes)
    headers = (
        ("ce_id", b"id-%d" % number),
        ("ce_type", type_.encode()),
        ("ce_subject", b"case-%d" % number),
        ("dlq_reason", reason.encode()),
        ("dlq_consumer", consumer.encode()),
        ("dlq_topic", topic.encode()),
        ("dlq_partition", b"2"),
        ("dlq_offset", b"%d" % (100 + number)),
        ("dlq_key", b"anna"),
        ("dlq_attempts", b"5"),
        ("dlq_time", at.isoformat().encode()),
    )
    return Entry(queue_topic, b"anna", value, headers)


def a_desk(log: Log, *topics: Topic) -> DeadLetterDesk:
    return DeadLetterDesk(log, topics, clock=lambda: datetime(2026, 3, 3, tzinfo=UTC))


@pytest.fixture
def topic() -> Topic:
    return a_topic(consumers=("test.answers", "test.others"))


@pytest.fixture
def broker(topic: Topic) -> MemoryBroker:
    return MemoryBroker(topic)


@pytest.fixture
async def desk(broker: MemoryBroker, topic: Topic) -> AsyncIterator[DeadLetterDesk]:
    async with broker.log() as log:
        yield a_desk(log, topic)


async def put(broker: MemoryBroker, *entries: Entry) -> None:
    async with broker.log() as log:
        await log.append(entries)


async def ids(letters: AsyncIterator[DeadLetter]) -> list[str]:
    return [str(letter.id) async for letter in letters]


async def letters_of(desk: DeadLetterDesk, *written: str) -> list[DeadLetter]:
    return await desk.some([parse_id(each, desk.queues) for each in written])


async def test_a_letter_says_everything_about_itself(broker: MemoryBroker, topic: Topic, desk: DeadLetterDesk) -> None:
    await put(broker, a_letter_entry(topic.dead_letters("test.answers"), 1, reason="ValueError: poison\nin the well"))

    (letter,) = await letters_of(desk, "test.answers:0")

    assert (letter.headline, letter.attempts, letter.type, letter.subject, letter.key_text) == (
        "ValueError: poison",
        5,
        "confirmation.answered.v1",
        "case-1",
        "anna",
    )
    assert letter.failed_at == letter.origin == Place("answers", 2, 101)
    assert letter.set_aside_at == NOON + timedelta(minutes=1)
    assert [name for name, _ in letter.headers] == ["ce_id", "ce_type", "ce_subject"]
    assert (letter.value, letter.size, letter.state) == (b"{}", 2, State.OPEN)


async def test_what_somebody_else_wrote_there_is_shown_as_far_as_it_goes(
    broker: MemoryBroker, topic: Topic, desk: DeadLetterDesk
) -> None:
    strange = (("dlq_partition", b"\xff"), ("dlq_time", b"yesterday"), ("dlq_attempts", b"-1"))
    await put(broker, Entry(topic.dead_letters("test.answers"), None, None, strange))

    (letter,) = await letters_of(desk, "test.answers:0")

    assert (letter.type, letter.reason, letter.attempts, letter.origin, letter.size) == ("", "", 0, None, None)
    assert letter.set_aside_at.year == 1970
    await desk.replay([letter], by="ada")
    (replay,) = broker.records(topic.replays("test.answers"))
    assert dict(replay.headers)["replay_of"] == b"answers.test.answers.dlq/0/0"


async def test_the_newest_come_first_across_all_queues_and_their_pages(
    broker: MemoryBroker, topic: Topic, desk: DeadLetterDesk
) -> None:
    one, other = (topic.dead_letters(consumer) for consumer in topic.consumers)
    await put(broker, *(a_letter_entry((one, other)[number % 2], number) for number in range(450)))

    found: list[DeadLetter] = []
    page = await desk.page(ALL, limit=70)
    while True:
        found += page.letters
        if page.rest is None:
            break
        page = await desk.page(ALL, limit=70, ends=page.rest)

    assert [letter.said("ce_id") for letter in found] == [f"id-{number}" for number in reversed(range(450))]
    assert await ids(desk.newest(ALL)) == [str(letter.id) for letter in found]
    assert {letter.value for letter in found} == {None}


async def test_a_page_looks_at_so_many_records_and_no_more(
    broker: MemoryBroker, topic: Topic, desk: DeadLetterDesk
) -> None:
    await put(broker, *(a_letter_entry(topic.dead_letters("test.answers"), number) for number in range(1_000)))
    oldest = Wanted(since=NOON - timedelta(days=1), type_like="nothing.*")

    page = await desk.page(oldest, limit=10, look_at_most=400)

    assert page.letters == []
    assert page.rest == {"answers.test.answers.dlq": 600, "answers.test.others.dlq": 0}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), ["test.answers:2", "test.others:0", "test.answers:1", "test.answers:0"]),
        (Wanted(consumer="test.others"), ["test.others:0"]),
        (Wanted(topic="elsewhere"), []),
        (Wanted(type_like="case.*"), ["test.answers:1"]),
        (Wanted(type_like="case.opened"), ["test.answers:1"]),
        (Wanted(since=NOON + timedelta(minutes=3)), ["test.answers:2", "test.others:0"]),
    ],
)
async def test_letters_are_found_by_consumer_topic_type_and_time(
    broker: MemoryBroker, topic: Topic, desk: DeadLetterDesk, wanted: Wanted, expected: list[str]
) -> None:
    one, other = (topic.dead_letters(consumer) for consumer in topic.consumers)
    await put(
        broker,
        a_letter_entry(one, 1),
        a_letter_entry(one, 2, type_="case.opened.v1"),
        a_letter_entry(other, 3, consumer="test.others"),
        a_letter_entry(one, 4),
    )

    assert await ids(desk.newest(wanted)) == expected
    assert sum((await desk.count(wanted)).values()) == len(expected)
    assert sum([len(batch) async for batch in desk.batches(wanted)]) == len(expected)


async def test_what_is_dropped_is_gone_from_the_list_and_keeps_its_reason(
    broker: MemoryBroker, topic: Topic, desk: DeadLetterDesk
) -> None:
    await put(broker, *(a_letter_entry(topic.dead_letters("test.answers"), number) for number in range(3)))

    await desk.drop(await letters_of(desk, "test.answers:1"), by="ada", reason=" a test of theirs ")

    assert await ids(desk.newest(Wanted())) == ["test.answers:2", "test.answers:0"]
    (dropped,) = [letter async for letter in desk.newest(Wanted(state=State.DROPPED))]
    assert dropped.decision is not None
    assert (dropped.decision.outcome, dropped.decision.by, dropped.decision.reason) == (
        Outcome.DROPPED,
        "ada",
        "a test of theirs",
    )
    assert len(await ids(desk.newest(ALL))) == 3
    assert [sum((await desk.count(Wanted(state=state))).values()) for state in (None, *State)] == [3, 2, 0, 1]


async def test_nothing_is_dropped_without_a_reason(broker: MemoryBroker, topic: Topic, desk: DeadLetterDesk) -> None:
    await put(broker, a_letter_entry(topic.dead_letters("test.answers"), 1))
    with pytest.raises(ValueError, match="for a reason"):
        await desk.drop(await letters_of(desk, "test.answers:0"), by="ada", reason="  ")
    assert broker.records(DECISIONS) == []


async def test_a_decision_is_about_its_letter_and_not_about_another_one_at_the_same_place(
    broker: MemoryBroker, topic: Topic, desk: DeadLetterDesk
) -> None:
    dead = topic.dead_letters("test.answers")
    await put(broker, a_letter_entry(dead, 1))
    await desk.drop(await letters_of(desk, "test.answers:0"), by="ada", reason="known")

    broker.create_topic(dead, 1)  # anew, so that places are given a second time
    await put(broker, a_letter_entry(dead, 2))

    assert await ids(desk.newest(Wanted())) == ["test.answers:0"]


async def test_who_is_cut_off_before_the_decision_finds_the_letter_open(
    broker: MemoryBroker, topic: Topic, desk: DeadLetterDesk
) -> None:
    await put(broker, a_letter_entry(topic.dead_letters("test.answers"), 1))
    letters = await letters_of(desk, "test.answers:0")
    broker.available = False
    with pytest.raises(Unavailable):
        await desk.replay(letters, by="ada")
    broker.available = True

    assert await ids(desk.newest(Wanted())) == ["test.answers:0"]


async def test_a_letter_that_is_not_there_is_said_to_be_missing(
    broker: MemoryBroker, topic: Topic, desk: DeadLetterDesk
) -> None:
    await put(broker, a_letter_entry(topic.dead_letters("test.answers"), 1))
    for written in ("test.answers:1", "test.others:0"):
        with pytest.raises(NoSuchLetter, match="or not any more"):
            await letters_of(desk, written)


def test_ids_are_as_short_as_they_can_be_and_the_long_form_is_always_understood() -> None:
    queues = queues_of(TOPICS)
    assert len({queue.name for queue in queues}) == len(queues)
    for written, short in (
        ("casework.scores:17", "casework.scores:17"),
        (" casework.scores@survey.scores:17", "casework.scores:17"),
        ("portal.events@survey.scores:017", "portal.events@survey.scores:17"),
    ):
        id_ = parse_id(written, queues)
        assert (str(id_), id_.queue.topic) == (short, SURVEY_SCORES.name)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("casework.scores", "they look like"),
        ("casework.scores:-1", "they look like"),
        ("casework.scores:٣", "they look like"),
        ("casework.scores:" + "9" * 30, "they look like"),
        ("billing:1", "There is no consumer billing: scoring.responses"),
        ("portal.events:3", f"several topics: is .* or portal.events@{NOTIFY_MESSAGES.name}:3 meant"),
    ],
)
def test_an_id_that_is_none_is_explained(written: str, says: str) -> None:
    with pytest.raises(NoSuchLetter, match=says):
        parse_id(written, queues_of(TOPICS))


@pytest.mark.parametrize(("newer", "goes"), [(None, True), (b"", False), (b"newer", False)])
async def test_what_came_from_a_compacted_topic_goes_back_only_while_it_is_the_latest_of_its_key(
    newer: bytes | None,
    goes: bool,  # noqa: FBT001 - a test's parameter
) -> None:
    topic = replace(a_topic("profiles"), retention=None)
    broker = MemoryBroker(topic)
    async with broker.log() as log:
        mine = Entry("profiles", b"anna", b"old")
        await log.append([mine, Entry("profiles", b"boris", b"his")])
        if newer is not None:
            await log.append([Entry("profiles", b"anna", newer or None)])
        letter = a_letter_entry(topic.dead_letters("test.answers"), 1, topic="profiles")
        headers = tuple(
            (name, b"0" if name in ("dlq_partition", "dlq_offset") else raw) for name, raw in letter.headers
        )
        await log.append([replace(letter, headers=headers)])
        desk = a_desk(log, topic)

        left = await desk.replay(await letters_of(desk, "test.answers:0"), by="ada")

        assert len(broker.records(topic.replays("test.answers"))) == (1 if goes else 0)
        assert await ids(desk.newest(Wanted())) == ([] if goes else ["test.answers:0"])
        assert len(left) == (0 if goes else 1)


# --- replays, over the memory broker


async def relayed(bench: Workbench) -> DeadLetterDesk:
    """Carry what was set aside to its topic, as the relay does, and sit down at the desk."""
    there = bench.broker.records(bench.topic.dead_letters("test.answers"))
    for record in (await bench.dead_letters())[len(there) :]:
        bench.deliver_record(record)
    async with bench.broker.log() as log:
        return a_desk(log, bench.topic)


def fails(event: Event[Any]) -> None:
    raise ValueError(f"number {event.payload.round} is poison")


def passes(_: Event[Any]) -> None:
    """Nothing is wrong with the event."""


async def test_a_replay_has_the_bytes_and_headers_of_the_record_and_says_whose_it_is(bench: Workbench) -> None:
    bench.effects.judge = fails
    sent = an_outgoing(an_answer("анна", 1), topic=bench.topic.name, key="анна")
    bench.deliver_record(sent)
    async with running(bench.consumer()):
        await bench.all_done()
    desk = await relayed(bench)

    await desk.replay(await letters_of(desk, "test.answers:0"), by="Ада")

    (replay,) = bench.broker.records(bench.topic.replays("test.answers"))
    assert (replay.key, replay.value) == ("анна".encode(), sent.value)
    assert replay.headers == (
        *sent.headers,
        ("replay_of", b"answers/0/0"),
        ("replayed_at", b"2026-03-03T00:00:00+00:00"),
        ("replayed_by", "Ада".encode()),
    )


async def test_what_fails_again_is_a_new_letter_that_keeps_its_origin_and_is_tried_once(bench: Workbench) -> None:
    bench.effects.judge = fails
    bench.deliver(an_answer("anna", 0), an_answer("anna", 1))
    async with running(bench.consumer()):
        await bench.all_done()
        for attempt in (1, 2):
            desk = await relayed(bench)
            letters = [letter async for batch in desk.batches(Wanted()) for letter in batch]
            bench.effects.batches.clear()
            await desk.replay(letters[-1:], by="ada")
            await dead_letters(bench, 2 + attempt)
            assert bench.effects.batches == [1, 1], "in its batch, then alone"
            again = (await bench.dead_letters())[-1]
            assert dict(again.headers)["dlq_attempts"] == b"1"
            assert dict(again.headers)["dlq_topic"] == bench.topic.replays("test.answers").encode()
            assert dict(again.headers)["dlq_offset"] == b"%d" % (attempt - 1)
            assert dict(again.headers)["replay_of"] == b"answers/0/1"
            assert [name for name, _ in again.headers].count("replay_of") == 1


async def dead_letters(bench: Workbench, count: int) -> None:
    """Wait until so many were set aside."""

    async def there() -> bool:
        return len(await bench.dead_letters()) >= count

    await eventually(there)


async def test_many_replays_that_fail_again_do_not_stop_the_consumer(bench: Workbench) -> None:
    bench.effects.judge = fails
    bench.deliver(*(an_answer("anna", number) for number in range(30)))
    async with running(bench.consumer(dead_letters_in_a_row=200)):
        await bench.all_done()
    desk = await relayed(bench)
    letters = [letter async for batch in desk.batches(Wanted()) for letter in batch]
    await desk.replay(letters, by="ada")

    async with running(bench.consumer(dead_letters_in_a_row=3)):
        await dead_letters(bench, 60)
        bench.effects.judge = passes
        bench.deliver(an_answer("boris", 1))
        await bench.all_done()

    assert await bench.effects.by_customer() == {"boris": [1]}


async def test_replays_neither_hide_nor_cause_that_too_many_in_a_row_fail(bench: Workbench) -> None:
    bench.effects.judge = fails
    bench.deliver(*(an_answer("anna", number) for number in range(3)))

    async def replay_and_go_on() -> None:
        async with running(bench.consumer(dead_letters_in_a_row=3)):
            await bench.all_done()
            desk = await relayed(bench)
            bench.effects.judge = passes
            await desk.replay([letter async for batch in desk.batches(Wanted()) for letter in batch], by="ada")
            await effects(bench, 3)
            bench.effects.judge = fails
            bench.deliver(an_answer("anna", 9))
            before = len(bench.effects.batches)
            await eventually(lambda: len(bench.effects.batches) == before + 6)

    # That the replays worked began no new count: the next one of the topic's own is one too many.
    with pytest.raises(TooManyDeadLetters):
        await replay_and_go_on()
    assert bench.lag == 1


async def effects(bench: Workbench, count: int) -> None:
    """Wait until so many took effect."""

    async def there() -> bool:
        return len(await bench.effects.ids()) == count

    await eventually(there)


# --- the same world twice: memory, and real Kafka


class Readers:
    """Two consumers of one topic, over two databases; the broken one fails until it is repaired."""

    def __init__(
        self,
        topic: Topic,
        databases: Sequence[Database],
        subscribe: Callable[[str], Subscription],
        publishers: Sequence[Publisher],
        open_log: Callable[[], AbstractAsyncContextManager[Log]],
    ) -> None:
        self.topic = topic
        self.open_log = open_log
        self.publisher = publishers[0]
        self.effects = {name: Effects(each) for name, each in zip((BROKEN, WELL), databases, strict=True)}
        self.seen: list[str] = []
        health = Health()
        self.parts: list[Consumer | Relay] = [
            Consumer(
                name,
                topic,
                self.effects[name].handle,
                database=database,
                subscription=subscribe(name),
                health=health,
                backoff=QUICK,
            )
            for name, database in zip((BROKEN, WELL), databases, strict=True)
        ]
        self.parts += [
            Relay(f"test-{number}", each, publishers[number], health) for number, each in enumerate(databases)
        ]

    async def send(self, *records: Outgoing) -> None:
        """Publish."""
        await self.publisher.start()
        await self.publisher.publish(records)

    async def took(self, name: str) -> dict[str, list[int]]:
        """What took effect."""
        return await self.effects[name].by_customer()


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
async def readers(request: pytest.FixtureRequest, make_url: Callable[[], Any]) -> AsyncIterator[Readers]:
    databases = [Database.connect(await make_url()) for _ in range(2)]
    topic = a_topic(f"answers-{uuid4()}", consumers=(BROKEN, WELL))
    if request.param == "memory":
        broker = MemoryBroker(topic)
        made = Readers(
            topic,
            databases,
            lambda name: broker.subscription(name, topic.name, replays=topic.replays(name)),
            [broker.publisher(), broker.publisher()],
            broker.log,
        )
    else:
        servers: str = request.getfixturevalue("kafka")
        request.getfixturevalue("kafka_topics_of")(topic)
        made = Readers(
            topic,
            databases,
            lambda name: KafkaSubscription(
                bootstrap_servers=servers, group=f"{name}-{topic.name}", topic=topic.name, replays=topic.replays(name)
            ),
            [KafkaPublisher(bootstrap_servers=servers) for _ in range(2)],
            lambda: kafka_log(servers),
        )
    yield made
    await made.publisher.stop()
    for database in databases:
        await database.close()


async def test_a_replay_reaches_the_consumer_that_failed_and_no_other_and_takes_effect_once(readers: Readers) -> None:
    well, broken = readers.effects[WELL], readers.effects[BROKEN]
    broken.judge = fails_on_two
    poison = an_answer("anna", 2)
    async with running(*readers.parts), readers.open_log() as log:
        desk = a_desk(log, readers.topic)
        await readers.send(
            *(
                an_outgoing(event, topic=readers.topic.name, key="anna")
                for event in (an_answer("anna", 1), poison, an_answer("anna", 3))
            )
        )

        async def letters(wanted: Wanted = ALL) -> list[DeadLetter]:
            return [letter async for batch in desk.batches(wanted) for letter in batch]

        async def set_aside() -> bool:
            return len(await letters()) == 1

        await eventually(set_aside)
        (letter,) = await letters()
        assert (letter.id.queue.consumer, letter.headline) == (BROKEN, "ValueError: 2 is poison")

        # The cause is not repaired: it comes back, with its first origin.
        await desk.replay([letter], by="ada")

        async def came_back() -> bool:
            return len(await letters()) == 2

        await eventually(came_back)
        (again,) = await letters(Wanted())
        assert (str(again.id), again.origin, again.attempts) == (f"{BROKEN}:1", letter.origin, 1)
        assert again.failed_at == Place(readers.topic.replays(BROKEN), 0, 0)

        # Repaired; replayed twice, and the first letter once more. The other one breaks, after it read all so far.
        async def read_by_the_other() -> bool:
            return await readers.took(WELL) == {"anna": [1, 2, 3]}

        await eventually(read_by_the_other)
        broken.judge = passes
        well.judge = fails
        well.batches.clear()
        await desk.replay([again, again, letter], by="ada", reason="repaired")
        await readers.send(an_outgoing(an_answer("anna", 4), topic=readers.topic.name, key="anna"))

        async def done() -> bool:
            return (await readers.took(BROKEN)).get("anna", []) in ([1, 3, 2, 4], [1, 3, 4, 2])

        await eventually(done)

        # The other consumer saw the new answer, and nothing of the replays.
        async def other_set_aside() -> bool:
            return [letter.said("ce_type") for letter in await letters(Wanted(consumer=WELL))] != []

        await eventually(other_set_aside)
        assert set(well.batches) == {1}
        (only,) = await letters(Wanted(consumer=WELL))
        assert only.headline == "ValueError: number 4 is poison"
        assert await readers.took(WELL) == {"anna": [1, 2, 3]}

        # Everything that was replayed is read: none of it is left over, and none was set aside again.
        assert (await readers.effects[BROKEN].ids()).count(poison.id) == 1
        assert await letters(Wanted(consumer=BROKEN)) == []
        assert [each.state for each in await letters(Wanted(consumer=BROKEN, state=None))] == [State.REPLAYED] * 2

        await desk.drop([only], by="ada", reason="of no use")
        assert await letters(Wanted()) == []
        dropped = await letters(Wanted(state=State.DROPPED))
        assert [each.decision.reason for each in dropped if each.decision] == ["of no use"]


def fails_on_two(event: Event[Any]) -> None:
    if event.payload.round == 2:
        raise ValueError("2 is poison")


async def test_bytes_that_are_no_event_come_back_byte_for_byte(readers: Readers) -> None:
    value = b"\xff\x00{"
    async with running(*readers.parts), readers.open_log() as log:
        desk = a_desk(log, readers.topic)
        await readers.send(a_broken_record(topic=readers.topic.name, value=value, headers=(("x", b"\xfe"),)))

        async def letters() -> list[DeadLetter]:
            return [letter async for letter in desk.newest(Wanted(consumer=BROKEN))]

        async def set_aside() -> bool:
            return bool(await letters())

        await eventually(set_aside)
        letter = await desk.one((await letters())[0].id)
        assert (letter.value, letter.headers, letter.key) == (value, (("x", b"\xfe"),), b"anna")


@pytest.mark.kafka
async def test_thousands_are_read_in_pieces_from_both_ends(
    kafka: str, kafka_topics_of: Callable[[Topic], None]
) -> None:
    topic = a_topic(f"answers-{uuid4()}")
    kafka_topics_of(topic)
    dead = topic.dead_letters("test.answers")
    async with kafka_log(kafka) as log:
        await log.append([a_letter_entry(dead, number, topic=topic.name) for number in range(3_000)])
        desk = a_desk(log, topic)
        assert await ids(desk.newest(Wanted())) == [f"test.answers:{number}" for number in reversed(range(3_000))]
        done = 0
        async for batch in desk.batches(Wanted()):
            await desk.drop(batch, by="ada", reason="a test")
            done += len(batch)
            assert len(batch) <= 500
        assert done == 3_000
        assert await desk.count(Wanted()) == {}
        assert sum((await desk.count(Wanted(state=State.DROPPED))).values()) == 3_000


async def test_an_absent_broker_is_said_to_be_away_within_a_bound() -> None:
    with pytest.raises(Unavailable):
        async with kafka_log("127.0.0.1:1", patience=timedelta(seconds=5)):
            pass


@pytest.mark.kafka
async def test_a_topic_that_is_not_there_has_no_letters(kafka: str) -> None:
    topic = a_topic(f"answers-{uuid4()}")
    async with kafka_log(kafka) as log:
        desk = a_desk(log, topic)
        assert (await desk.page(ALL, limit=10)).letters == []
        assert await desk.count(ALL) == {}
