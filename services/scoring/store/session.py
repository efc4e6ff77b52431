"""How scoring's sessions plan their statements: anew each time, by the size that the tables have now.

A prepared statement otherwise keeps the plan that was best when it was first used. On a new system that is reading
whole tables, which are empty; the plan then stays while they grow by thousands of rows a second, until the server
happens to analyze them. Planning costs a fraction of a millisecond, once per batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import event

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

    from libs.events.database import Database

_PLAN_EACH_TIME: Final = "SET plan_cache_mode = force_custom_plan"


def plan_each_time(database: Database) -> None:
    """Make every further connection of `database` do so."""
    event.listen(database.engine.sync_engine, "connect", _prepare)


def _prepare(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute(_PLAN_EACH_TIME)
    cursor.close()
    connection.commit()  # a setting goes with the transaction in which it was made
