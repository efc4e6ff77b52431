"""Counts made anew from the answers themselves, and put right where they differ: a month at a time, under full load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import text

if TYPE_CHECKING:
    from datetime import date

    from libs.events.database import Tx

_MONTHS: Final = text("""
    SELECT CAST(month AS date) AS month
      FROM (SELECT min(day) AS first, max(day) AS last
              FROM (SELECT min(day), max(day) FROM day_counts
                     UNION ALL
                    SELECT min(month), max(month) FROM month_counts
                     UNION ALL
                    SELECT CAST(min(answered_at) AT TIME ZONE 'UTC' AS date),
                           CAST(max(answered_at) AT TIME ZONE 'UTC' AS date)
                      FROM responses WHERE score BETWEEN 0 AND 10) AS known (first, last)
             CROSS JOIN LATERAL (VALUES (first), (last)) AS either (day)) AS period,
           generate_series(date_trunc('month', CAST(first AS timestamp)), CAST(last AS timestamp), interval '1 month')
               AS month
     ORDER BY month
""")
# Keeps folds out, and nobody else: whoever stores answers only notes what changed.
_ALONE: Final = text("LOCK TABLE day_counts, month_counts IN EXCLUSIVE MODE")
# What is counted is to be what was answered less what is not counted in yet. One statement sees all three as they were
# at one moment.
_DAYS: Final = text("""
    WITH there AS (
        SELECT (ARRAY['both', 'tier', 'region', 'neither'])[counted.place] AS detail, counted.cell, change.day,
               change.score, change.n
          FROM (SELECT cell, CAST(answered_at AT TIME ZONE 'UTC' AS date), score, count(*)
                  FROM responses
                 WHERE score BETWEEN 0 AND 10
                   AND answered_at >= CAST(:month AS date) AT TIME ZONE 'UTC'
                   AND answered_at < (CAST(:month AS date) + interval '1 month') AT TIME ZONE 'UTC'
                 GROUP BY 1, 2, 3
                 UNION ALL
                SELECT change.cell, change.day, change.score, -change.n
                  FROM tallies
                 CROSS JOIN unnest(tallies.cells, tallies.days, tallies.scores, tallies.changes)
                         AS change (cell, day, score, n)
                 WHERE change.day >= CAST(:month AS date)
                   AND change.day < CAST(:month AS date) + interval '1 month') AS change (cell, day, score, n)
          JOIN cells ON cells.id = change.cell
         CROSS JOIN unnest(cells.counted_in) WITH ORDINALITY AS counted (cell, place)
    ), missing AS (
        SELECT detail, cell, day,
               sum(s0) AS s0, sum(s1) AS s1, sum(s2) AS s2,
               sum(s3) AS s3, sum(s4) AS s4, sum(s5) AS s5,
               sum(s6) AS s6, sum(s7) AS s7, sum(s8) AS s8,
               sum(s9) AS s9, sum(s10) AS s10
          FROM (SELECT detail, cell, day,
               coalesce(sum(n) FILTER (WHERE score = 0), 0) AS s0,
               coalesce(sum(n) FILTER (WHERE score = 1), 0) AS s1,
               coalesce(sum(n) FILTER (WHERE score = 2), 0) AS s2,
               coalesce(sum(n) FILTER (WHERE score = 3), 0) AS s3,
               coalesce(sum(n) FILTER (WHERE score = 4), 0) AS s4,
               coalesce(sum(n) FILTER (WHERE score = 5), 0) AS s5,
               coalesce(sum(n) FILTER (WHERE score = 6), 0) AS s6,
               coalesce(sum(n) FILTER (WHERE score = 7), 0) AS s7,
               coalesce(sum(n) FILTER (WHERE score = 8), 0) AS s8,
               coalesce(sum(n) FILTER (WHERE score = 9), 0) AS s9,
               coalesce(sum(n) FILTER (WHERE score = 10), 0) AS s10
                  FROM there
                 GROUP BY 1, 2, 3
                 UNION ALL
                SELECT detail, cell, day, -s0, -s1, -s2, -s3, -s4, -s5, -s6, -s7, -s8, -s9, -s10
                  FROM day_counts
                 WHERE day >= CAST(:month AS date) AND day < CAST(:month AS date) + interval '1 month') AS both_sides
         GROUP BY 1, 2, 3
    )
    INSERT INTO day_counts AS known (detail, cell, day, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10)
    SELECT detail, cell, day, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10
      FROM missing
     WHERE (s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10) <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        ON CONFLICT (cell, day, detail) DO UPDATE
           SET s0 = known.s0 + excluded.s0, s1 = known.s1 + excluded.s1, s2 = known.s2 + excluded.s2,
               s3 = known.s3 + excluded.s3, s4 = known.s4 + excluded.s4, s5 = known.s5 + excluded.s5,
               s6 = known.s6 + excluded.s6, s7 = known.s7 + excluded.s7, s8 = known.s8 + excluded.s8,
               s9 = known.s9 + excluded.s9, s10 = known.s10 + excluded.s10
""")
_MONTH: Final = text("""
    WITH missing AS (
        SELECT detail, cell,
               sum(s0) AS s0, sum(s1) AS s1, sum(s2) AS s2,
               sum(s3) AS s3, sum(s4) AS s4, sum(s5) AS s5,
               sum(s6) AS s6, sum(s7) AS s7, sum(s8) AS s8,
               sum(s9) AS s9, sum(s10) AS s10
          FROM (SELECT detail, cell, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10
                  FROM day_counts
                 WHERE day >= CAST(:month AS date) AND day < CAST(:month AS date) + interval '1 month'
                 UNION ALL
                SELECT detail, cell, -s0, -s1, -s2, -s3, -s4, -s5, -s6, -s7, -s8, -s9, -s10
                  FROM month_counts
                 WHERE month = CAST(:month AS date)) AS both_sides
         GROUP BY 1, 2
    )
    INSERT INTO month_counts AS known (detail, cell, month, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10)
    SELECT detail, cell, CAST(:month AS date), s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10
      FROM missing
     WHERE (s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10) <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        ON CONFLICT (cell, month, detail) DO UPDATE
           SET s0 = known.s0 + excluded.s0, s1 = known.s1 + excluded.s1, s2 = known.s2 + excluded.s2,
               s3 = known.s3 + excluded.s3, s4 = known.s4 + excluded.s4, s5 = known.s5 + excluded.s5,
               s6 = known.s6 + excluded.s6, s7 = known.s7 + excluded.s7, s8 = known.s8 + excluded.s8,
               s9 = known.s9 + excluded.s9, s10 = known.s10 + excluded.s10
""")


async def months(tx: Tx) -> list[date]:
    """The months from the first answer, or count, to the last."""
    return [row.month for row in await tx.fetch(_MONTHS)]


async def recount(tx: Tx, month: date) -> int:
    """Put the counts of a month right; how many of a day or of the month were wrong."""
    await tx.execute(_ALONE)
    return await tx.execute(_DAYS, {"month": month}) + await tx.execute(_MONTH, {"month": month})
