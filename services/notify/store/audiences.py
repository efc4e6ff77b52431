"""Audiences: who is meant, counted for a preview, and frozen when a campaign starts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from services.notify.domain.campaigns import Customers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from libs.events.database import Tx
    from services.notify.domain.campaigns import Audience, CampaignId, Side

# Who is meant is said once, by a function of the database.
_COUNT: Final = text("""
    SELECT side, held, language, count(*) AS people
      FROM audience(CAST(:which AS text), CAST(:themes AS text[]), CAST(:root_causes AS text[]),
                    CAST(:programs AS text[]), :since, :until, CAST(:tiers AS text[]), CAST(:lists AS text[]))
     GROUP BY 1, 2, 3
     ORDER BY 1, 2 NULLS FIRST, 3
""")
# Of a million people each is looked up where the planner takes them for a few hundred, as it does.
_IN_SETS: Final = text("SET LOCAL enable_nestloop = off")
# Those who told us last come first: they wait for it.
_FREEZE: Final = text("""
    INSERT INTO campaign_recipients (campaign_id, position, recipient, side, customer_id, answered_at, name, email,
                                     email_mark, language)
    SELECT :campaign_id, row_number() OVER (ORDER BY answered_at DESC NULLS LAST, recipient), recipient, side,
           customer_id, answered_at, name, email, email_mark, CASE WHEN side <> 'customers' THEN language END
      FROM audience(CAST(:which AS text), CAST(:themes AS text[]), CAST(:root_causes AS text[]),
                    CAST(:programs AS text[]), :since, :until, CAST(:tiers AS text[]), CAST(:lists AS text[]))
""")
_KNOWN_LISTS: Final = text("SELECT list_id FROM lists WHERE list_id = ANY(CAST(:lists AS text[]))")

_PATIENCE_S: Final = 50.0
"""A million people take a third of it on two cores; a loop that is longer at one step counts as stuck (60 s)."""
_EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Group:
    """So many people of an audience: on which side, in which language, and why they would not be written to."""

    side: Side
    language: str | None
    """None where nobody knows it."""
    held: str | None
    people: int


async def count(tx: Tx, audience: Audience) -> list[Group]:
    """How many are meant, and how many of them would be held back, by what is known now."""
    rows = await tx.fetch(_COUNT, _parameters(audience))
    return [Group(row.side, row.language, row.held, row.people) for row in rows]


async def freeze(tx: Tx, campaign_id: CampaignId, audience: Audience) -> int:
    """Write down who is meant at this moment; how many they are."""
    await tx.execute(_IN_SETS)
    return await tx.execute(_FREEZE, {"campaign_id": campaign_id, **_parameters(audience)}, patience_s=_PATIENCE_S)


async def unknown_lists(tx: Tx, audience: Audience) -> Sequence[str]:
    """Those of its lists that there are not."""
    known = {row.list_id for row in await tx.fetch(_KNOWN_LISTS, {"lists": list(audience.lists)})}
    return [each for each in audience.lists if each not in known]


def _parameters(audience: Audience) -> dict[str, Any]:
    wanted = audience.customers or Customers(which="raised")  # without themes and causes: nobody
    return {
        "which": wanted.which,
        "themes": list(wanted.themes),
        "root_causes": list(wanted.root_causes),
        "programs": list(wanted.programs),
        "since": wanted.since or _EARLIEST,
        "until": wanted.until or _LATEST,
        "tiers": list(wanted.tiers),
        "lists": list(audience.lists),
    }
