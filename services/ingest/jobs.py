"""What ingest does by itself, besides relaying: it forgets what commands were answered long ago."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from libs.webapi.idempotency import prune_keys

if TYPE_CHECKING:
    from libs.events.database import Database

ANSWERS_KEPT: Final = timedelta(days=3)
"""How long a command may be repeated under its Idempotency-Key."""


async def forget_old_answers(database: Database) -> bool:
    """Forget some of the old answers; whether there may be more."""
    async with database.transaction() as tx:
        return await prune_keys(tx, older_than=ANSWERS_KEPT)
