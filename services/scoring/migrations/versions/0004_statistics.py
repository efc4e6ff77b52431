"""What numbers are counted from."""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0004"
down_revision = "0003"

# As `domain.cells` makes an id, of the same array.
_CELL_ID: Final = """
    CREATE FUNCTION pg_temp.cell_id(instrument_id uuid, instrument_version integer, department text, tier text,
                                    region text, detail text) RETURNS bigint
    LANGUAGE sql IMMUTABLE
    RETURN CAST(CAST('x' || encode(substring(sha256(convert_to(CAST(jsonb_build_array(
               instrument_id, instrument_version, department, tier, region, detail) AS text), 'UTF8')) FOR 8), 'hex')
           AS bit(64)) AS bigint)
"""

_STATEMENTS: Final[tuple[str, ...]] = (
    """
    CREATE TABLE touchpoint_maps (
        version integer PRIMARY KEY,
        document jsonb NOT NULL,
        created_at timestamptz NOT NULL,
        created_by text NOT NULL
    )
    """,
    """
    INSERT INTO touchpoint_maps (version, document, created_at, created_by) VALUES (1, '{}', now(), 'installation')
    """,
    # A combination of all that numbers are asked by. Cells of less detail have no tier, no region, or neither: for
    # them the same answers are counted again, so that a series by day over years reads few rows.
    """
    CREATE TABLE cells (
        id bigint PRIMARY KEY,
        detail text NOT NULL CHECK (detail IN ('both', 'tier', 'region', 'neither')),
        counted_in bigint[] CHECK ((counted_in IS NOT NULL) = (detail = 'both')),
        program text NOT NULL,
        touchpoint text,
        kind text NOT NULL,
        metric text NOT NULL,
        scale_min integer NOT NULL,
        scale_max integer NOT NULL,
        instrument_id uuid NOT NULL,
        instrument_version integer NOT NULL,
        channel text NOT NULL,
        higher_is_worse boolean NOT NULL,
        department text,
        tier text CHECK (tier IS NULL OR detail IN ('both', 'tier')),
        region text CHECK (region IS NULL OR detail IN ('both', 'region'))
    )
    """,
    # What one transaction changed in the counts and is not counted in yet: arrays of equal length, one row, because a
    # row for each answer would cost as much as the answer.
    """
    CREATE TABLE tallies (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        cells bigint[] NOT NULL,
        days date[] NOT NULL,
        scores smallint[] NOT NULL,
        changes integer[] NOT NULL
    ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)
    """,
    # Each detail has a part of its own: the least detailed one is a hundredth of all, and read as a whole for a series
    # by day over years.
    """
    CREATE TABLE day_counts (
        detail text NOT NULL,
        cell bigint NOT NULL,
        day date NOT NULL,
        s0 integer NOT NULL, s1 integer NOT NULL, s2 integer NOT NULL, s3 integer NOT NULL, s4 integer NOT NULL,
        s5 integer NOT NULL, s6 integer NOT NULL, s7 integer NOT NULL, s8 integer NOT NULL, s9 integer NOT NULL,
        s10 integer NOT NULL,
        PRIMARY KEY (cell, day, detail)
    ) PARTITION BY LIST (detail)
    """,
    "CREATE TABLE day_counts_both PARTITION OF day_counts FOR VALUES IN ('both') WITH (fillfactor = 80)",
    "CREATE TABLE day_counts_tier PARTITION OF day_counts FOR VALUES IN ('tier') WITH (fillfactor = 80)",
    "CREATE TABLE day_counts_region PARTITION OF day_counts FOR VALUES IN ('region') WITH (fillfactor = 80)",
    "CREATE TABLE day_counts_neither PARTITION OF day_counts FOR VALUES IN ('neither') WITH (fillfactor = 80)",
    """
    CREATE TABLE month_counts (
        detail text NOT NULL,
        cell bigint NOT NULL,
        month date NOT NULL,
        s0 integer NOT NULL, s1 integer NOT NULL, s2 integer NOT NULL, s3 integer NOT NULL, s4 integer NOT NULL,
        s5 integer NOT NULL, s6 integer NOT NULL, s7 integer NOT NULL, s8 integer NOT NULL, s9 integer NOT NULL,
        s10 integer NOT NULL,
        PRIMARY KEY (cell, month, detail)
    ) PARTITION BY LIST (detail)
    """,
    "CREATE TABLE month_counts_both PARTITION OF month_counts FOR VALUES IN ('both') WITH (fillfactor = 80)",
    "CREATE TABLE month_counts_tier PARTITION OF month_counts FOR VALUES IN ('tier') WITH (fillfactor = 80)",
    "CREATE TABLE month_counts_region PARTITION OF month_counts FOR VALUES IN ('region') WITH (fillfactor = 80)",
    "CREATE TABLE month_counts_neither PARTITION OF month_counts FOR VALUES IN ('neither') WITH (fillfactor = 80)",
    """
    CREATE TABLE tier_totals (
        tier text PRIMARY KEY,
        customers bigint NOT NULL,
        value double precision NOT NULL,
        counted_at timestamptz NOT NULL
    )
    """,
    # What was stored before: a response's region is what its customer's is now.
    _CELL_ID,
    """
    CREATE TEMPORARY TABLE placed ON COMMIT DROP AS
    SELECT responses.id AS response_id, responses.program, responses.touchpoint, responses.kind, responses.metric,
           known.scale_min, known.scale_max, responses.instrument_id, responses.instrument_version, known.channel,
           responses.tier, customers.attributes ->> 'region' AS region
      FROM responses
      JOIN instrument_versions AS known
        ON known.instrument_id = responses.instrument_id AND known.version = responses.instrument_version
      LEFT JOIN customers ON customers.id = responses.customer_id
    """,
    """
    INSERT INTO cells (id, detail, program, touchpoint, kind, metric, scale_min, scale_max, instrument_id,
                       instrument_version, channel, higher_is_worse, tier, region, counted_in)
    SELECT pg_temp.cell_id(instrument_id, instrument_version, NULL, of_detail.tier, of_detail.region, detail), detail,
           program, touchpoint, kind, metric, scale_min, scale_max, instrument_id, instrument_version, channel, false,
           of_detail.tier, of_detail.region,
           CASE detail WHEN 'both' THEN ARRAY[
               pg_temp.cell_id(instrument_id, instrument_version, NULL, placed.tier, placed.region, 'both'),
               pg_temp.cell_id(instrument_id, instrument_version, NULL, placed.tier, NULL, 'tier'),
               pg_temp.cell_id(instrument_id, instrument_version, NULL, NULL, placed.region, 'region'),
               pg_temp.cell_id(instrument_id, instrument_version, NULL, NULL, NULL, 'neither')
           ] END
      FROM (SELECT DISTINCT program, touchpoint, kind, metric, scale_min, scale_max, instrument_id, instrument_version,
                            channel, tier, region FROM placed) AS placed
     CROSS JOIN LATERAL (VALUES ('both', tier, region), ('tier', tier, NULL), ('region', NULL, region),
                                ('neither', NULL, NULL)) AS of_detail (detail, tier, region)
        ON CONFLICT (id) DO NOTHING
    """,
    "ALTER TABLE responses ADD COLUMN cell bigint",
    """
    UPDATE responses
       SET cell = pg_temp.cell_id(placed.instrument_id, placed.instrument_version, NULL, placed.tier, placed.region,
                                  'both')
      FROM placed
     WHERE responses.id = placed.response_id
    """,
    # No foreign key: cells are made in the same transaction, and it would be looked up for every answer.
    "ALTER TABLE responses ALTER COLUMN cell SET NOT NULL",
    """
    INSERT INTO day_counts (detail, cell, day, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10)
    SELECT (ARRAY['both', 'tier', 'region', 'neither'])[counted.place], counted.cell,
           CAST(answered_at AT TIME ZONE 'UTC' AS date),
           count(*) FILTER (WHERE score = 0), count(*) FILTER (WHERE score = 1), count(*) FILTER (WHERE score = 2),
           count(*) FILTER (WHERE score = 3), count(*) FILTER (WHERE score = 4), count(*) FILTER (WHERE score = 5),
           count(*) FILTER (WHERE score = 6), count(*) FILTER (WHERE score = 7), count(*) FILTER (WHERE score = 8),
           count(*) FILTER (WHERE score = 9), count(*) FILTER (WHERE score = 10)
      FROM responses
      JOIN cells ON cells.id = responses.cell
     CROSS JOIN unnest(cells.counted_in) WITH ORDINALITY AS counted (cell, place)
     WHERE score BETWEEN 0 AND 10
     GROUP BY 1, 2, 3
     ORDER BY 3, 2
    """,
    """
    INSERT INTO month_counts (detail, cell, month, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10)
    SELECT detail, cell, CAST(date_trunc('month', CAST(day AS timestamp)) AS date), sum(s0), sum(s1), sum(s2), sum(s3),
           sum(s4), sum(s5), sum(s6), sum(s7), sum(s8), sum(s9), sum(s10)
      FROM day_counts
     GROUP BY 1, 2, 3
     ORDER BY 3, 2
    """,
    # Hours at the edges of a period are counted from the answers themselves.
    "DROP INDEX responses_by_class",
    "CREATE INDEX responses_counted ON responses (answered_at) INCLUDE (cell, score)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
