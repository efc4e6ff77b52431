"""What ingest does by itself, besides relaying: it forgets what need not be, or must not be, kept any longer."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from libs.webapi.idempotency import prune_keys
from services.ingest.domain.deliveries import new_delivery_id
from services.ingest.store import sweeps

if TYPE_CHECKING:
    from libs.events.database import Database

ANSWERS_KEPT: Final = timedelta(days=3)
"""How long a command may be repeated under its Idempotency-Key."""


async def forget_old_answers(database: Database) -> bool:
    """Forget some of the old answers; whether there may be more."""
    async with database.transaction() as tx:
        return await prune_keys(tx, older_than=ANSWERS_KEPT)


async def sweep_erased(database: Database) -> bool:
    """Empty some of the deliveries of a customer who asked to be forgotten; whether there may be more."""
    async with database.transaction() as tx:
        return await sweeps.sweep_erased(tx)


async def sweep_old(database: Database, *, keep_days: int) -> bool:
    """Empty some of what each source keeps no longer (`keep_days`, unless it says otherwise); whether there is more."""
    more = False
    async with database.transaction() as tx:
        for source, days, swept_to in await sweeps.kept_days(tx, default=keep_days):
            before = new_delivery_id(tx.now - timedelta(days=days), 0)
            if swept_to < before:
                more |= await sweeps.sweep_old(tx, source, after=swept_to, before=before) is not None
    return more
