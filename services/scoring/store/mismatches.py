"""Responses whose vendor claims another class than the score has, counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Row

    from libs.events.database import Tx

MOST: Final = 200
EXAMPLES: Final = 5

# Found by the index `responses_contradicted`, which holds nothing else.
_COUNT: Final = text("""
    SELECT source, claimed_class, nps_class, count(*) AS n, max(answered_at) AS last_answered_at,
           (array_agg(id ORDER BY answered_at DESC, id))[1:CAST(:examples AS integer)] AS examples,
           CAST(sum(count(*)) OVER () AS bigint) AS all_of_them
      FROM responses
     WHERE class_contradicted
       AND (CAST(:source AS text) IS NULL OR source = :source)
       AND (CAST(:since AS timestamptz) IS NULL OR answered_at >= :since)
       AND (CAST(:until AS timestamptz) IS NULL OR answered_at < :until)
     GROUP BY source, claimed_class, nps_class
     ORDER BY n DESC, source, claimed_class, nps_class
     LIMIT :most
""")


class Mismatches(NamedTuple):
    """The most frequent combinations, and how many responses there are in all."""

    n: int
    items: Sequence[Row[Any]]


async def count(tx: Tx, *, source: str | None, since: datetime | None, until: datetime | None) -> Mismatches:
    """By source, claimed class and computed class."""
    rows = await tx.fetch(
        _COUNT, {"source": source, "since": since, "until": until, "examples": EXAMPLES, "most": MOST}
    )
    return Mismatches(rows[0].all_of_them if rows else 0, rows)
