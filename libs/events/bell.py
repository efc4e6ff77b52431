"""Wakes the relay of another process after a commit: one notification for however many commits came meanwhile.

A transaction that notifies holds a lock of the whole server from before its flush until after it, so that the flushes
of two such transactions follow one another instead of being one. The notification therefore has a transaction of its
own, which writes nothing and waits for no flush. What a process that died never told, the relay finds when it looks.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from libs.events.errors import is_unavailable
from libs.events.outbox import CHANNEL_PREFIX

if TYPE_CHECKING:
    from libs.events.connections import Connections

log: Final = structlog.get_logger()

_QUIET_S: Final = 0.005
"""Between two notifications: a relay that was just woken finds by itself what is committed while it works."""

_TELL: Final = f"SELECT pg_notify('{CHANNEL_PREFIX}' || current_schema(), '')"


class Bell:
    """Rings over a connection of the pool, once at a time."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._ringing: asyncio.Task[None] | None = None
        self._again = False

    def ring(self) -> None:
        """Wake the relay soon; what is committed by now is told by the next notification."""
        self._again = True
        if self._ringing is None:
            self._ringing = asyncio.create_task(self._ring(), name="outbox bell")

    async def close(self) -> None:
        """Wait until nothing is left to be told."""
        if self._ringing is not None:
            await self._ringing

    async def _ring(self) -> None:
        try:
            while self._again:
                self._again = False
                connection = await self._connections.take()
                try:
                    await connection.driver.execute(_TELL)
                finally:
                    await self._connections.give_back(connection)
                await asyncio.sleep(_QUIET_S)
        except Exception as error:
            if not is_unavailable(error):
                raise
            log.warning("outbox.not_told", error=type(error).__name__)
        finally:
            self._ringing = None
