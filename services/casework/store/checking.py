"""When the clocks were last gone through, as every process can see it, and the longest that one has waited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from services.casework.domain.watchdog import Checking
from services.casework.store import callbacks, cases

if TYPE_CHECKING:
    from libs.events.database import Tx

_NOTE: Final = text("UPDATE clock_checks SET checked_at = :now")
_CHECKED_AT: Final = text("SELECT checked_at FROM clock_checks")


async def note(tx: Tx) -> None:
    """A loop has just gone through the clocks that are due."""
    await tx.execute(_NOTE, {"now": tx.now})


async def read(tx: Tx) -> Checking:
    """How it stands."""
    (row,) = await tx.fetch(_CHECKED_AT)
    oldest = [each for each in (await cases.oldest_firing(tx), await callbacks.oldest_firing(tx)) if each is not None]
    return Checking(tx.now, row.checked_at, min(oldest, default=None))
