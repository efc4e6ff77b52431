"""What scoring does about comments by itself: reads stored ones anew, counts their themes, looks for new ones."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from libs.events.crashpoint import crashpoint
from services.scoring.domain.cells import Tally
from services.scoring.domain.comments.suggestions import Written, suggestions
from services.scoring.store import comments, counts, locks, theme_counts, theme_suggestions, themes

if TYPE_CHECKING:
    from libs.events.database import Database

log: Final = structlog.get_logger()

COMMENTS_AT_ONCE: Final = 500
TALLIES_AT_ONCE: Final = 50
"""Of one transaction each, with up to a thousand answers."""
ENOUGH_NEW: Final = 200
"""Comments without a theme; with fewer of them, themes are looked for once a day."""
EVERY: Final = timedelta(days=1)
REST: Final = timedelta(hours=1)
"""Between two searches, however many new comments there are."""
LEASE: Final = timedelta(minutes=10)
LOOKED_BACK: Final = timedelta(days=90)
MOST_LOOKED_AT: Final = 10_000
_PAGE: Final = 1000


async def read_anew(database: Database) -> bool:
    """Read the next stored comments by the taxonomy in force; whether there may be more.

    A retired theme stays where it was told: it is given no longer, but what was said was said. Nobody is told of the
    change (docs/decisions/0015-themes.md says why).
    """
    async with database.reading() as tx:
        if not await themes.any_unread(tx):
            return False
    async with database.transaction() as tx:
        await locks.storing_answers(tx)
        claimed = await themes.claim_unread(tx)
        if claimed is None:
            return False
        in_force, reader = claimed
        if in_force.comments_to_read is None:
            await themes.count_to_read(tx, in_force.version)
        batch = await comments.claim_after(tx, in_force.read_up_to or "", COMMENTS_AT_ONCE)
        tally = Tally()
        changed = []
        for before in batch:
            understood = reader.read(before.comment, "known")
            kept = tuple(theme for theme in before.themes if theme in in_force.taxonomy.retired)
            after = before._replace(themes=(*understood.themes, *kept), urgent=understood.urgent)
            if (list(after.themes), list(after.urgent)) != (list(before.themes), list(before.urgent)):
                tally.mention(before.themes, before.cell, before.answered_at, before.nps_class, -1)
                tally.mention(after.themes, after.cell, after.answered_at, after.nps_class)
                changed.append(after)
        if changed:
            await comments.replace(tx, changed)
            await counts.note(tx, tally)
        more = len(batch) == COMMENTS_AT_ONCE
        await themes.note_read(tx, in_force.version, batch[-1].id if more else None, len(batch))
        crashpoint("scoring.comments.before_commit")
    crashpoint("scoring.comments.after_commit")
    log.info("comments.read_anew", themes_version=in_force.version, comments=len(batch), changed=len(changed))
    return more


async def fold_mentions(database: Database) -> bool:
    """Count in which themes were mentioned since the last time; whether there may be more."""
    async with database.transaction() as tx:
        folded = await theme_counts.fold(tx, TALLIES_AT_ONCE)
        if folded:
            crashpoint("scoring.mentions.before_commit")
    return folded == TALLIES_AT_ONCE


async def suggest_themes(database: Database) -> bool:
    """Look through the latest comments for themes that there are not, where it is time for it. Never more at once."""
    async with database.reading() as tx:
        if not await theme_suggestions.due(tx, enough=ENOUGH_NEW, daily=tx.now - EVERY):
            return False
    async with database.transaction() as tx:
        if not await theme_suggestions.claim(tx, LEASE):
            return False
        begun_at = tx.now
    unmatched: list[Written] = []
    matched: list[str] = []
    before = begun_at
    while len(unmatched) + len(matched) < MOST_LOOKED_AT:
        async with database.reading() as tx:
            page = await comments.latest(tx, _PAGE, since=begun_at - LOOKED_BACK, before=before)
        for each in page:
            if each.themes:
                matched.append(each.comment)
            else:
                unmatched.append(Written(each.id, each.customer_id or each.id, each.comment))
        if len(page) < _PAGE:
            break
        before = page[-1].scored_at  # those of the same moment that are not on the page are not missed among thousands
    # Seconds of counting: in a thread, where it does not keep others from their work.
    found = await asyncio.to_thread(suggestions, unmatched, matched)
    async with database.transaction() as tx:
        await theme_suggestions.finish(tx, found, searched_at=begun_at, rest=REST)
        crashpoint("scoring.suggestions.before_commit")
    log.info("themes.suggested", without_theme=len(unmatched), with_theme=len(matched), suggestions=len(found))
    return False
