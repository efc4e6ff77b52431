"""How many customers each tier has and what they are worth: counted now and then, for it changes slowly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

if TYPE_CHECKING:
    from datetime import datetime

    from libs.events.contracts.scores import Tier
    from libs.events.database import Tx

_READ: Final = text("SELECT tier, customers, value, counted_at FROM tier_totals ORDER BY tier")
_ALONE: Final = text("SELECT pg_advisory_xact_lock(hashtextextended('scoring.tier_totals', 0))")
_FORGET: Final = text("DELETE FROM tier_totals")
# What a customer costs does not make the others of the tier worth less than nothing.
_COUNT: Final = text("""
    INSERT INTO tier_totals (tier, customers, value, counted_at)
    SELECT tier, count(*), coalesce(sum(greatest(current_value, 0)), 0), :now FROM customers GROUP BY tier
""")


@dataclass(frozen=True, slots=True)
class TierTotals:
    """By tier; when they were counted is None where they never were."""

    customers: dict[Tier, float]
    value: dict[Tier, float]
    counted_at: datetime | None


async def read(tx: Tx) -> TierTotals:
    """As they were counted last."""
    rows = await tx.fetch(_READ)
    return TierTotals(
        customers={row.tier: float(row.customers) for row in rows},
        value={row.tier: float(row.value) for row in rows},
        counted_at=rows[0].counted_at if rows else None,
    )


async def count(tx: Tx) -> None:
    """Count them anew."""
    await tx.execute(_ALONE)
    await tx.execute(_FORGET)
    await tx.execute(_COUNT, {"now": tx.now})
