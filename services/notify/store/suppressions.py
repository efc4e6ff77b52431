"""The list of addresses that are not written to, by their marks; what was taken off it stays as its history.

An address may stand there twice: for what is known of it (it is gone, somebody complained), which whoever looks after
the list takes back; and because its reader wants no more (`unsubscribed`), which the reader takes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.contracts.messages import SuppressionReason
    from libs.events.database import Tx

# A reason that holds for good is not weakened by one with an end; whatever is known last is kept otherwise.
_ADD: Final = text("""
    INSERT INTO suppressions (id, mark, medium, reason, why, customer_id, message_id, until, added_at, added_by)
    SELECT id, mark, medium, reason, why, customer_id, message_id, until, :now, by
      FROM unnest(CAST(:ids AS uuid[]), CAST(:marks AS text[]), CAST(:mediums AS text[]), CAST(:reasons AS text[]),
                  CAST(:whys AS text[]), CAST(:customer_ids AS text[]), CAST(:message_ids AS uuid[]),
                  CAST(:untils AS timestamptz[]), CAST(:bys AS text[]))
           AS added (id, mark, medium, reason, why, customer_id, message_id, until, by)
     ORDER BY mark
    ON CONFLICT (mark, (reason = 'unsubscribed')) WHERE removed_at IS NULL DO UPDATE
       SET reason = excluded.reason, why = excluded.why, until = excluded.until, added_by = excluded.added_by,
           customer_id = coalesce(excluded.customer_id, suppressions.customer_id), message_id = excluded.message_id
     WHERE suppressions.until IS NOT NULL
 RETURNING id
""")
_REMOVE: Final = text("""
    UPDATE suppressions SET removed_at = :now, removed_by = :by, removed_why = :why
     WHERE id = :id AND removed_at IS NULL
""")
_COLUMNS: Final = """
    SELECT id, medium, reason, why, customer_id, message_id, until, added_at, added_by, removed_at, removed_by,
           removed_why
      FROM suppressions
"""
_ONE: Final = text(_COLUMNS + " WHERE id = :id")
_OF_MARK: Final = text(_COLUMNS + " WHERE mark = :mark ORDER BY added_at DESC LIMIT 100")
_LISTED: Final = text(
    _COLUMNS
    + """
     WHERE (removed_at IS NULL OR :removed) AND (reason = :reason OR CAST(:reason AS text) IS NULL)
       AND (customer_id = :customer_id OR CAST(:customer_id AS text) IS NULL)
       AND ((added_at, id) < (:before, CAST(:before_id AS uuid)) OR CAST(:before AS timestamptz) IS NULL)
     ORDER BY added_at DESC, id DESC
     LIMIT :limit
"""
)
_PRUNE_SOFT: Final = text("""
    DELETE FROM soft_bounces WHERE message_id IN (SELECT message_id FROM soft_bounces WHERE at < :before LIMIT 2000)
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """An address, by its mark, that is not to be written to: why, by whom it is said, and until when."""

    id: UUID
    mark: str
    medium: Literal["email", "phone"]
    reason: SuppressionReason
    why: str
    by: str
    customer_id: str | None = None
    message_id: UUID | None = None
    until: datetime | None = None


async def add(tx: Tx, addition: Addition) -> UUID | None:
    """Put an address on the list; the entry's id, None where a stronger one is there already."""
    added = await add_all(tx, [addition])
    return added[0] if added else None


async def add_all(tx: Tx, additions: Sequence[Addition]) -> list[UUID]:
    """Put addresses on the list, each once for either sort; the ids of the entries that this made or made stronger."""
    once = list({(each.mark, each.reason == "unsubscribed"): each for each in additions}.values())
    if not once:
        return []
    rows = await tx.fetch(
        _ADD,
        {
            "ids": [each.id for each in once],
            "marks": [each.mark for each in once],
            "mediums": [each.medium for each in once],
            "reasons": [each.reason for each in once],
            "whys": [each.why for each in once],
            "customer_ids": [each.customer_id for each in once],
            "message_ids": [each.message_id for each in once],
            "untils": [each.until for each in once],
            "bys": [each.by for each in once],
            "now": tx.now,
        },
    )
    return [row.id for row in rows]


async def remove(tx: Tx, id_: UUID, *, by: str, why: str) -> bool:
    """Take an address off the list; False where it is not on it."""
    return await tx.execute(_REMOVE, {"id": id_, "by": by, "why": why, "now": tx.now}) == 1


async def one(tx: Tx, id_: UUID) -> Row[Any] | None:
    """An entry of the list."""
    return await tx.fetch_one(_ONE, {"id": id_})


async def of_mark(tx: Tx, mark: str) -> Sequence[Row[Any]]:
    """What is and was known of one address, the newest first."""
    return await tx.fetch(_OF_MARK, {"mark": mark})


async def listed(
    tx: Tx,
    *,
    reason: str | None,
    customer_id: str | None,
    removed: bool,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Up to `limit` entries, the newest first, after the position `after`."""
    before, before_id = after or (None, None)
    return await tx.fetch(
        _LISTED,
        {
            "reason": reason,
            "customer_id": customer_id,
            "removed": removed,
            "before": before,
            "before_id": before_id,
            "limit": limit,
        },
    )


async def forget_soft(tx: Tx, *, older_than: timedelta) -> bool:
    """Forget what came back long ago; whether there may be more."""
    return await tx.execute(_PRUNE_SOFT, {"before": tx.now - older_than}) == 2000  # noqa: PLR2004 - as the statement says
