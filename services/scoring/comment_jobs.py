"""What scoring does about comments by itself: reads the stored ones by a new taxonomy, and counts their themes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from services.scoring.domain.cells import Tally
from services.scoring.store import comments, counts, locks, theme_counts, themes

if TYPE_CHECKING:
    from libs.events.database import Database

log: Final = structlog.get_logger()

COMMENTS_AT_ONCE: Final = 500
TALLIES_AT_ONCE: Final = 50
"""Of one transaction each, with up to a thousand answers."""


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
        await themes.note_read(tx, in_force.version, batch[-1].id if more else None)
    log.info("comments.read_anew", themes_version=in_force.version, comments=len(batch), changed=len(changed))
    return more


async def fold_mentions(database: Database) -> bool:
    """Count in which themes were mentioned since the last time; whether there may be more."""
    async with database.transaction() as tx:
        return await theme_counts.fold(tx, TALLIES_AT_ONCE) == TALLIES_AT_ONCE
