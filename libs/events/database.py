"""The database and the one transaction in which a handler reads, writes and emits."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Executable, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import MultipleResultsFound
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from libs.events import outbox
from libs.events.bell import Bell
from libs.events.codec import encode
from libs.events.connections import Connection, Connections
from libs.events.errors import PermanentError
from libs.events.lanes import Lanes
from libs.events.statements import Statements
from libs.events.topics import TOPIC_OF_TYPE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from sqlalchemy import Row, TextClause

    from libs.events.codec import Headers
    from libs.events.event import Contract, Event

MAX_VALUE_BYTES: Final = 900_000
"""Kafka takes records of 1 MB. One that it refuses would hold up the whole outbox, so it must not get there."""

_POOL_WAIT_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 5.0
_STATEMENT_SECONDS: Final = 30.0
_SESSION: Final = {
    "jit": "off",
    "timezone": "UTC",
    # A prepared statement otherwise keeps the plan that was best when it was first used: on a new system that is
    # reading whole tables, which are empty then. Planning anew costs a fraction of a millisecond, once per batch.
    "plan_cache_mode": "force_custom_plan",
    # A process that was frozen or cut off in a transaction loses it, with its locks, the relay's among them.
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": "20",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
}


def utc_now() -> datetime:
    """The system's clock."""
    return datetime.now(UTC)


def outgoing(event: Event[Contract], key: str) -> outbox.Outgoing:
    """The record that publishes `event` under `key`; PermanentError where it is larger than a record may be."""
    value, headers = encode(event)
    if value is not None and len(value) > MAX_VALUE_BYTES:
        raise PermanentError(f"{event.type} {event.id} has {len(value)} bytes, more than {MAX_VALUE_BYTES}")
    return outbox.Outgoing(TOPIC_OF_TYPE[event.type].name, key, value, headers)


class Tx:
    """One transaction: statements, and the events that are published if and only if it commits."""

    __slots__ = ("_connection", "_emitted", "_outgoing", "_read_only", "_statements", "now")

    def __init__(self, connection: Connection, now: datetime, *, read_only: bool = False) -> None:
        self._connection = connection.sqlalchemy
        self._statements = Statements(connection, read_only=read_only)
        self._outgoing: list[outbox.Outgoing] = []
        self._emitted = False
        self._read_only = read_only
        self.now: Final = now

    async def fetch(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Row[Any]]:
        """All rows of `statement`."""
        return await self._statements.fetch(statement, parameters)

    async def fetch_one(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Row[Any] | None:
        """The only row of `statement`, or None; several rows are an error."""
        rows = await self._statements.fetch(statement, parameters)
        if len(rows) > 1:
            raise MultipleResultsFound(f"{len(rows)} rows where at most one was to be found")
        return rows[0] if rows else None

    async def execute(
        self,
        statement: Executable,
        parameters: Mapping[str, Any] | None = None,
        *,
        patience_s: float | None = None,
    ) -> int:
        """Run `statement`; how many rows it touched. `patience_s`: for the rare one that may take over 30 s."""
        return await self._statements.execute(statement, parameters, patience_s=patience_s)

    async def fetch_publishing(self, statement: Executable, parameters: Mapping[str, Any]) -> Sequence[Row[Any]]:
        """All rows of `statement`, which stores events in the outbox by itself.

        For a path so busy that it has one statement for everything; the records are those of `outgoing`.
        """
        if self._read_only:
            raise RuntimeError("a reading transaction publishes nothing")
        rows = await self._statements.fetch(statement, parameters)
        self._emitted = True
        return rows

    def emit(self, event: Event[Contract], *, key: str) -> None:
        """Publish `event` on its topic under `key` when this transaction commits; the only way to publish.

        Raises PermanentError where it is larger than a record may be.
        """
        self._emit(outgoing(event, key))

    def emit_record(self, topic: str, key: str, value: bytes | None, headers: Headers) -> None:
        """Publish bytes as they are; for dead letters."""
        self._emit(outbox.Outgoing(topic, key, value, headers))

    def _emit(self, record: outbox.Outgoing) -> None:
        if self._read_only:
            raise RuntimeError("a reading transaction publishes nothing")
        self._emitted = True
        self._outgoing.append(record)


class Database:
    """A pool of connections to one service's schema, as that service's role."""

    def __init__(self, engine: AsyncEngine, clock: Callable[[], datetime] = utc_now) -> None:
        self.engine: Final = engine
        self._connections = Connections.of(engine)
        self._lanes = Lanes.of(engine)
        self._bell = Bell(self._connections)
        self.clock: Final = clock
        self.committed: Final = asyncio.Event()
        """Set when rows went into the outbox; the relay of this process waits for it."""
        self.relayed_here = False
        """Whether this process relays the outbox itself and needs no notification through the server."""

    @classmethod
    def connect(
        cls, url: str, *, pool_size: int = 10, clock: Callable[[], datetime] = utc_now, name: str = "otklik"
    ) -> Database:
        """A database at `url` ("postgresql://role:password@host/database"); connections are made when needed."""
        engine = create_async_engine(
            make_url(url).set(drivername="postgresql+asyncpg"),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=_POOL_WAIT_SECONDS,
            pool_use_lifo=True,
            hide_parameters=True,  # comments and contact details would stand in every logged error
            connect_args={
                "timeout": _CONNECT_SECONDS,
                "command_timeout": _STATEMENT_SECONDS,
                "server_settings": {"application_name": name, **_SESSION},
            },
        )
        return cls(engine, clock)

    async def close(self) -> None:
        """Close all connections, when the relay knows of all that was committed."""
        await self._bell.close()
        await self._lanes.close()
        await self._connections.close()
        await self.engine.dispose()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """A connection from the pool, outside any transaction; raises Unavailable where there is none to be had."""
        connection = await self._connections.take()
        try:
            yield connection.sqlalchemy
        finally:
            await self._connections.give_back(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """A transaction that commits with its emitted events, or leaves no trace of either."""
        async with self._begun(read_only=False) as tx:
            yield tx
            if tx._outgoing:  # noqa: SLF001 - the two classes are one thing; nobody else may take the rows
                await outbox.store(tx, tx._outgoing, now=tx.now)  # noqa: SLF001
        if tx._emitted:  # noqa: SLF001
            self._wake()

    async def at_once(
        self, statement: TextClause, parameters: Mapping[str, Any], *, publishes: bool = True
    ) -> Sequence[Row[Any]]:
        """All rows of one `statement` that is a transaction by itself, when it is committed: one way there and back.

        Where it `publishes`, it stores events in the outbox by itself; the records are those of `outgoing`. It must
        find what it looks up by indexes, as its plan is made without knowing how large tables are.
        """
        rows = await self._lanes.fetch(statement, parameters)
        if publishes:
            self._wake()
        return rows

    def _wake(self) -> None:
        """Let the relay know, wherever it is, that rows went into the outbox."""
        self.committed.set()
        if not self.relayed_here:
            self._bell.ring()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Tx]:
        """A read-only transaction."""
        async with self._begun(read_only=True) as tx:
            yield tx

    @asynccontextmanager
    async def _begun(self, *, read_only: bool) -> AsyncIterator[Tx]:
        connection = await self._connections.take()
        try:
            tx = Tx(connection, self.clock(), read_only=read_only)
            try:
                yield tx
                await tx._statements.commit()  # noqa: SLF001
            except BaseException:
                await tx._statements.roll_back()  # noqa: SLF001
                raise
        finally:
            await self._connections.give_back(connection)

    async def ping(self) -> None:
        """Raise unless the database answers."""
        async with self.connection() as connection:
            await connection.execute(_PING)


_PING: Final = text("SELECT 1")
