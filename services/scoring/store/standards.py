"""What answers are scored by, read at once for a batch: the segment rules and the taxonomy of comments in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import text

from services.scoring.store import rules, themes

if TYPE_CHECKING:
    from libs.events.database import Tx
    from services.scoring.domain.comments.reading import Reader
    from services.scoring.domain.segments import Rules

# The function takes the lock `locks.storing_answers` and reads the taxonomy then, not as this statement found it.
_IN_FORCE: Final = text("""
    SELECT rules, cuts, themes_under_lock() AS themes, EXISTS (SELECT FROM invitations) AS anybody_invited
      FROM (SELECT CAST(document AS text) AS rules, CAST(cuts AS text) AS cuts
              FROM segment_valuations AS valuations
              JOIN segment_rules AS rules ON rules.version = valuations.rules_version
             ORDER BY valuations.version DESC
             LIMIT 1) AS latest
""")


class Standards(NamedTuple):
    """The rules that make tiers, and the taxonomy, ready for reading comments."""

    rules: Rules
    reader: Reader
    anybody_invited: bool
    """Told along: invitations are looked for only where there are any."""


async def for_answers(tx: Tx) -> Standards:
    """Those in force, under the lock `locks.storing_answers`: one statement for each batch."""
    (row,) = await tx.fetch(_IN_FORCE)
    return Standards(rules.read(row.rules, row.cuts), themes.reader_of(row.themes), row.anybody_invited)
