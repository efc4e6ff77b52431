"""The relay: what is committed is published, in order, and nothing else; whatever fails, no row is lost or skipped."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import asyncpg
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from libs.events import inbox, outbox
from libs.events import relay as relay_module
from libs.events.bell import Bell
from libs.events.connections import Connections
from libs.events.database import Database
from libs.events.errors import Unavailable
from libs.events.outbox import Outgoing
from libs.events.relay import Relay
from libs.events.testing import (
    MemoryBroker,
    MemoryPublisher,
    Workbench,
    a_topic,
    an_answer,
    eventually,
    running,
)
from libs.events.testing.factories import NOON
from libs.events.topics import INBOX_RETENTION, NOTIFY_MESSAGES

TOPIC = "caused"


@pytest.fixture
def broker(bench: Workbench) -> MemoryBroker:
    bench.broker.create_topic(TOPIC, 4)
    return bench.broker


@pytest.fixture
async def other_process(url: str) -> AsyncIterator[Database]:
    """A database as another process of the service has it: its commits set no event here."""
    database = Database.connect(url)
    yield database
    await database.close()


def a_relay(bench: Workbench, database: Database, publisher: MemoryPublisher | None = None) -> Relay:
    return Relay("test", database, publisher or bench.broker.publisher(), bench.health)


async def emit(database: Database, *values: str, key: str = "anna") -> None:
    async with database.transaction() as tx:
        for value in values:
            tx.emit_record(TOPIC, key, value.encode(), ())


async def all_is_deleted(bench: Workbench) -> bool:
    return not await bench.waiting()


def published(broker: MemoryBroker, key: str = "anna") -> list[str]:
    return [(record.value or b"").decode() for record in broker.records(TOPIC) if record.key == key.encode()]


async def test_an_emitted_event_is_published_as_it_is_and_its_row_is_gone(bench: Workbench, database: Database) -> None:
    topic = a_topic(NOTIFY_MESSAGES.name)
    bench.broker.create_topic(topic.name, 1)
    event = an_answer("anna", 7)
    async with database.transaction() as tx:
        tx.emit(event, key="anna")

    async with running(a_relay(bench, database)):
        await eventually(lambda: bench.broker.records(topic.name))

    (record,) = bench.broker.records(topic.name)
    assert record.key == b"anna"
    assert dict(record.headers)["ce_id"] == str(event.id).encode()
    assert await bench.waiting() == []


async def test_of_a_rolled_back_transaction_nothing_is_published(
    bench: Workbench, broker: MemoryBroker, database: Database
) -> None:
    async def emit_and_fail() -> None:
        async with database.transaction() as tx:
            tx.emit_record(TOPIC, "anna", b"never", ())
            raise ZeroDivisionError

    async with running(a_relay(bench, database)):
        with pytest.raises(ZeroDivisionError):
            await emit_and_fail()
        await emit(database, "after")
        await eventually(lambda: published(broker))

    assert published(broker) == ["after"]


async def test_a_paced_relay_publishes_the_first_at_once_and_the_others_together(
    bench: Workbench, broker: MemoryBroker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay = Relay("test", database, bench.broker.publisher(), bench.health, pace=timedelta(days=1))
    async with running(relay):
        await emit(database, "first")
        await eventually(lambda: published(broker))
        # It is the pace that is waited for now, and neither a wake-up nor the end of an idle second.
        await emit(database, "second")
        await emit(database, "third")
    assert published(broker) == ["first"]
    assert len(await bench.waiting()) == 2

    monkeypatch.setattr(relay_module, "BATCH", 1)
    async with running(relay):
        await eventually(lambda: len(published(broker)) == 3)
    assert published(broker) == ["first", "second", "third"], "full batches follow one another at once"


async def test_a_reading_transaction_publishes_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError):
        async with database.reading() as tx:
            tx.emit_record(TOPIC, "anna", b"", ())


async def test_the_order_of_a_key_is_kept_over_many_transactions_and_batches(
    bench: Workbench, broker: MemoryBroker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "BATCH", 7)
    async with running(a_relay(bench, database)):
        for number in range(0, 60, 3):
            for key in ("anna", "boris", "vera"):
                await emit(database, *(str(each) for each in range(number, number + 3)), key=key)
        await eventually(lambda: len(broker.records(TOPIC)) == 180)

    for key in ("anna", "boris", "vera"):
        assert published(broker, key) == [str(number) for number in range(60)]


async def test_low_ids_that_are_committed_late_are_published_and_none_is_skipped(
    bench: Workbench, broker: MemoryBroker, database: Database, other_process: Database
) -> None:
    async with running(a_relay(bench, database)):
        async with other_process.transaction() as early:
            # The ids are drawn now; the commit comes when the others are long published.
            early.emit_record(TOPIC, "boris", b"low", ())
            outgoing, early._outgoing = early._outgoing, []
            await outbox.store(early._connection, outgoing, now=early.now)
            await emit(database, *map(str, range(20)))
            await eventually(lambda: len(published(broker)) == 20)
        await eventually(lambda: published(broker, "boris"))

    assert published(broker, "boris") == ["low"]
    assert published(broker) == [str(number) for number in range(20)]
    assert await bench.waiting() == []


async def test_a_failed_publication_leaves_every_row(
    bench: Workbench, broker: MemoryBroker, database: Database
) -> None:
    await emit(database, "1", "2", "3", "4")
    relay = a_relay(bench, database)
    broker.fail_after = 2
    async with database.connection() as connection:
        with pytest.raises(Unavailable):
            await relay.relay_once(connection)
    assert published(broker) == ["1", "2"]
    assert [record.value for record in await bench.waiting()] == [b"1", b"2", b"3", b"4"]

    async with running(relay):
        await eventually(lambda: len(published(broker)) == 6)

    # What had arrived comes again, under the same ids: the next inbox knows it.
    assert published(broker) == ["1", "2", "1", "2", "3", "4"]


async def test_killed_between_publishing_and_deleting_it_publishes_again(
    bench: Workbench, broker: MemoryBroker, database: Database
) -> None:
    class Killed(BaseException):
        pass

    class Dying(MemoryPublisher):
        async def publish(self, records: Sequence[Outgoing]) -> None:
            await super().publish(records)
            raise Killed

    await emit(database, "1", "2")
    with pytest.raises(Killed):
        await a_relay(bench, database, Dying(broker)).run(asyncio.Event())
    assert len(await bench.waiting()) == 2

    async with running(a_relay(bench, database)):
        await eventually(lambda: len(published(broker)) == 4)
    assert published(broker) == ["1", "2", "1", "2"]
    assert await bench.waiting() == []


async def test_of_two_relays_one_is_active_and_the_other_takes_over(
    bench: Workbench, broker: MemoryBroker, database: Database, other_process: Database
) -> None:
    active: list[str] = []

    class Named(MemoryPublisher):
        def __init__(self, name: str) -> None:
            super().__init__(broker)
            self.name = name

        async def publish(self, records: Sequence[Outgoing]) -> None:
            active.append(self.name)
            await super().publish(records)

    first = asyncio.create_task(a_relay(bench, database, Named("first")).run(asyncio.Event()))
    await emit(database, "0")
    await eventually(lambda: active)
    async with running(a_relay(bench, other_process, Named("second"))):
        for number in range(1, 20):
            await emit(database, str(number))
            await emit(other_process, str(number), key="boris")
        await eventually(lambda: len(broker.records(TOPIC)) == 39)
        assert set(active) == {"first"}

        first.cancel()
        await emit(other_process, "20")
        await eventually(lambda: "20" in published(broker))
    assert active[-1] == "second"
    # What the first had sent and not yet deleted came again.
    assert list(dict.fromkeys(published(broker))) == [str(number) for number in range(21)]
    await asyncio.gather(first, return_exceptions=True)


async def test_a_relay_whose_connection_is_cut_starts_again(
    bench: Workbench, broker: MemoryBroker, database: Database, url: str
) -> None:
    def outages() -> float:
        return REGISTRY.get_sample_value("otklik_outages_total", {"loop": "test.relay"}) or 0.0

    before = outages()
    async with running(a_relay(bench, database)):
        await emit(database, "1")
        await eventually(lambda: all_is_deleted(bench))
        connection = await asyncpg.connect(url)
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
        )
        await connection.close()
        await eventually(lambda: outages() > before)
        await emit(database, "2")
        await eventually(lambda: published(broker) == ["1", "2"])
        await eventually(lambda: not bench.health.not_ready())


@pytest.mark.parametrize("by", ["its own process", "another process"])
async def test_a_commit_wakes_the_relay_without_waiting_for_the_next_look(
    bench: Workbench,
    broker: MemoryBroker,
    database: Database,
    other_process: Database,
    monkeypatch: pytest.MonkeyPatch,
    by: str,
) -> None:
    monkeypatch.setattr(relay_module, "_IDLE", timedelta(hours=1))
    async with running(a_relay(bench, database)):
        await eventually(lambda: database.relayed_here)
        for number in range(10):
            await emit(database if by == "its own process" else other_process, str(number))
            await eventually(lambda: len(published(broker)) == number + 1)  # noqa: B023 - awaited here


async def test_a_process_that_relays_itself_notifies_nobody(
    bench: Workbench, broker: MemoryBroker, database: Database, url: str
) -> None:
    heard: list[object] = []
    listener = await asyncpg.connect(url)
    await listener.add_listener("outbox_public", lambda *args: heard.append(args))
    async with running(a_relay(bench, database)):
        await eventually(lambda: database.relayed_here)
        await emit(database, "1")
        await eventually(lambda: published(broker))
    assert not database.relayed_here
    await emit(database, "2")
    await eventually(lambda: heard)
    await listener.close()
    assert len(heard) == 1


async def test_many_commits_are_told_by_few_notifications_and_closing_tells_the_last(
    bench: Workbench, broker: MemoryBroker, database: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "_IDLE", timedelta(hours=1))
    heard: list[object] = []
    listener = await asyncpg.connect(url)
    await listener.add_listener("outbox_public", lambda *args: heard.append(args))
    async with running(a_relay(bench, database)):
        await eventually(lambda: database.relayed_here)
        other = Database.connect(url)
        await asyncio.gather(*(emit(other, str(number)) for number in range(50)))
        await other.close()
        await eventually(lambda: len(published(broker)) == 50)
    await eventually(lambda: heard)
    await listener.close()
    assert len(heard) < 50


async def test_that_nobody_can_be_told_is_no_error_of_what_is_committed(capsys: pytest.CaptureFixture[str]) -> None:
    away = create_async_engine("postgresql+asyncpg://nobody@127.0.0.1:1/nothing", connect_args={"timeout": 1})
    bell = Bell(Connections.of(away))
    for _ in range(2):  # a bell that was silent once rings again
        bell.ring()
        await bell.close()
    assert capsys.readouterr().out.count("outbox.not_told") == 2
    await away.dispose()


async def test_a_stopped_relay_leaves_no_lock_and_no_listener(bench: Workbench, database: Database, url: str) -> None:
    async with running(a_relay(bench, database)):
        await eventually(lambda: database.relayed_here)
    connection = await asyncpg.connect(url)

    async def no_lock() -> bool:
        return not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")

    await eventually(no_lock)
    await connection.close()


async def test_the_age_of_the_oldest_row_tells_how_long_the_broker_has_been_away(
    bench: Workbench, broker: MemoryBroker, url: str
) -> None:
    now = [NOON]
    database = Database.connect(url, clock=lambda: now[0])

    def age() -> float | None:
        return REGISTRY.get_sample_value("otklik_outbox_age_seconds", {"service": "test"})

    await emit(database, "1")
    now[0] += timedelta(seconds=90)
    broker.available = False
    async with running(a_relay(bench, database)):
        await eventually(lambda: age() == 90)
        broker.available = True
        await eventually(lambda: age() == 0)
    await database.close()


async def test_the_inbox_forgets_what_no_topic_can_bring_back(url: str) -> None:
    database = Database.connect(url, clock=lambda: NOON)
    insert = text(
        "INSERT INTO inbox SELECT gen_random_uuid(), 'test', CAST(:at AS timestamptz) FROM generate_series(1, 12000)"
    )
    async with database.transaction() as tx:
        await tx.execute(insert, {"at": NOON - INBOX_RETENTION * 1.01})
        await tx.execute(insert, {"at": NOON - INBOX_RETENTION * 0.99})

    more = []
    for _ in range(3):
        async with database.transaction() as tx:
            more.append(await inbox.prune(tx))

    assert more == [True, False, False]
    async with database.reading() as tx:
        left = await tx.fetch(text("SELECT handled_at FROM inbox"))
    assert len(left) == 12_000
    assert {row.handled_at for row in left} == {NOON - INBOX_RETENTION * 0.99}
    await database.close()
