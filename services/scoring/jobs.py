"""What scoring does by itself: gives customers their tier by new segment rules, forgets old answers to commands."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

import structlog

from libs.events.crashpoint import crashpoint
from libs.events.event import Event
from libs.webapi.idempotency import prune_keys
from services.scoring.domain.customers import changed, revalued
from services.scoring.domain.segments import quantiles
from services.scoring.store import accounts, counts, customers, locks, recounts, rules, tier_totals

if TYPE_CHECKING:
    from libs.events.database import Database
    from services.scoring.domain.customers import Customer

log: Final = structlog.get_logger()

CUSTOMERS_AT_ONCE: Final = 1000
CUT_POINTS_EVERY: Final = timedelta(days=1)
TALLIES_AT_ONCE: Final = 50
"""Of one transaction each, with up to a thousand answers."""
ANSWERS_KEPT: Final = timedelta(days=3)
"""How long a command may be repeated under its Idempotency-Key."""
_SOURCE: Final = "/scoring"
_CHANGE_OF_RULES: Final = UUID("8d5c8bb8-4d43-44a3-9d9c-9d2b9a6ac1f5")


async def recompute_tiers(database: Database) -> bool:
    """Take the next customers whose tier is by older rules; whether there may be more.

    A profile that another transaction writes by the older rules meanwhile is outdated when it commits, and is found
    the next time. Those whose tier or its reason became another are announced.
    """
    async with database.reading() as tx:
        if not await customers.any_outdated(tx):
            return False
    async with database.transaction() as tx:
        await locks.publishing_profiles(tx)
        in_force = await rules.current(tx)
        claimed = await customers.claim_outdated(tx, in_force.valuation, CUSTOMERS_AT_ONCE)
        if not claimed:
            return False
        known = await accounts.known(tx, (each.profile.account_id for each in claimed))
        stayed: list[Customer] = []
        moved: list[Customer] = []
        for before in claimed:
            account = known.get(before.profile.account_id or "")
            attributes = {} if account is None else account.attributes
            after = revalued(before, attributes, in_force.rules, in_force.valuation)
            (moved if after.version > before.version else stayed).append(after)
        if stayed:
            await customers.keep(tx, stayed)
        if moved:
            await customers.replace(tx, moved)
        cause = uuid5(_CHANGE_OF_RULES, str(in_force.valuation))
        for customer in moved:
            id_ = customer.profile.id
            account = known.get(customer.profile.account_id or "")
            event = Event.caused_by_command(
                cause,
                changed(customer, None if account is None else account.name),
                subject=id_,
                time=tx.now,
                source=_SOURCE,
                part=f"{id_}/{customer.version}",
            )
            tx.emit(event, key=id_)
        crashpoint("scoring.tiers.before_commit")
    log.info("tiers.recomputed", valuation=in_force.valuation, customers=len(claimed), changed=len(moved))
    return len(claimed) == CUSTOMERS_AT_ONCE


async def count_cut_points(database: Database) -> bool:
    """Count where quantiles begin over the present customers, once a day; customers follow by `recompute_tiers`."""
    async with database.reading() as tx:
        in_force = await rules.current(tx)
        if not quantiles(in_force.rules) or tx.now < in_force.checked_at + CUT_POINTS_EVERY:
            return False
    async with database.transaction() as tx:
        await locks.changing_rules(tx)
        before = await rules.current(tx)
        if tx.now < before.checked_at + CUT_POINTS_EVERY:
            return False
        after = await rules.count_again(tx, before)
    log.info("cut_points.counted", valuation=after.valuation, moved=after.valuation > before.valuation)
    return False


async def fold_counts(database: Database) -> bool:
    """Count in what changed since the last time; whether there may be more."""
    async with database.transaction() as tx:
        folded = await counts.fold(tx, TALLIES_AT_ONCE)
        if folded:
            crashpoint("scoring.counts.before_commit")
    return folded == TALLIES_AT_ONCE


async def count_tiers(database: Database) -> bool:
    """Count how many customers each tier has and what they are worth."""
    async with database.transaction() as tx:
        await tier_totals.count(tx)
    return False


async def recount(database: Database) -> int:
    """Make the counts anew from the answers and put right what differs; how many counts did. None ever should."""
    async with database.reading() as tx:
        months = await recounts.months(tx)
    wrong = 0
    for month in months:
        async with database.transaction() as tx:
            wrong += await recounts.recount(tx, month)
    log.info("counts.recounted", months=len(months), wrong=wrong)
    return wrong


async def forget_old_answers(database: Database) -> bool:
    """Forget what commands were answered long ago; whether there may be more."""
    async with database.transaction() as tx:
        return await prune_keys(tx, older_than=ANSWERS_KEPT)
