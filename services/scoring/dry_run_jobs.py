"""Goes through all customers where somebody asked who would move by other segment rules: a set in each transaction."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from libs.events.crashpoint import crashpoint
from libs.events.errors import is_unavailable
from services.scoring.domain.dry_runs import MOVERS_SHOWN, Moves
from services.scoring.domain.segments import looked_at, quantiles
from services.scoring.store import customers, dry_runs, locks, rules

if TYPE_CHECKING:
    from uuid import UUID

    from libs.events.database import Database, Tx

log: Final = structlog.get_logger()

CUSTOMERS_AT_ONCE: Final = 2000
KEPT: Final = timedelta(days=30)


class DryRuns:
    """A step takes the next set of the dry run whose last step is longest ago.

    How far it is commits with what was counted: whoever goes on after a kill counts nobody twice. Rules that raise end
    their own dry run alone, named by the error.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._claimed: UUID | None = None

    async def step(self) -> bool:
        """One set; whether there may be more."""
        async with self._database.reading() as tx:
            if not await dry_runs.any_running(tx):
                return False
        try:
            async with self._database.transaction() as tx:
                return await self._take_set(tx)
        except Exception as error:
            # Broad: either an outage, or these rules are at fault, whatever they raise.
            if is_unavailable(error) or self._claimed is None:
                raise
            await self._give_up(self._claimed, error)
            return True
        finally:
            self._claimed = None

    async def _give_up(self, id_: UUID, error: Exception) -> None:
        log.error("dry_run.failed", dry_run_id=str(id_), error=type(error).__name__)
        async with self._database.transaction() as tx:
            await dry_runs.fail(tx, id_, type(error).__name__)

    async def _take_set(self, tx: Tx) -> bool:
        claimed = await dry_runs.claim(tx)
        if claimed is None:
            return False  # all in other hands
        self._claimed = claimed.id
        if claimed.cuts is None:
            proposed = rules.read(claimed.document, "[]")
            await dry_runs.begin(tx, claimed.id, await rules.cut_points(tx, quantiles(proposed)))
            return True
        # Not before the row, as elsewhere: to count where shares begin takes long, and nobody who holds this lock ever
        # waits for a row of a dry run. With it, nobody is named who is being erased.
        await locks.storing_answers(tx)
        known = rules.read(claimed.document, claimed.cuts)
        some = await customers.worths(tx, claimed.reached, CUSTOMERS_AT_ONCE, looked_at(known))
        moves = Moves(shown=MOVERS_SHOWN, counts=claimed.counts)
        for each in some:
            moves.look(each.id, each.tier, each.worth, known)
        done = len(some) < CUSTOMERS_AT_ONCE
        reached = some[-1].id if some else claimed.reached
        await dry_runs.advance(tx, claimed.id, moves.counts, moves.movers, reached=reached, done=done)
        crashpoint("scoring.dry_runs.before_commit")
        if done:
            log.info("dry_run.done", dry_run_id=str(claimed.id), customers=moves.customers)
        return True


async def forget_old_dry_runs(database: Database) -> bool:
    """Forget what was found long ago; never more at once."""
    async with database.transaction() as tx:
        await dry_runs.forget(tx, tx.now - KEPT)
    return False
