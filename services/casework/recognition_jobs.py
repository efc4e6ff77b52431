"""What casework does at the end of each month: propose whom to name for closing loops exceptionally well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from services.casework.domain.recognition import bounds, last_month, standings
from services.casework.store import recognition

if TYPE_CHECKING:
    from datetime import tzinfo

    from libs.events.database import Database

log: Final = structlog.get_logger()


class Recognitions:
    """Looks at each month once, whoever comes first: the month, its proposals and that it was done are one thing."""

    def __init__(self, database: Database, *, where: tzinfo) -> None:
        """`where` is the company's zone."""
        self._database = database
        self._where = where

    async def step(self) -> bool:
        """Look at the month that ended last; never more to do at once."""
        async with self._database.reading() as tx:
            month = last_month(tx.now, self._where)
            if await recognition.is_looked_at(tx, month):
                return False
        async with self._database.transaction() as tx:
            if not await recognition.begin(tx, month):
                return False
            compared = standings(await recognition.tallies(tx, *bounds(month, self._where)))
            exceptional = [each for each in compared if each.is_exceptional]
            proposed = await recognition.propose(tx, month, exceptional) if exceptional else 0
        log.info("recognition.proposed", month=f"{month:%Y-%m}", compared=len(compared), proposed=proposed)
        return False
