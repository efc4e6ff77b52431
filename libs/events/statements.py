"""Statements of literal SQL, given to the driver without SQLAlchemy's execution between: that costs more than they do.

Connections stay SQLAlchemy's, and so do its rows, its errors, and the event `before_cursor_execute` for whoever listens
to an engine; an expression that is no literal SQL runs through it in the same transaction. Each is compiled once.
"""

from __future__ import annotations

from functools import lru_cache, partial
from itertools import count
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

    from libs.events.connections import Connection

_DIALECT: Final = PGDialect_asyncpg()  # type: ignore[no-untyped-call]  # it is untyped
_REMEMBERED: Final = 1_024
AT_ONCE: Final = "at_once_"
"""How the names of prepared statements begin that commit by themselves."""
_numbers: Final = count(1)
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
    """Runs statements on one connection, in a transaction that the first of them begins."""

    __slots__ = ("_adapter", "_connection", "_driver", "_listened", "_prepared", "_read_only")

    def __init__(self, connection: Connection, *, read_only: bool = False) -> None:
        self._connection = connection.sqlalchemy
        self._adapter = connection.adapter
        self._driver = connection.driver
        self._prepared = connection.prepared
        self._read_only = read_only
        self._listened = connection.sqlalchemy.sync_engine.dispatch.before_cursor_execute

    async def fetch(self, statement: Executable, parameters: Mapping[str, Any] | None) -> Sequence[Row[Any]]:
        """All rows of `statement`."""
        plain = _plain(statement)
        if plain is None:
            await self._begin()
            return (await self._connection.execute(statement, parameters)).all()
        return plain.rows(await self._run(plain, parameters, rows=True))

    async def fetch_at_once(self, statement: TextClause, parameters: Mapping[str, Any]) -> Sequence[Row[Any]]:
        """All rows of `statement`, which is a transaction by itself: it is committed when they are here.

        It is prepared once on each connection, under a name by which a proxy can tell it from other statements.
        """
        plain = _plain(statement)
        if plain is None:
            raise TypeError("only literal SQL can be prepared under a name")
        values = self._told(plain, parameters)
        return plain.rows(await self._guarded(plain.sql, values, self._run_prepared, plain.sql, values))

    async def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | None, *, patience_s: float | None = None
    ) -> int:
        """Run `statement`; how many rows it touched. `patience_s`: where literal SQL may take longer than others."""
        plain = _plain(statement)
        if plain is None:
            await self._begin()
            return (await self._connection.execute(statement, parameters)).rowcount
        status: str = await self._run(plain, parameters, rows=False, patience_s=patience_s)
        touched = status.rpartition(" ")[2]
        return int(touched) if touched.isdecimal() else -1

    async def commit(self) -> None:
        """Commit what was begun."""
        transaction = self._adapter._transaction  # noqa: SLF001 - see `Connection`
        if transaction is not None:
            await self._guarded("COMMIT", (), transaction.commit)
            self._adapter._transaction = None  # noqa: SLF001
        if self._connection.in_transaction():  # one that an expression has begun: the driver's is done already
            await self._connection.commit()

    async def roll_back(self) -> None:
        """Undo what was begun; where that cannot be done the connection is given up."""
        if self._connection.invalidated:
            return
        try:
            transaction = self._adapter._transaction  # noqa: SLF001
            if transaction is not None:
                await transaction.rollback()
                self._adapter._transaction = None  # noqa: SLF001
            if self._connection.in_transaction():
                await self._connection.rollback()
        except Exception:  # noqa: BLE001 - whatever it was that kept it from being undone: the server will, without us
            await self._connection.invalidate()
        except BaseException:
            await self._connection.invalidate()
            raise

    async def _begin(self) -> None:
        if self._adapter._transaction is None:  # noqa: SLF001
            self._adapter.readonly = self._read_only
            try:
                await self._adapter._start_transaction()  # noqa: SLF001
            finally:
                self._adapter.readonly = False

    async def _run_prepared(self, sql: str, values: Sequence[Any]) -> Any:  # noqa: ANN401 - the driver's
        prepared = self._prepared.get(sql)
        if prepared is None:
            prepared = await self._driver.prepare(sql, name=f"{AT_ONCE}{next(_numbers)}")
            self._prepared[sql] = prepared
        return await prepared.fetch(*values)

    def _told(self, plain: _Plain, parameters: Mapping[str, Any] | None) -> list[Any]:
        """The values of a statement's places; whoever listens to the engine is told of it."""
        values = [parameters[name] for name in plain.names] if parameters else []
        for listener in self._listened:
            listener(self._connection.sync_connection, None, plain.sql, values, None, False)
        return values

    async def _run(
        self,
        plain: _Plain,
        parameters: Mapping[str, Any] | None,
        *,
        rows: bool,
        patience_s: float | None = None,
    ) -> Any:  # noqa: ANN401 - the driver's
        values = self._told(plain, parameters)
        run: Callable[..., Awaitable[Any]] = self._driver.fetch if rows else self._driver.execute
        if self._adapter._transaction is None:  # noqa: SLF001
            await self._guarded("BEGIN", (), self._begin)
        if patience_s is not None:
            run = partial(run, timeout=patience_s)
        return await self._guarded(plain.sql, values, run, plain.sql, *values)

    async def _guarded(
        self, sql: str, values: Sequence[Any], run: Callable[..., Awaitable[Any]], *arguments: object
    ) -> Any:  # noqa: ANN401 - the driver's
        """Await `run`; its errors as SQLAlchemy's, and a connection that is of no use any more given up."""
        try:
            return await run(*arguments)
        except Exception as error:
            closed: bool = self._driver.is_closed()
            if closed:
                await self._connection.invalidate()
            for driver_s, ours in _ERRORS:
                if isinstance(error, driver_s):
                    raise ours(sql, values, error, hide_parameters=True, connection_invalidated=closed) from error
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
