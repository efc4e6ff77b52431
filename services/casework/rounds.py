"""Tells other processes now and then that a loop comes round: a clock that stops running is itself an alarm."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from services.casework.store import checking

if TYPE_CHECKING:
    from libs.events.database import Database
    from services.casework.domain.watchdog import ClockLoop

_NOTED_EVERY: Final = timedelta(seconds=10)


class Rounds:
    """Of one loop in this process; whichever process notes it last counts."""

    def __init__(self, database: Database, loop: ClockLoop) -> None:
        self._database = database
        self._loop: ClockLoop = loop
        self._noted_at = database.clock()

    async def note(self) -> None:
        """The loop has just gone through what is due."""
        now = self._database.clock()
        if abs(now - self._noted_at) >= _NOTED_EVERY:
            async with self._database.transaction() as tx:
                await checking.note(tx, self._loop)
            self._noted_at = now
