"""Connections that are ready for use: SQLAlchemy's pool, with the last ones that were given back kept at hand.

Taking a connection from the pool, and having it reset when it goes back, costs several times what a small statement
does. A transaction leaves nothing to reset, so its connection goes straight to the next one that needs one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.pool import QueuePool

from libs.events.errors import Unavailable

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


class Connection:
    """A connection as SQLAlchemy has it, with its adapter, which begins transactions, and the driver's own.

    Only the adapter, which no typing describes, can begin a transaction that SQLAlchemy knows of.
    """

    __slots__ = ("adapter", "driver", "prepared", "sqlalchemy")

    def __init__(self, connection: AsyncConnection, adapter: Any, driver: Any) -> None:  # noqa: ANN401 - see above
        self.sqlalchemy: Final = connection
        self.adapter: Final = adapter
        self.driver: Final = driver
        self.prepared: Final[dict[str, Any]] = {}
        """The statements that are prepared on it under a name of ours, by their text."""


class Connections:
    """All connections of one engine; at most half of the pool is kept at hand, for others ask the engine itself."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._at_hand = engine.pool.size() // 2 if isinstance(engine.pool, QueuePool) else 0
        self._idle: list[Connection] = []
        self._asking = 0

    @classmethod
    def of(cls, engine: AsyncEngine) -> Connections:
        """Those of `engine`: databases that share an engine share its connections."""
        found = _OF_ENGINE.get(engine)
        if found is None:
            found = _OF_ENGINE[engine] = cls(engine)
        return found

    async def take(self) -> Connection:
        """A connection outside any transaction; raises Unavailable where there is none to be had."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.driver.is_closed():
                return connection
            await _end(connection)
        self._asking += 1
        try:
            return await taken(await self._engine.connect())
        except Exception as error:
            # Broad: refused, no such socket, starting up, too many connections, wrong password, pool exhausted.
            # Whatever it was, no record is to blame, and it is repaired from outside.
            raise Unavailable(f"no connection to the database: {type(error).__name__}: {error}") from error
        finally:
            self._asking -= 1

    async def give_back(self, connection: Connection) -> None:
        """Let others have it, in whatever state it is."""
        known = connection.sqlalchemy
        if known.closed:
            return
        lost = known.invalidated or connection.driver.is_closed()
        if lost or self._asking or known.in_transaction() or len(self._idle) >= self._at_hand:
            # Whoever waits for the pool is served by the pool, and an open transaction is rolled back by it.
            await _end(connection)
        else:
            self._idle.append(connection)

    async def close(self) -> None:
        """Close those that are at hand."""
        _OF_ENGINE.pop(self._engine, None)
        while self._idle:
            await _end(self._idle.pop())


# An engine has no place of its own for them. An entry goes when its database is closed.
_OF_ENGINE: Final[dict[AsyncEngine, Connections]] = {}


async def taken(connection: AsyncConnection) -> Connection:
    """A connection of SQLAlchemy's, with what is below it."""
    raw = await connection.get_raw_connection()
    return Connection(connection, raw.dbapi_connection, raw.driver_connection)


async def _end(connection: Connection) -> None:
    # Shielded, as SQLAlchemy does it: a cancelled task must not leave it half returned.
    if connection.driver.is_closed() and not connection.sqlalchemy.invalidated:
        await asyncio.shield(connection.sqlalchemy.invalidate())
    await asyncio.shield(connection.sqlalchemy.close())
