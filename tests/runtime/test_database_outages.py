"""The database away in every way that we know: nothing is set aside, the loops wait, and go on by themselves."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from deploy.local.children import Child
from deploy.local.postgres import THROW_AWAY, PostgresServer
from libs.events import database as database_module
from libs.events.database import Database, Tx
from libs.events.errors import Unavailable, is_unavailable
from libs.events.event import Event
from libs.events.loop import Loop
from libs.events.relay import Relay
from libs.events.schema import MESSAGING_V1, MESSAGING_V2
from libs.events.testing import Effects, Workbench, an_answer, eventually, running

SELECT = text("SELECT 1")
BACKEND = text("SELECT pg_backend_pid()")
SLEEP = text("SELECT pg_sleep(60)")

SOON = timedelta(milliseconds=10)


class Server:
    """A server of our own, which can be stopped and started, with one database."""

    def __init__(self, folder: Path) -> None:
        self._server = PostgresServer(
            folder=folder / "postgres", password="administrator", log=folder / "postgres.log", settings=THROW_AWAY
        )
        self.url = self._server.dsn("postgres")
        self._child: Child | None = None

    async def start(self) -> None:
        # In this thread: the child is tied to the thread that starts it.
        self._child = self._server.start()

    @property
    def child(self) -> Child:
        assert self._child is not None
        return self._child

    async def stop(self) -> None:
        await asyncio.to_thread(self.child.stop)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="otklik-"))
    server = Server(folder)
    await server.start()
    connection = await asyncpg.connect(server.url)
    for statement in (*MESSAGING_V1, *MESSAGING_V2, Effects.TABLE):
        await connection.execute(statement)
    await connection.close()
    yield server
    await server.stop()
    shutil.rmtree(folder)


@pytest.fixture
async def servers_database(server: Server) -> AsyncIterator[Database]:
    database = Database.connect(server.url)
    yield database
    await database.close()


def name_of(url: str) -> str:
    return url.split("@/")[1].split("?", maxsplit=1)[0]


async def as_administrator(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url.replace(f"@/{name_of(url)}", "@/postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def cut_all(url: str) -> None:
    name = name_of(url)
    await as_administrator(
        url,
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()",  # noqa: S608
    )


async def error_of(work: Awaitable[object]) -> Exception:
    error = await failure_of(work)
    assert error is not None
    return error


async def failure_of(work: Awaitable[object]) -> Exception | None:
    try:
        await work
    except Exception as error:  # noqa: BLE001 - which one it is, is the question
        return error
    return None


async def in_transaction(database: Database, *work: Callable[[Tx], Awaitable[object]]) -> None:
    async with database.transaction() as tx:
        for each in work:
            await each(tx)


def selecting(tx: Tx) -> Awaitable[object]:
    return tx.fetch(SELECT)


async def test_a_connection_cut_between_two_statements(database: Database, url: str) -> None:
    assert is_unavailable(await error_of(in_transaction(database, selecting, lambda _: cut_all(url), selecting)))


async def test_a_connection_of_which_the_server_s_last_word_is_read_and_the_end_is_not(database: Database) -> None:
    """A statement that falls between the two, which are a moment apart: found by a random walk."""
    fields = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"

    async def hear_the_last_word(tx: Tx) -> None:
        raw: Any = (await tx._connection.get_raw_connection()).driver_connection
        raw._protocol.data_received(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)

    error = await error_of(in_transaction(database, hear_the_last_word, selecting))

    assert "another operation" in str(error)
    assert is_unavailable(error)


async def test_a_connection_cut_in_a_statement(database: Database, url: str) -> None:
    async def cut_when_asleep() -> None:
        connection = await asyncpg.connect(url)
        asleep = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        await eventually(lambda: connection.fetchval(asleep))
        await connection.close()
        await cut_all(url)

    cutting = asyncio.create_task(cut_when_asleep())
    assert is_unavailable(await error_of(in_transaction(database, lambda tx: tx.fetch(SLEEP))))
    await cutting


async def test_a_connection_cut_before_the_commit(database: Database, url: str) -> None:
    assert is_unavailable(await error_of(in_transaction(database, selecting, lambda _: cut_all(url))))


async def test_a_connection_cut_during_the_commit(database: Database, url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("""
        CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON effects DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION nap();
    """)
    committing = "SELECT 1 FROM pg_stat_activity WHERE query ILIKE 'commit%' AND wait_event = 'PgSleep'"

    async def cut_when_committing() -> None:
        await eventually(lambda: connection.fetchval(committing))
        await connection.close()
        await cut_all(url)

    cutting = asyncio.create_task(cut_when_committing())
    insert = text("INSERT INTO effects (number) VALUES (1)")
    assert is_unavailable(await error_of(in_transaction(database, lambda tx: tx.execute(insert))))
    await cutting


@pytest.mark.parametrize("setting", ["idle_in_transaction_session_timeout", "transaction_timeout"])
async def test_a_transaction_that_the_server_ends(database: Database, setting: str) -> None:
    limit = text(f"SET LOCAL {setting} = '20ms'")

    async def closed(tx: Tx) -> bool:
        raw: Any = (await tx._connection.get_raw_connection()).driver_connection
        return bool(raw.is_closed())

    error = await error_of(
        in_transaction(database, lambda tx: tx.execute(limit), lambda tx: eventually(lambda: closed(tx)), selecting)
    )
    assert is_unavailable(error)


async def test_a_database_that_takes_no_connections(database: Database, url: str) -> None:
    name = name_of(url)
    await as_administrator(url, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
    assert is_unavailable(await error_of(in_transaction(database, selecting)))
    await as_administrator(url, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")
    await in_transaction(database, selecting)


async def test_too_many_connections(url: str) -> None:
    name = name_of(url)
    await as_administrator(url, f"ALTER DATABASE {name} WITH CONNECTION LIMIT 0")
    await as_administrator(url, "DROP ROLE IF EXISTS crowd; CREATE ROLE crowd LOGIN PASSWORD 'crowd'")
    database = Database.connect(url.replace("postgres:administrator", "crowd:crowd"))
    error = await error_of(in_transaction(database, selecting))
    await as_administrator(url, "DROP ROLE crowd")
    assert is_unavailable(error)
    assert "too many connections" in str(error)


async def test_a_pool_with_no_connection_left(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "_POOL_WAIT_SECONDS", 0.05)
    database = Database.connect(url, pool_size=1)
    async with database.transaction():
        assert is_unavailable(await error_of(in_transaction(database, selecting)))
    await database.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://a:b@127.0.0.1:1/nobody",
        "postgresql://a:b@/nobody?host=/nowhere/at/all",
        "postgresql://a:b@nowhere.invalid/nobody",
    ],
    ids=["refused", "no socket", "no such host"],
)
async def test_a_server_that_is_not_there(url: str) -> None:
    database = Database.connect(url)
    with pytest.raises(Unavailable, match="no connection"):
        await in_transaction(database, selecting)
    with pytest.raises(Unavailable):
        await database.ping()
    await database.close()


async def test_a_server_that_accepts_and_keeps_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "_CONNECT_SECONDS", 0.2)
    never = asyncio.Event()

    async def keep_silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await never.wait()
        writer.close()

    async with await asyncio.start_server(keep_silent, "127.0.0.1", 0) as listening:
        database = Database.connect(f"postgresql://a:b@127.0.0.1:{listening.sockets[0].getsockname()[1]}/nobody")
        assert is_unavailable(await error_of(in_transaction(database, selecting)))
        await database.close()
        never.set()


async def test_a_server_that_hangs_in_a_statement(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "_STATEMENT_SECONDS", 0.5)
    database = Database.connect(url)
    frozen: list[int] = []

    async def freeze(tx: Tx) -> None:
        frozen.append((await tx.fetch(BACKEND))[0][0])
        os.kill(frozen[0], signal.SIGSTOP)

    try:
        async with asyncio.timeout(60):
            error = await error_of(in_transaction(database, freeze, selecting))
            assert is_unavailable(error)
            await in_transaction(database, selecting)
    finally:
        os.kill(frozen[0], signal.SIGCONT)
    await database.close()


async def test_a_server_that_is_shutting_down(server: Server) -> None:
    held = await asyncpg.connect(server.url)
    database = Database.connect(server.url)
    server.child.send(signal.SIGTERM)  # waits for `held`

    seen: list[Exception] = []

    async def refused() -> bool:
        error = await failure_of(in_transaction(database, selecting))
        seen.extend([error] if error else [])
        return "the database system is shutting down" in str(error)

    await eventually(refused)
    assert all(is_unavailable(error) for error in seen)
    await held.close()
    await database.close()


async def test_a_wrong_call_is_not_an_outage(database: Database) -> None:
    async def two_at_once(tx: Tx) -> None:
        raw: Any = (await tx._connection.get_raw_connection()).driver_connection
        await asyncio.gather(raw.fetch("SELECT pg_sleep(0.05)"), raw.fetch("SELECT 1"))

    assert not is_unavailable(await error_of(in_transaction(database, two_at_once)))


@pytest.mark.parametrize("value", [10**12, "a text"], ids=["out of range", "of another type"])
async def test_a_value_that_does_not_fit_is_not_an_outage(database: Database, value: object) -> None:
    insert = text("INSERT INTO effects (number) VALUES (:number)")
    work = in_transaction(database, lambda tx: tx.execute(insert, {"number": value}))
    assert not is_unavailable(await error_of(work))


@pytest.mark.parametrize("value", ["a\x00b", "\ud800"], ids=["NUL", "lone surrogate"])
async def test_a_text_that_cannot_be_stored_is_not_an_outage(database: Database, value: str) -> None:
    insert = text("INSERT INTO effects (customer) VALUES (:customer)")
    work = in_transaction(database, lambda tx: tx.execute(insert, {"customer": value}))
    assert not is_unavailable(await error_of(work))


async def test_one_failure_is_enough_to_find_all_pooled_connections_dead(database: Database, url: str) -> None:
    held = asyncio.Barrier(8)
    await asyncio.gather(*(in_transaction(database, selecting, lambda _: held.wait()) for _ in range(8)))
    await cut_all(url)
    connection = await asyncpg.connect(url)
    await connection.close()

    failures = [error for _ in range(8) if (error := await failure_of(in_transaction(database, selecting)))]

    assert all(is_unavailable(error) for error in failures)
    assert len(failures) <= 1


async def test_a_consumer_whose_connection_is_cut_in_mid_batch_takes_the_batch_again(
    bench: Workbench, url: str
) -> None:
    cuts = [1, 2]

    async def handle(tx: Tx, events: Sequence[Event[Any]]) -> None:
        if cuts:
            cuts.pop()
            await cut_all(url)
        await bench.effects.handle(tx, events)

    bench.deliver(*(an_answer("anna", number) for number in range(5)))
    async with running(bench.consumer(handle)):
        await bench.all_done()

    assert await bench.effects.by_customer() == {"anna": [0, 1, 2, 3, 4]}
    assert await bench.dead_letters() == []


async def test_a_connection_cut_while_a_batch_is_redone_one_by_one_costs_no_record(bench: Workbench, url: str) -> None:
    cuts = [1]

    async def handle(tx: Tx, events: Sequence[Event[Any]]) -> None:
        await bench.effects.handle(tx, events)
        numbers = [event.payload.round for event in events]
        if 1 in numbers:
            raise ValueError("poison")
        if numbers == [3] and cuts:
            cuts.pop()
            await cut_all(url)

    bench.deliver(*(an_answer("anna", number) for number in range(6)))
    async with running(bench.consumer(handle)):
        await bench.all_done()

    assert cuts == []
    assert await bench.effects.by_customer() == {"anna": [0, 2, 3, 4, 5]}
    assert len(await bench.dead_letters()) == 1


async def test_while_the_server_is_down_all_loops_wait_and_go_on_by_themselves(
    server: Server, servers_database: Database
) -> None:
    bench = Workbench(servers_database)
    steps: list[int] = []

    async def step() -> bool:
        await servers_database.ping()
        steps.append(1)
        return False

    relay = Relay("test", servers_database, bench.broker.publisher(), bench.health)
    loop = Loop("test.loop", step, idle=SOON, health=bench.health)
    consumer = bench.consumer()
    bench.broker.create_topic("caused", 1)
    bench.deliver(an_answer("anna", 1))
    async with running(consumer, relay, loop):
        await bench.all_done()
        await eventually(lambda: steps and not bench.health.not_ready())

        await server.stop()
        bench.deliver(*(an_answer("anna", number) for number in (2, 3)))
        await eventually(lambda: bench.health.not_ready().keys() == {consumer.name, "test.relay", "test.loop"})
        assert bench.lag == 2
        assert bench.health.stuck() == {}

        await server.start()
        await bench.all_done()
        async with servers_database.transaction() as tx:
            tx.emit_record("caused", "anna", b"", ())
        await eventually(lambda: bench.broker.records("caused"))
        await eventually(lambda: not bench.health.not_ready())

    assert await bench.effects.by_customer() == {"anna": [1, 2, 3]}
    assert await bench.dead_letters() == []
    assert bench.broker.records(bench.topic.dead_letters("test.answers")) == []
