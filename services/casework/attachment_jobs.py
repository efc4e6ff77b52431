"""What takes files away: those that cases were parted of, soon; and those that no case ever came to have, hourly."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from services.casework.store import attachments
from services.casework.store.attachment_files import ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from libs.events.database import Database
    from services.casework.store.attachment_files import AttachmentFiles

log: Final = structlog.get_logger()

SPARED: Final = timedelta(hours=1)
"""A younger file may be one that somebody is about to point at: nothing takes that long to be received."""


class Removals:
    """Takes away files that were removed from their last case, or erased with their customer."""

    def __init__(self, database: Database, files: AttachmentFiles, *, batch: int) -> None:
        self._database = database
        self._files = files
        self._batch = batch

    async def step(self) -> bool:
        """One transaction; whether more may be waiting. A crash within it leaves the rest to the next one."""
        async with self._database.transaction() as tx:
            digests = await attachments.to_remove(tx, self._batch)
            if digests:
                await attachments.lock(tx, digests)
                await self._files.remove(await attachments.unknown(tx, digests))
                await attachments.removed(tx, digests)
        return len(digests) == self._batch


class Orphans:
    """Looks through the folder, a sixteenth at a time, for files that a crash left without a row."""

    def __init__(self, database: Database, files: AttachmentFiles) -> None:
        self._database = database
        self._files = files
        self._row = 0

    async def step(self) -> bool:
        """One row of the folder; False once round."""
        row = ROWS[self._row]
        async with self._database.reading() as tx:
            before = tx.now - SPARED
            found = await self._files.older_than(row, before)
            orphans = await attachments.unknown(tx, found) if found else []
        if self._row == 0 and (left := await self._files.clear_arrivals(before)):
            log.info("attachments.arrivals_cleared", files=left)
        if orphans:
            await self._take_away(row, orphans)
        self._row = (self._row + 1) % len(ROWS)
        return self._row != 0

    async def _take_away(self, row: str, orphans: Sequence[str]) -> None:
        async with self._database.transaction() as tx:
            await attachments.lock(tx, orphans)
            # Somebody may have sent the same file since: then it has a row by now, or is young again.
            unknown = set(await attachments.unknown(tx, orphans))
            gone = [each for each in await self._files.older_than(row, tx.now - SPARED) if each in unknown]
            await self._files.remove(gone)
        log.info("attachments.orphans_removed", row=row, files=len(gone))
