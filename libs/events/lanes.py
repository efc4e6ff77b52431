"""Connections for single statements that are transactions by themselves, and so busy that planning them would show.

Other connections plan each statement anew, because the plan that was best for a new system reads whole tables. Here a
plan is made once, and none may read a whole table: what these statements look up, they look up by an index.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.pool import QueuePool

from libs.events.connections import Connection, Connections
from libs.events.statements import Statements

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Row, TextClause
    from sqlalchemy.ext.asyncio import AsyncEngine

_SMALLEST_POOL: Final = 4
"""Of a smaller pool none is kept: the statement runs on whatever connection there is, and is planned each time."""
_MOST: Final = 2
SETTINGS: Final = (
    "SET plan_cache_mode = force_generic_plan",
    "SET enable_seqscan = off",
    # Of an index that gives what is next in its order, a bitmap would take all there is and sort it.
    "SET enable_bitmapscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
)


class Lanes:
    """A few connections of one engine, kept for such statements once they were needed."""

    def __init__(self, engine: AsyncEngine, connections: Connections) -> None:
        self._engine = engine
        self._connections = connections
        pool = engine.pool
        self._most = _MOST if isinstance(pool, QueuePool) and pool.size() >= _SMALLEST_POOL else 0
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()

    @classmethod
    def of(cls, engine: AsyncEngine) -> Lanes:
        """Those of `engine`: databases that share an engine share them."""
        found = _OF_ENGINE.get(engine)
        if found is None:
            found = _OF_ENGINE[engine] = cls(engine, Connections.of(engine))
        return found

    async def fetch(self, statement: TextClause, parameters: Mapping[str, Any]) -> Sequence[Row[Any]]:
        """All rows of `statement`, when it is committed; raises Unavailable where there is no connection."""
        connection = await self._take()
        try:
            return await Statements(connection).fetch_at_once(statement, parameters)
        finally:
            await self._give_back(connection)

    async def close(self) -> None:
        """Close those that are idle."""
        _OF_ENGINE.pop(self._engine, None)
        while self._idle:
            await self._end(self._idle.pop())

    async def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.driver.is_closed():
                return connection
            await self._end(connection)
        connection = await self._connections.take()
        if len(self._open) < self._most:
            self._open.add(connection)
            try:
                await connection.driver.execute("; ".join(SETTINGS))
            except BaseException:
                await self._end(connection)
                raise
        return connection

    async def _give_back(self, connection: Connection) -> None:
        if connection not in self._open:
            await self._connections.give_back(connection)
        elif connection.sqlalchemy.invalidated or connection.driver.is_closed():
            await self._end(connection)
        else:
            self._idle.append(connection)

    async def _end(self, connection: Connection) -> None:
        """Close it: nobody else may have it with these settings."""
        self._open.discard(connection)
        # Shielded: a cancelled task must not leave it half closed, and its place in the pool taken.
        if not connection.sqlalchemy.invalidated:
            await asyncio.shield(connection.sqlalchemy.invalidate())
        await asyncio.shield(connection.sqlalchemy.close())


# As the engine's other connections: an entry goes when its database is closed.
_OF_ENGINE: Final[dict[AsyncEngine, Lanes]] = {}
