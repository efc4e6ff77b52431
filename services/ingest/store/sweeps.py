"""Contents that are not kept any more: of erased customers, and of deliveries older than their source keeps them.

What stays of a delivery is its row: id, key, hash and status. So it is still known when it comes again, and is no new
response. Both sweeps go through the deliveries a slice at a time, in the order of their ids, which is that of time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from sqlalchemy import text

from services.ingest.domain.deliveries import ERASED
from services.ingest.store.reasons import stored

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from libs.events.database import Tx

SLICE: Final = 5_000
_FIRST: Final = UUID(int=0)

_BEGIN: Final = text("""
    INSERT INTO erasures (customer_id, erased_at)
    SELECT customer_id, erased_at
      FROM unnest(CAST(:customers AS text[]), CAST(:times AS timestamptz[])) AS erased (customer_id, erased_at)
        ON CONFLICT (customer_id) DO UPDATE
       SET erased_at = greatest(erasures.erased_at, excluded.erased_at), response_ids = NULL, swept_to = NULL,
           swept_at = NULL
""")

_NEXT: Final = text("""
    SELECT customer_id, response_ids, swept_to
      FROM erasures
     WHERE swept_at IS NULL
     ORDER BY erased_at
     LIMIT 1
       FOR UPDATE SKIP LOCKED
""")

# One pass over the responses, whose rows are small; the ids are kept for the passes over the deliveries.
_FIND: Final = text("""
    WITH forgotten AS (
        UPDATE responses SET customer_id = NULL, told = NULL, erased = true
         WHERE customer_id = :customer
        RETURNING id
    )
    UPDATE erasures
       SET response_ids = ARRAY(SELECT id FROM forgotten), swept_to = :first
     WHERE customer_id = :customer
""")

# Before version 18 PostgreSQL knows no greatest of ids; their texts have the same order.
_SLICE: Final = text("""
    SELECT max(CAST(id AS text)) AS last
      FROM (SELECT id FROM deliveries WHERE id > :after ORDER BY id LIMIT :limit) AS slice
""")

# What was not understood belongs to nobody known: there the customer's id is looked for in the text itself.
_EMPTY_OF_CUSTOMER: Final = text("""
    UPDATE deliveries
       SET body = '', headers = '{}', reason = :erased, why = CAST(:why AS jsonb)
     WHERE id > :after AND id <= :last
       AND (response_id = ANY(CAST(:responses AS uuid[]))
            OR (response_id IS NULL AND position(CAST(:quoted AS bytea) IN body) > 0))
""")

_SWEPT_TO: Final = text("UPDATE erasures SET swept_to = :last WHERE customer_id = :customer")
# Whose it was need not be remembered when nothing is left; that there was an erasure is in the stream.
_SWEPT: Final = text("DELETE FROM erasures WHERE customer_id = :customer")

_OLD_SOURCES: Final = text("""
    SELECT name, coalesce(keep_days, :keep_days) AS keep_days, coalesce(swept_to, :first) AS swept_to
      FROM sources LEFT JOIN retention ON retention.source = sources.name
     ORDER BY name
""")

_OLD: Final = text("""
    SELECT max(CAST(id AS text)) AS last
      FROM (SELECT id FROM deliveries WHERE source = :source AND id > :after AND id < :before ORDER BY id LIMIT :limit)
           AS slice
""")

_EMPTY_OLD: Final = text("""
    UPDATE deliveries SET body = '', headers = '{}'
     WHERE source = :source AND id > :after AND id <= :last AND body <> ''
""")

_KEPT_TO: Final = text("""
    INSERT INTO retention (source, swept_to) VALUES (:source, :last)
        ON CONFLICT (source) DO UPDATE SET swept_to = excluded.swept_to
""")


async def begin_erasures(tx: Tx, erased_at: Mapping[str, datetime]) -> None:
    """Note customers who are to be forgotten; a further erasure of the same one begins anew."""
    await tx.execute(_BEGIN, {"customers": list(erased_at), "times": list(erased_at.values())})


async def sweep_erased(tx: Tx) -> bool:
    """Take the next step of the oldest erasure; whether there was one."""
    row = await tx.fetch_one(_NEXT)
    if row is None:
        return False
    if row.swept_to is None:
        await tx.execute(_FIND, {"customer": row.customer_id, "first": _FIRST})
        return True
    slice_ = await tx.fetch_one(_SLICE, {"after": row.swept_to, "limit": SLICE})
    if slice_ is None or slice_.last is None:
        await tx.execute(_SWEPT, {"customer": row.customer_id})
        return True
    last = UUID(slice_.last)
    await tx.execute(
        _EMPTY_OF_CUSTOMER,
        {
            "after": row.swept_to,
            "last": last,
            "responses": row.response_ids,
            "erased": ERASED,
            "why": stored(ERASED),
            "quoted": f'"{row.customer_id}"'.encode(),
        },
    )
    await tx.execute(_SWEPT_TO, {"customer": row.customer_id, "last": last})
    return True


async def kept_days(tx: Tx, *, default: int) -> list[tuple[str, int, UUID]]:
    """Each source with how many days its contents are kept, and up to which delivery that is already so."""
    rows = await tx.fetch(_OLD_SOURCES, {"keep_days": default, "first": _FIRST})
    return [(row.name, row.keep_days, row.swept_to) for row in rows]


async def sweep_old(tx: Tx, source: str, *, after: UUID, before: UUID) -> UUID | None:
    """Empty a slice of the deliveries of `source` between two ids; how far that went, None when all are done."""
    slice_ = await tx.fetch_one(_OLD, {"source": source, "after": after, "before": before, "limit": SLICE})
    if slice_ is None or slice_.last is None:
        return None
    last = UUID(slice_.last)
    await tx.execute(_EMPTY_OLD, {"source": source, "after": after, "last": last})
    await tx.execute(_KEPT_TO, {"source": source, "last": last})
    return last
