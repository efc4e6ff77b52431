"""Suggested themes: found anew by each search, and kept when a person has decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.scoring.domain.comments.suggestions import Suggestion
    from services.scoring.domain.comments.taxonomy import Language

_NAMESPACE: Final = UUID("5b0e6f0e-7a4c-4d52-9d0b-0c2a4f7a7a55")

# Counted as far as it matters: at the limit it is enough.
_DUE: Final = text("""
    SELECT searches.searched_at, fresh.comments >= :enough OR (fresh.comments > 0 AND searched_at <= :daily) AS due
      FROM theme_searches AS searches
     CROSS JOIN LATERAL (
         SELECT count(*) AS comments
           FROM (SELECT FROM responses
                  WHERE comment IS NOT NULL AND scored_at > searches.searched_at AND themes = '{}'
                  LIMIT :enough) AS counted
     ) AS fresh
     WHERE searches.not_before <= :now
""")
_CLAIM: Final = text("""
    UPDATE theme_searches SET not_before = :again
     WHERE alone AND alone = (SELECT alone FROM theme_searches WHERE not_before <= :now FOR UPDATE SKIP LOCKED)
""")
_FINISH: Final = text("UPDATE theme_searches SET searched_at = :searched_at, not_before = :not_before WHERE alone")
_FORGET_OPEN: Final = text("DELETE FROM theme_suggestions WHERE status = 'open'")
# What somebody has decided about is not asked again.
_KEEP: Final = text("""
    INSERT INTO theme_suggestions (id, language, stems, phrase, comments, likelihood, examples, found_at, status)
    SELECT id, language, stems, phrase, comments, likelihood, string_to_array(examples, chr(31)), :now, 'open'
      FROM unnest(CAST(:ids AS uuid[]), CAST(:languages AS text[]), CAST(:stems AS text[]), CAST(:phrases AS text[]),
                  CAST(:comments AS integer[]), CAST(:likelihoods AS float8[]), CAST(:examples AS text[]))
           AS given (id, language, stems, phrase, comments, likelihood, examples)
        ON CONFLICT (language, stems) DO NOTHING
""")
_OPEN: Final = text("""
    SELECT id, language, phrase, comments, likelihood, examples, found_at
      FROM theme_suggestions
     WHERE status = 'open'
     ORDER BY likelihood DESC, id
     LIMIT :limit
""")
_EXAMPLES: Final = text("""
    SELECT id, comment FROM responses WHERE id = ANY(CAST(:ids AS text[])) AND comment IS NOT NULL
""")
_LOCK: Final = text("""
    SELECT id, language, phrase, comments, likelihood, examples, found_at, status
      FROM theme_suggestions WHERE id = :id
       FOR UPDATE
""")
_DECIDE: Final = text("""
    UPDATE theme_suggestions
       SET status = :status, theme = :theme, decided_at = :now, decided_by = :decided_by, examples = '{}'
     WHERE id = :id
""")


@dataclass(frozen=True, slots=True)
class Suggested:
    """A phrase that could be a theme."""

    id: UUID
    language: Language
    phrase: str
    comments: int
    likelihood: float
    examples: Sequence[str]
    """Ids of responses."""
    found_at: datetime


async def due(tx: Tx, *, enough: int, daily: datetime) -> bool:
    """Whether comments have to be looked through: a day later, or when there are `enough` new ones without a theme."""
    row = await tx.fetch_one(_DUE, {"now": tx.now, "enough": enough, "daily": daily})
    return row is not None and bool(row.due)


async def claim(tx: Tx, lease: timedelta) -> bool:
    """Whether the search is ours; if we do not finish, somebody else may begin after `lease`."""
    return await tx.execute(_CLAIM, {"now": tx.now, "again": tx.now + lease}) == 1


async def finish(tx: Tx, found: Sequence[Suggestion], *, searched_at: datetime, rest: timedelta) -> None:
    """Keep what was found instead of what nobody decided about; the next search comes after `rest` at the earliest."""
    await tx.execute(_FORGET_OPEN)
    await tx.execute(
        _KEEP,
        {
            "ids": [uuid5(_NAMESPACE, f"{each.language}/{each.stems}") for each in found],
            "languages": [each.language for each in found],
            "stems": [each.stems for each in found],
            "phrases": [each.phrase for each in found],
            "comments": [each.comments for each in found],
            "likelihoods": [each.likelihood for each in found],
            # An array of arrays would need rows of one length; an id has no control characters that matter to anybody.
            "examples": ["\x1f".join(each.examples) for each in found],
            "now": tx.now,
        },
    )
    await tx.execute(_FINISH, {"searched_at": searched_at, "not_before": tx.now + rest})


async def undecided(tx: Tx, limit: int) -> list[Suggested]:
    """What nobody has decided about, the most surprising first."""
    return [_suggested(row) for row in await tx.fetch(_OPEN, {"limit": limit})]


async def examples(tx: Tx, ids: Sequence[str]) -> dict[str, str]:
    """The comments of those of these responses that have one still."""
    rows = await tx.fetch(_EXAMPLES, {"ids": list(ids)}) if ids else ()
    return {row.id: row.comment for row in rows}


async def lock(tx: Tx, suggestion_id: UUID) -> tuple[Suggested, str] | None:
    """The suggestion and its status, held until the end of `tx`."""
    row = await tx.fetch_one(_LOCK, {"id": suggestion_id})
    return None if row is None else (_suggested(row), row.status)


async def decide(tx: Tx, suggestion_id: UUID, *, status: str, theme: str | None, decided_by: str) -> None:
    """Keep what somebody decided; the caller holds it."""
    parameters = {"id": suggestion_id, "status": status, "theme": theme, "now": tx.now, "decided_by": decided_by}
    await tx.execute(_DECIDE, parameters)


def _suggested(row: Row[Any]) -> Suggested:
    return Suggested(row.id, row.language, row.phrase, row.comments, row.likelihood, row.examples, row.found_at)
