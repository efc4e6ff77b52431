"""When the clocks were last gone through, as every process can see it, and the longest that one has waited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from services.casework.domain.watchdog import Checking
from services.casework.store import callbacks, cases

if TYPE_CHECKING:
    from libs.events.database import Tx
    from services.casework.domain.watchdog import ClockLoop

# Releases before the other loops were watched know the one row of `clock_checks`, and no more.
_NOTE_CASES: Final = text("UPDATE clock_checks SET checked_at = :now")
_NOTE: Final = text("UPDATE loop_checks SET checked_at = :now WHERE loop = :loop")
_ROUNDS: Final = text("""
    SELECT 'cases' AS loop, checked_at FROM clock_checks UNION ALL SELECT loop, checked_at FROM loop_checks
""")


async def note(tx: Tx, loop: ClockLoop) -> None:
    """A loop has just gone through its clocks that are due."""
    if loop == "cases":
        await tx.execute(_NOTE_CASES, {"now": tx.now})
    else:
        await tx.execute(_NOTE, {"now": tx.now, "loop": loop})


async def read(tx: Tx) -> Checking:
    """How it stands."""
    rounds = {row.loop: row.checked_at for row in await tx.fetch(_ROUNDS)}
    of_callbacks = await callbacks.oldest_firing(tx)
    oldest = [each for each in (await cases.oldest_firing(tx), of_callbacks) if each is not None]
    return Checking(tx.now, rounds, min(oldest, default=None), of_callbacks)
