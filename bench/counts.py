"""Counts as ten million answers over two years leave them, without the answers."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final
from uuid import NAMESPACE_URL, uuid5

import asyncpg

from services.scoring.domain.cells import Cell

if TYPE_CHECKING:
    from datetime import date

    from libs.events.contracts.responses import Channel
    from libs.events.contracts.scores import Tier

TOUCHPOINTS: Final = tuple(f"touchpoint-{n}" for n in range(20))
TIERS: Final[tuple[Tier, ...]] = ("key", "high", "standard", "low")
CHANNELS: Final[tuple[Channel, ...]] = ("email", "phone", "sms")
REGIONS: Final = tuple(f"region-{n}" for n in range(10))
ANSWERS_A_DAY: Final = 13_700
"""Ten million in two years."""

_COLUMNS: Final = ("id", "counted_in", *Cell._fields)
# Of each score none or one in each cell on each day: 5.7 answers, in 2,400 cells 13,700 a day.
_DAYS: Final = """
    INSERT INTO day_counts
    SELECT 'both', id, CAST(day AS date),
           (random() * 1.04)::integer, (random() * 1.04)::integer, (random() * 1.04)::integer,
           (random() * 1.04)::integer, (random() * 1.04)::integer, (random() * 1.04)::integer,
           (random() * 1.04)::integer, (random() * 1.04)::integer, (random() * 1.04)::integer,
           (random() * 1.04)::integer, (random() * 1.04)::integer
      FROM generate_series($1::date, $2::date, interval '1 day') AS day, cells WHERE detail = 'both'
"""
_WIDER: Final = """
    INSERT INTO day_counts
    SELECT (ARRAY['tier', 'region', 'neither'])[wider.place], wider.cell, day,
           sum(s0), sum(s1), sum(s2), sum(s3), sum(s4), sum(s5), sum(s6), sum(s7), sum(s8), sum(s9), sum(s10)
      FROM day_counts JOIN cells ON cells.id = day_counts.cell
     CROSS JOIN unnest(cells.counted_in[2:4]) WITH ORDINALITY AS wider (cell, place)
     GROUP BY 1, 2, 3
     ORDER BY 3, 2
"""
_MONTHS: Final = """
    INSERT INTO month_counts
    SELECT detail, cell, CAST(date_trunc('month', day) AS date),
           sum(s0), sum(s1), sum(s2), sum(s3), sum(s4), sum(s5), sum(s6), sum(s7), sum(s8), sum(s9), sum(s10)
      FROM day_counts GROUP BY 1, 2, 3 ORDER BY 3, 2
"""
# Only of the days at whose hours a period begins or ends: no other answer is read.
_ANSWERS: Final = """
    INSERT INTO responses (id, revision, source, program, touchpoint, kind, metric, score, class_contradicted, tier,
                           tier_reason, instrument_id, instrument_version, answered_at, received_at, erased, scored_at,
                           cell)
    SELECT md5($1::date || '/' || n), 1, 'filled', program, touchpoint, kind, metric, n % 11, false, tier, 'filled',
           instrument_id, instrument_version, at, at, false, at, id
      FROM (SELECT n, CAST($1::date AS timestamptz) + n * interval '86400 seconds' / $2::integer AS at,
                   ($3::bigint[])[1 + n % cardinality($3::bigint[])] AS cell
              FROM generate_series(0, $2::integer - 1) AS n) AS answers
      JOIN cells ON cells.id = answers.cell
"""
# A thousand answers of a batch that was stored just now.
_TALLIES: Final = """
    INSERT INTO tallies (cells, days, scores, changes)
    SELECT array_agg(cells.cell), array_agg($2::date), array_agg(n % 11), array_agg(1)
      FROM generate_series(1, 5) AS tally, generate_series(1, 1000) AS n,
           LATERAL (SELECT ($1::bigint[])[1 + (tally * 1000 + n) % cardinality($1::bigint[])] AS cell) AS cells
     GROUP BY tally
"""


async def fill_counts(url: str, first: date, last: date, edges: tuple[date, ...]) -> int:
    """Fill cells and counts of these days, and the answers of `edges`; how many answers are counted."""
    finest = [
        Cell(
            f"program-{TOUCHPOINTS.index(touchpoint) % 4}",
            touchpoint,
            "transactional",
            "nps",
            0,
            10,
            higher_is_worse=False,
            instrument_id=uuid5(NAMESPACE_URL, touchpoint),
            instrument_version=1 + CHANNELS.index(channel),
            channel=channel,
            department=f"department-{TOUCHPOINTS.index(touchpoint) % 6}",
            tier=tier,
            region=region,
        )
        for touchpoint, tier, channel, region in product(TOUCHPOINTS, TIERS, CHANNELS, REGIONS)
    ]
    cells = {each.id: each for cell in finest for each in cell.counted_in}
    rows = [
        (id_, [each.id for each in cell.counted_in] if cell.detail == "both" else None, *cell)
        for id_, cell in cells.items()
    ]
    ids = [cell.id for cell in finest]
    connection = await asyncpg.connect(url, command_timeout=600)
    try:
        await connection.execute("SET synchronous_commit = off")  # filled again where it is lost
        await connection.copy_records_to_table("cells", records=rows, columns=_COLUMNS)
        await connection.execute(_DAYS, first, last)
        await connection.execute(_WIDER)
        await connection.execute(_MONTHS)
        for day in edges:
            await connection.execute(_ANSWERS, day, ANSWERS_A_DAY, ids)
        await connection.execute(_TALLIES, ids, last)
        await connection.execute("VACUUM (ANALYZE) cells, day_counts, month_counts, responses, tallies")
        counted = await connection.fetchval(
            "SELECT sum(s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9 + s10) FROM month_counts"
            " WHERE detail = 'neither'"
        )
    finally:
        await connection.close()
    return int(counted)
