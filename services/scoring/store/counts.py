"""Counts of answers by cell, day and score: what changed is noted at once, and counted in a little later by a loop.

    a transaction that stores answers ──▶ tallies ──fold──▶ day_counts, month_counts

Whoever reads adds what is in `tallies` still, in the same statement, so numbers are exact at every moment. Counting at
once would make all transactions wait for each other at the rows of the day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from services.scoring.domain.cells import Cell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from libs.events.database import Tx
    from services.scoring.domain.cells import Tally

# Nothing is noted where nothing changed; an answer without a score has a cell all the same.
_NOTE: Final = text("""
    WITH noted AS (
        INSERT INTO tallies (cells, days, scores, changes)
        SELECT CAST(:cells AS bigint[]), CAST(:days AS date[]), CAST(:scores AS smallint[]),
               CAST(:changes AS integer[])
         WHERE cardinality(CAST(:cells AS bigint[])) > 0
    ), mentioned AS (
        INSERT INTO theme_tallies (themes, cells, days, classes, changes)
        SELECT CAST(:themes AS text[]), CAST(:theme_cells AS bigint[]), CAST(:theme_days AS date[]),
               CAST(:classes AS smallint[]), CAST(:theme_changes AS integer[])
         WHERE cardinality(CAST(:themes AS text[])) > 0
    )
    SELECT id FROM unnest(CAST(:stored AS bigint[])) AS stored (id)
     WHERE NOT EXISTS (SELECT FROM cells WHERE cells.id = stored.id)
""")
_REGISTER: Final = text("""
    INSERT INTO cells (id, detail, counted_in, program, touchpoint, kind, metric, scale_min, scale_max, instrument_id,
                       instrument_version, channel, higher_is_worse, department, tier, region)
    SELECT id, detail, CAST(counted_in AS bigint[]), program, touchpoint, kind, metric, scale_min, scale_max,
           instrument_id, instrument_version, channel, higher_is_worse, department, tier, region
      FROM unnest(CAST(:id AS bigint[]), CAST(:detail AS text[]), CAST(:counted_in AS text[]),
                  CAST(:program AS text[]), CAST(:touchpoint AS text[]), CAST(:kind AS text[]),
                  CAST(:metric AS text[]), CAST(:scale_min AS integer[]), CAST(:scale_max AS integer[]),
                  CAST(:instrument_id AS uuid[]), CAST(:instrument_version AS integer[]), CAST(:channel AS text[]),
                  CAST(:higher_is_worse AS boolean[]), CAST(:department AS text[]), CAST(:tier AS text[]),
                  CAST(:region AS text[]))
           AS given (id, detail, counted_in, program, touchpoint, kind, metric, scale_min, scale_max, instrument_id,
                     instrument_version, channel, higher_is_worse, department, tier, region)
     ORDER BY id
        ON CONFLICT (id) DO NOTHING
""")
_ALONE: Final = text("SELECT pg_try_advisory_xact_lock(hashtextextended('scoring.fold', 0)) AS alone")
# In one order, though only one folds at a time: a recount that waits for these rows must not deadlock with it.
_FOLD: Final = text("""
    WITH taken AS (
        DELETE FROM tallies WHERE id IN (SELECT id FROM tallies ORDER BY id LIMIT :limit)
        RETURNING cells, days, scores, changes
    ), changed AS (
        SELECT (ARRAY['both', 'tier', 'region', 'neither'])[counted.place] AS detail, counted.cell, change.day,
               sum(change) FILTER (WHERE score = 0) AS s0, sum(change) FILTER (WHERE score = 1) AS s1,
               sum(change) FILTER (WHERE score = 2) AS s2, sum(change) FILTER (WHERE score = 3) AS s3,
               sum(change) FILTER (WHERE score = 4) AS s4, sum(change) FILTER (WHERE score = 5) AS s5,
               sum(change) FILTER (WHERE score = 6) AS s6, sum(change) FILTER (WHERE score = 7) AS s7,
               sum(change) FILTER (WHERE score = 8) AS s8, sum(change) FILTER (WHERE score = 9) AS s9,
               sum(change) FILTER (WHERE score = 10) AS s10
          FROM taken
         CROSS JOIN unnest(taken.cells, taken.days, taken.scores, taken.changes) AS change (cell, day, score, change)
          JOIN cells ON cells.id = change.cell
         CROSS JOIN unnest(cells.counted_in) WITH ORDINALITY AS counted (cell, place)
         GROUP BY 1, 2, 3
    ), days AS (
        INSERT INTO day_counts AS known (detail, cell, day, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10)
        SELECT detail, cell, day, coalesce(s0, 0), coalesce(s1, 0), coalesce(s2, 0), coalesce(s3, 0), coalesce(s4, 0),
               coalesce(s5, 0), coalesce(s6, 0), coalesce(s7, 0), coalesce(s8, 0), coalesce(s9, 0), coalesce(s10, 0)
          FROM changed
         ORDER BY cell, day
            ON CONFLICT (cell, day, detail) DO UPDATE
           SET s0 = known.s0 + excluded.s0, s1 = known.s1 + excluded.s1, s2 = known.s2 + excluded.s2,
               s3 = known.s3 + excluded.s3, s4 = known.s4 + excluded.s4, s5 = known.s5 + excluded.s5,
               s6 = known.s6 + excluded.s6, s7 = known.s7 + excluded.s7, s8 = known.s8 + excluded.s8,
               s9 = known.s9 + excluded.s9, s10 = known.s10 + excluded.s10
    ), months AS (
        INSERT INTO month_counts AS known (detail, cell, month, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10)
        SELECT detail, cell, CAST(date_trunc('month', CAST(day AS timestamp)) AS date),
               coalesce(sum(s0), 0), coalesce(sum(s1), 0), coalesce(sum(s2), 0), coalesce(sum(s3), 0),
               coalesce(sum(s4), 0), coalesce(sum(s5), 0), coalesce(sum(s6), 0), coalesce(sum(s7), 0),
               coalesce(sum(s8), 0), coalesce(sum(s9), 0), coalesce(sum(s10), 0)
          FROM changed
         GROUP BY 1, 2, 3
         ORDER BY 2, 3
            ON CONFLICT (cell, month, detail) DO UPDATE
           SET s0 = known.s0 + excluded.s0, s1 = known.s1 + excluded.s1, s2 = known.s2 + excluded.s2,
               s3 = known.s3 + excluded.s3, s4 = known.s4 + excluded.s4, s5 = known.s5 + excluded.s5,
               s6 = known.s6 + excluded.s6, s7 = known.s7 + excluded.s7, s8 = known.s8 + excluded.s8,
               s9 = known.s9 + excluded.s9, s10 = known.s10 + excluded.s10
    )
    SELECT count(*) AS tallies FROM taken
""")


async def note(tx: Tx, tally: Tally) -> None:
    """Note what changed, and make the cells that are new; it counts as soon as `tx` commits.

    The last that a transaction does: it holds all its answers by then, so that two that make the same cell at the same
    moment wait for each other in one direction only.
    """
    changes = tally.changes()
    mentions = tally.mentions()
    if not changes and not mentions and not tally.cells:
        return
    cells, days, scores, by = (list(column) for column in zip(*changes, strict=True)) if changes else ([], [], [], [])
    themes, *of_themes = (list(column) for column in zip(*mentions, strict=True)) if mentions else ([], [], [], [], [])
    new = await tx.fetch(
        _NOTE,
        {
            "cells": cells,
            "days": days,
            "scores": scores,
            "changes": by,
            "themes": themes,
            **dict(zip(("theme_cells", "theme_days", "classes", "theme_changes"), of_themes, strict=True)),
            "stored": list(tally.cells),
        },
    )
    if new:
        await _register(tx, {each.id: each for row in new for each in tally.cells[row.id].counted_in})


async def _register(tx: Tx, cells: Mapping[int, Cell]) -> None:
    made = list(cells.values())
    # An array of arrays would need rows of one length: each is given as PostgreSQL writes it.
    counted_in = [
        "{" + ",".join(str(each.id) for each in cell.counted_in) + "}" if cell.detail == "both" else None
        for cell in made
    ]
    columns = {name: list(column) for name, column in zip(Cell._fields, zip(*made, strict=True), strict=True)}
    await tx.execute(_REGISTER, columns | {"id": list(cells), "counted_in": counted_in})


async def fold(tx: Tx, limit: int) -> int:
    """Count in the oldest `limit` tallies; how many there were. None where another transaction folds at the moment."""
    alone = await tx.fetch_one(_ALONE)
    if alone is None or not alone.alone:
        return 0
    row = await tx.fetch_one(_FOLD, {"limit": limit})
    return 0 if row is None else int(row.tallies)
