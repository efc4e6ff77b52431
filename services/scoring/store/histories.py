"""What customers said before: earlier answers as detractors, and how much effort they told of."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import text

from services.scoring.domain.priority import HISTORY_DAYS
from services.scoring.domain.scales import effort

if TYPE_CHECKING:
    from collections.abc import Sequence

    from libs.events.database import Tx
    from services.scoring.store.responses import ResponseRow

_LATEST: Final = 50
"""How many answers of one customer are looked at: an id that thousands share is no person."""

# Walks the index `responses_by_customer` from its newest end, as far as the window goes.
_BEFORE: Final = text("""
    SELECT given.id, other.nps_class = 'detractor' AND other.answered_at < given.answered_at AS earlier, other.metric,
           other.score, asked.scale_min, asked.scale_max, asked.higher_is_worse
      FROM unnest(CAST(:ids AS text[]), CAST(:customer_ids AS text[]), CAST(:answered_ats AS timestamptz[]))
           AS given (id, customer_id, answered_at)
     CROSS JOIN LATERAL (SELECT id, metric, score, nps_class, answered_at, instrument_id, instrument_version
                           FROM responses
                          WHERE customer_id = given.customer_id
                            AND answered_at >= given.answered_at - CAST(:window AS interval)
                          ORDER BY customer_id, answered_at DESC
                          LIMIT :latest) AS other
      LEFT JOIN instrument_versions AS asked
             ON other.metric = 'ces' AND asked.instrument_id = other.instrument_id
            AND asked.version = other.instrument_version
     WHERE other.id <> given.id AND other.score IS NOT NULL
       AND (other.metric = 'ces' OR other.nps_class = 'detractor')
     ORDER BY given.id, other.answered_at DESC, other.id
""")


class History(NamedTuple):
    """Of one answer's customer. `effort` is in percent of the most that its scale can tell of."""

    earlier: int
    effort: int | None


NOTHING: Final = History(0, None)


async def before(tx: Tx, rows: Sequence[ResponseRow]) -> dict[str, History]:
    """What the customers of these answers, all known, said besides; nothing of those who said nothing.

    Only within `HISTORY_DAYS` before each answer. An effort told later counts too: it is what is known now.
    """
    found = await tx.fetch(
        _BEFORE,
        {
            "ids": [row.id for row in rows],
            "customer_ids": [row.customer_id for row in rows],
            "answered_ats": [row.answered_at for row in rows],
            "window": timedelta(days=HISTORY_DAYS),
            "latest": _LATEST,
        },
    )
    histories: dict[str, History] = {}
    for row in found:
        known = histories.get(row.id, NOTHING)
        if row.metric == "ces":
            if known.effort is None:
                share = effort(
                    row.score, lowest=row.scale_min, highest=row.scale_max, higher_is_worse=row.higher_is_worse
                )
                known = known._replace(effort=round(100 * share))
        elif row.earlier:
            known = known._replace(earlier=known.earlier + 1)
        histories[row.id] = known
    return histories
