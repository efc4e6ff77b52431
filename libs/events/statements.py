"""Statements of literal SQL, given to the driver without SQLAlchemy's execution between: that costs more than they do.

The pool, the transaction and what a broken connection means stay SQLAlchemy's; so do its rows, its errors, and the
event `before_cursor_execute` for whoever listens to an engine. Each statement is compiled once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import sqlalchemy.exc
from sqlalchemy import TextClause
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.engine import Row, result_tuple
from sqlalchemy.types import NullType

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from sqlalchemy import Executable
    from sqlalchemy.ext.asyncio import AsyncConnection

_DIALECT: Final = PGDialect_asyncpg()  # type: ignore[no-untyped-call]  # it is untyped
_REMEMBERED: Final = 1_024
_ERRORS: Final[tuple[tuple[type[Exception], type[sqlalchemy.exc.DBAPIError]], ...]] = (
    (asyncpg.IntegrityConstraintViolationError, sqlalchemy.exc.IntegrityError),
    (asyncpg.SyntaxOrAccessError, sqlalchemy.exc.ProgrammingError),
    (asyncpg.InternalServerError, sqlalchemy.exc.InternalError),
    (asyncpg.InternalClientError, sqlalchemy.exc.InternalError),
    (asyncpg.InterfaceError, sqlalchemy.exc.InterfaceError),
    (asyncpg.PostgresError, sqlalchemy.exc.DBAPIError),
)
"""As SQLAlchemy's dialect translates the driver's errors; the first that fits counts."""


class _Plain:
    """A statement as the driver takes it: its text with numbered places, and the names in their order."""

    __slots__ = ("_columns", "_make", "names", "sql")

    def __init__(self, sql: str, names: Sequence[str]) -> None:
        self.sql: Final = sql
        self.names: Final = names
        self._columns: tuple[str, ...] = ()
        self._make: Callable[[Any], Row[Any]] = result_tuple(())

    def rows(self, records: Sequence[Any]) -> list[Row[Any]]:
        """The driver's records as SQLAlchemy's rows."""
        if not records:
            return []
        columns = tuple(records[0].keys())
        if columns != self._columns:
            self._columns, self._make = columns, result_tuple(columns)
        make = self._make
        return [make(tuple(record)) for record in records]


class Statements:
    """Runs statements on one connection, in the transaction that SQLAlchemy begins with the first of them."""

    __slots__ = ("_adapter", "_connection", "_driver", "_listened")

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        # Only the adapter, which no typing describes, can begin a transaction that SQLAlchemy then commits.
        self._adapter: Any = None
        self._driver: Any = None
        self._listened = connection.sync_engine.dispatch.before_cursor_execute

    async def fetch(self, statement: Executable, parameters: Mapping[str, Any] | None) -> Sequence[Row[Any]]:
        """All rows of `statement`."""
        plain = _plain(statement)
        if plain is None:
            return (await self._connection.execute(statement, parameters)).all()
        return plain.rows(await self._run(plain, parameters, rows=True))

    async def execute(self, statement: Executable, parameters: Mapping[str, Any] | None) -> int:
        """Run `statement`; how many rows it touched."""
        plain = _plain(statement)
        if plain is None:
            return (await self._connection.execute(statement, parameters)).rowcount
        status: str = await self._run(plain, parameters, rows=False)
        count = status.rpartition(" ")[2]
        return int(count) if count.isdecimal() else -1

    async def _run(self, plain: _Plain, parameters: Mapping[str, Any] | None, *, rows: bool) -> Any:  # noqa: ANN401 - the driver's
        values = [parameters[name] for name in plain.names] if parameters else []
        if self._driver is None:
            raw = await self._connection.get_raw_connection()
            self._adapter, self._driver = raw.dbapi_connection, raw.driver_connection
        for listener in self._listened:
            listener(self._connection.sync_connection, None, plain.sql, values, None, False)
        run: Callable[..., Awaitable[Any]] = self._driver.fetch if rows else self._driver.execute
        try:
            if self._adapter._transaction is None:  # noqa: SLF001 - see above
                await self._adapter._start_transaction()  # noqa: SLF001
            return await run(plain.sql, *values)
        except Exception as error:
            closed: bool = self._driver.is_closed()
            if closed:
                await self._connection.invalidate()
            for driver_s, ours in _ERRORS:
                if isinstance(error, driver_s):
                    raise ours(plain.sql, values, error, hide_parameters=True, connection_invalidated=closed) from error
            raise
        except BaseException:
            # Cancelled in the middle: nobody knows in what state the connection is.
            await self._connection.invalidate()
            raise


@lru_cache(_REMEMBERED)
def _plain(statement: Executable) -> _Plain | None:
    """The statement for the driver, or None where only SQLAlchemy can run it: an expression, or typed parameters."""
    if not isinstance(statement, TextClause):
        return None
    compiled = statement.compile(dialect=_DIALECT)
    if any(not isinstance(bind.type, NullType) for bind in compiled.binds.values()):
        return None
    return _Plain(compiled.string, compiled.positiontup or ())
