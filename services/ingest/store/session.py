"""How ingest's sessions plan their statements: always by index, whatever the tables' sizes were once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import event

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

    from libs.events.database import Database

_SETTINGS: Final = (
    "SET enable_seqscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
)


def seek_by_index(database: Database) -> None:
    """Make every further connection of `database` look rows up by their keys.

    Prepared statements keep the plan that was best for the tables' size when they were first used. On a new system that
    is reading all of them; a table that then grows by a thousand rows a second is read as a whole for each batch, until
    the server happens to analyze it. Every statement here has an index that fits, so nothing else is much better, ever.
    """
    event.listen(database.engine.sync_engine, "connect", _prepare)


def _prepare(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for setting in _SETTINGS:
        cursor.execute(setting)
    cursor.close()
    connection.commit()  # a setting goes with the transaction in which it was made
