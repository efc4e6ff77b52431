"""This process's mark in the database that it lives, by which others see whether a sender is gone.

An advisory lock on a connection of its own: it ends when the process does, however that dies, at once and without
anybody's clock; and it does not end while a process is merely stopped or slow.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from libs.events.errors import is_unavailable
from services.notify.store.delivery import PRESENCE_CLASS

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from libs.events.database import Database

_LOCK: Final = text("SELECT pg_try_advisory_lock(CAST(:class AS integer), CAST(:number AS integer))")
_STILL_THERE: Final = text("SELECT 1")


class Presence:
    """Holds the lock; a lost one is replaced under a new number, because the old one may be taken for dead."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: AsyncConnection | None = None
        self._number = 0

    async def number(self) -> int:
        """The number under which this process is seen to be alive at this moment."""
        if self._connection is not None:
            try:
                await self._connection.execute(_STILL_THERE)
            except Exception as error:
                # Broad, because a lost connection has many types; all others go up.
                await self.leave()
                if not is_unavailable(error):
                    raise
            else:
                return self._number
        connection = await self._database.engine.connect()
        try:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            taken = False
            while not taken:
                self._number = 1 + secrets.randbelow(2**31 - 1)
                parameters = {"class": PRESENCE_CLASS, "number": self._number}
                taken = bool((await connection.execute(_LOCK, parameters)).scalar_one())
        except BaseException:
            await connection.invalidate()
            await connection.close()
            raise
        self._connection = connection
        return self._number

    async def leave(self) -> None:
        """End the connection, and the lock with it; it must not go back into the pool."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(OSError):  # a connection that is broken already is what we want
                await connection.invalidate()
            await connection.close()
