"""Stored comments: read anew by another taxonomy, in the order of the responses' ids, and the latest of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from libs.events.contracts.scores import NpsClass, UrgentSignal
    from libs.events.database import Tx

# In the order in which batches of answers lock them, so that neither deadlocks with the other.
_CLAIM: Final = text("""
    SELECT id, comment, themes, urgent, cell, answered_at, nps_class
      FROM responses
     WHERE id > :after AND comment IS NOT NULL
     ORDER BY id
     LIMIT :limit
       FOR UPDATE
""")
_REPLACE: Final = text("""
    UPDATE responses
       SET themes = string_to_array(given.themes, ','), urgent = string_to_array(given.urgent, ',')
      FROM unnest(CAST(:ids AS text[]), CAST(:themes AS text[]), CAST(:urgent AS text[])) AS given (id, themes, urgent)
     WHERE responses.id = given.id
""")
_LATEST: Final = text("""
    SELECT id, comment, themes, urgent, customer_id, scored_at
      FROM responses
     WHERE comment IS NOT NULL AND scored_at > :since AND scored_at < :before
     ORDER BY scored_at DESC
     LIMIT :limit
""")


class Commented(NamedTuple):
    """A response with a comment, as far as reading it anew needs it."""

    id: str
    comment: str
    themes: Sequence[str]
    urgent: Sequence[UrgentSignal]
    cell: int
    answered_at: datetime
    nps_class: NpsClass | None


class Latest(NamedTuple):
    """A comment, and who wrote it, as far as is known."""

    id: str
    comment: str
    themes: Sequence[str]
    urgent: Sequence[UrgentSignal]
    customer_id: str | None
    scored_at: datetime


async def claim_after(tx: Tx, response_id: str, limit: int) -> list[Commented]:
    """The next responses with comments, held until the end of `tx`; "" begins."""
    return [Commented._make(row) for row in await tx.fetch(_CLAIM, {"after": response_id, "limit": limit})]


async def replace(tx: Tx, read: Sequence[Commented]) -> None:
    """Store the themes and urgent signals of these; the caller holds them."""
    columns: dict[str, Any] = {
        "ids": [each.id for each in read],
        # An array of arrays would need rows of one length. No id has a comma.
        "themes": [",".join(each.themes) for each in read],
        "urgent": [",".join(each.urgent) for each in read],
    }
    await tx.execute(_REPLACE, columns)


async def latest(tx: Tx, limit: int, *, since: datetime, before: datetime) -> list[Latest]:
    """The comments that came last between these moments, the newest first."""
    rows = await tx.fetch(_LATEST, {"limit": limit, "since": since, "before": before})
    return [Latest._make(row) for row in rows]
