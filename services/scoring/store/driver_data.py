"""The answers whose differences are to be explained, and what their customers are worth."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import text

from services.scoring.domain.drivers import EFFORT_DAYS, SAMPLE, Pattern, Scope, Stake

if TYPE_CHECKING:
    from libs.events.database import Tx

_COUNT: Final = text("""
    SELECT count(*) AS answers
      FROM responses
     WHERE cell = ANY(ARRAY(SELECT id FROM cells
                             WHERE detail = 'both' AND program = :program AND kind = :kind AND metric = 'nps'))
       AND nps_class IS NOT NULL AND score BETWEEN 0 AND 10 AND answered_at >= :since AND answered_at < :until
""")
# The hash of an id has nothing to do with what was answered, and draws the same sample whenever it is asked.
_PATTERNS: Final = text("""
    WITH sample AS (
        SELECT id, cell, nps_class, themes, customer_id, answered_at
          FROM responses
         WHERE cell = ANY(ARRAY(SELECT id FROM cells
                                 WHERE detail = 'both' AND program = :program AND kind = :kind AND metric = 'nps'))
           AND nps_class IS NOT NULL AND score BETWEEN 0 AND 10 AND answered_at >= :since AND answered_at < :until
         ORDER BY hashtextextended(id, 0), id
         LIMIT :sample
    )
    SELECT sample.nps_class, place.touchpoint, place.channel, place.tier, place.region, sample.themes, told.effort,
           count(*) AS n
      FROM sample
      JOIN cells AS place ON place.id = sample.cell
      LEFT JOIN LATERAL (
            SELECT CAST(round(100.0 * CASE WHEN scale.higher_is_worse THEN other.score - scale.scale_min
                                           ELSE scale.scale_max - other.score END
                              / (scale.scale_max - scale.scale_min)) AS integer) AS effort
              FROM responses AS other
              JOIN cells AS scale ON scale.id = other.cell
             WHERE other.customer_id = sample.customer_id AND other.metric = 'ces' AND other.score IS NOT NULL
               AND scale.scale_min < scale.scale_max
               AND other.answered_at BETWEEN sample.answered_at - CAST(:window AS interval) AND sample.answered_at
             ORDER BY other.answered_at DESC, other.id
             LIMIT 1) AS told ON true
     GROUP BY sample.nps_class, place.touchpoint, place.channel, place.tier, place.region, sample.themes, told.effort
""")
# Each customer counts once for each thing, however often they said it.
_STAKES: Final = text("""
    SELECT unhappy.factor, unhappy.name, count(*) AS customers, count(customers.current_value) AS valued,
           coalesce(sum(customers.current_value), 0) AS current_value
      FROM (SELECT DISTINCT of.factor, of.name, customer_id
              FROM responses
              JOIN cells AS place
                ON place.id = responses.cell AND place.detail = 'both' AND place.program = :program
               AND place.kind = :kind AND place.metric = 'nps'
             CROSS JOIN LATERAL (SELECT 'touchpoint', coalesce(place.touchpoint, '?')
                                  UNION ALL
                                 SELECT 'channel', place.channel
                                  UNION ALL
                                 SELECT 'region', coalesce(place.region, '?')
                                  UNION ALL
                                 SELECT 'theme', theme FROM unnest(responses.themes) AS said (theme))
                   AS of (factor, name)
             WHERE nps_class IN ('detractor', 'passive') AND score BETWEEN 0 AND 10
               AND answered_at >= :since AND answered_at < :until AND customer_id IS NOT NULL) AS unhappy
      LEFT JOIN customers ON customers.id = unhappy.customer_id
     GROUP BY unhappy.factor, unhappy.name
""")


class Data(NamedTuple):
    """What a run computes from."""

    answers: int
    """How many there are in the period; the patterns hold a sample where these are too many."""
    patterns: list[Pattern]
    stakes: dict[tuple[str, str], Stake]
    """By factor and level."""


async def read(tx: Tx, scope: Scope) -> Data:
    """All that is needed about these answers."""
    period: dict[str, Any] = scope._asdict()
    (counted,) = await tx.fetch(_COUNT, period)
    rows = await tx.fetch(_PATTERNS, period | {"sample": SAMPLE, "window": timedelta(days=EFFORT_DAYS)})
    patterns = [
        Pattern(row.nps_class, row.touchpoint, row.channel, row.tier, row.region, tuple(row.themes), row.effort, row.n)
        for row in rows
    ]
    stakes = {
        (row.factor, row.name): Stake(row.customers, row.valued, row.current_value)
        for row in await tx.fetch(_STAKES, period)
    }
    return Data(counted.answers, patterns, stakes)
