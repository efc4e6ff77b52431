"""What scoring does by itself: gives customers their tier by new segment rules, forgets old answers to commands."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

import structlog

from libs.events.event import Event
from libs.webapi.idempotency import prune_keys
from services.scoring.domain.customers import changed, revalued
from services.scoring.store import accounts, customers, locks, rules

if TYPE_CHECKING:
    from libs.events.database import Database

log: Final = structlog.get_logger()

CUSTOMERS_AT_ONCE: Final = 1000
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
        claimed = await customers.claim_outdated(tx, in_force.version, CUSTOMERS_AT_ONCE)
        if not claimed:
            return False
        now_valued = [revalued(customer, in_force.rules, in_force.version) for customer in claimed]
        await customers.replace(tx, now_valued)
        moved = [after for before, after in zip(claimed, now_valued, strict=True) if after.version > before.version]
        names = await accounts.names(tx, (each.profile.account_id for each in moved if each.profile.account_id))
        cause = uuid5(_CHANGE_OF_RULES, str(in_force.version))
        for customer in moved:
            id_ = customer.profile.id
            event = Event.caused_by_command(
                cause,
                changed(customer, names.get(customer.profile.account_id or "")),
                subject=id_,
                time=tx.now,
                source=_SOURCE,
                part=f"{id_}/{customer.version}",
            )
            tx.emit(event, key=id_)
    log.info("tiers.recomputed", rules_version=in_force.version, customers=len(claimed), changed=len(moved))
    return len(claimed) == CUSTOMERS_AT_ONCE


async def forget_old_answers(database: Database) -> bool:
    """Forget what commands were answered long ago; whether there may be more."""
    async with database.transaction() as tx:
        return await prune_keys(tx, older_than=ANSWERS_KEPT)
