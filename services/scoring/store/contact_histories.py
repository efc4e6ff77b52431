"""Who changed how customers may be reached, when, and by which way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.scoring.domain.contact_changes import ContactChange

_NOTE: Final = text("""
    INSERT INTO contact_changes (customer_id, what, before, after, came_by, told_by, said_at, noted_at)
    SELECT customer_id, what, before, after, came_by, told_by, said_at, :now
      FROM unnest(CAST(:customer_ids AS text[]), CAST(:whats AS text[]), CAST(:befores AS text[]),
                  CAST(:afters AS text[]), CAST(:came_bys AS text[]), CAST(:told_bys AS text[]),
                  CAST(:said_ats AS timestamptz[]))
           WITH ORDINALITY AS given (customer_id, what, before, after, came_by, told_by, said_at, place)
     ORDER BY place
""")
_OF_CUSTOMER: Final = text("""
    SELECT id, what, before, after, came_by, told_by, said_at, noted_at
      FROM contact_changes
     WHERE customer_id = :customer_id AND id < :before
     ORDER BY id DESC
     LIMIT :limit
""")
_FORGET: Final = text("DELETE FROM contact_changes WHERE customer_id = :customer_id")


async def note(tx: Tx, changes: Sequence[ContactChange]) -> None:
    """Keep what changed, in this order."""
    if not changes:
        return
    await tx.execute(
        _NOTE,
        {
            "customer_ids": [each.customer_id for each in changes],
            "whats": [each.what for each in changes],
            "befores": [each.before for each in changes],
            "afters": [each.after for each in changes],
            "came_bys": [each.came_by for each in changes],
            "told_bys": [each.told_by for each in changes],
            "said_ats": [each.said_at for each in changes],
            "now": tx.now,
        },
    )


async def of_customer(tx: Tx, customer_id: str, *, before: int, limit: int) -> Sequence[Row[Any]]:
    """A customer's changes, the latest first; those noted before the one with the id `before`."""
    return await tx.fetch(_OF_CUSTOMER, {"customer_id": customer_id, "before": before, "limit": limit})


async def forget(tx: Tx, customer_id: str) -> None:
    """Forget the history of somebody who is being erased."""
    await tx.execute(_FORGET, {"customer_id": customer_id})
