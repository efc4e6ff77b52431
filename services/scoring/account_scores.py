"""Keeps the scores of accounts: computed anew where something that they follow from changed, or grew too old."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.scoring.store import account_scores, locks, rules

if TYPE_CHECKING:
    from libs.events.database import Database

ACCOUNTS_AT_ONCE: Final = 500


async def compute_account_scores(database: Database) -> bool:
    """Take the next accounts whose scores may have changed; whether there may be more."""
    async with database.reading() as tx:
        if not await account_scores.any_due(tx):
            return False
    async with database.transaction() as tx:
        await locks.scoring_accounts(tx)
        ids = await account_scores.take_due(tx, ACCOUNTS_AT_ONCE)
        if not ids:
            return False
        scoring = (await rules.current(tx)).rules.accounts
        await account_scores.replace(tx, ids, await account_scores.compute(tx, ids, scoring))
    return True
