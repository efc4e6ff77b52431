"""What comments are about."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Final

from alembic import op
from sqlalchemy import text

revision = "0006"
down_revision = "0005"

_FIRST_THEMES: Final = Path(__file__).parent.parent / "first_themes.toml"

_STATEMENTS: Final[tuple[str, ...]] = (
    # `read_up_to`: the stored comments are being read by this version in the order of their ids, and are read up to
    # this one; null when all are.
    """
    CREATE TABLE theme_taxonomies (
        version integer PRIMARY KEY,
        document json NOT NULL,
        created_at timestamptz NOT NULL,
        created_by text NOT NULL,
        read_up_to text
    )
    """,
    # In one statement for each batch: whoever waits for the lock gets what is in force when it is theirs, which a
    # volatile function sees and the statement around it does not.
    """
    CREATE FUNCTION themes_under_lock() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(hashtextextended('scoring.erasure', 0));
        RETURN (SELECT CAST(document AS text) FROM theme_taxonomies ORDER BY version DESC LIMIT 1);
    END
    $$
    """,
    """
    ALTER TABLE responses
        ADD COLUMN themes text[] NOT NULL DEFAULT '{}',
        ADD COLUMN urgent text[] NOT NULL DEFAULT '{}'
    """,
    # Mentions of themes are counted as answers are (0004): what a transaction changed is one row of arrays of equal
    # length, and is counted in later. A class is a place in (promoter, passive, detractor, none of them).
    """
    CREATE TABLE theme_tallies (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        themes text[] NOT NULL,
        cells bigint[] NOT NULL,
        days date[] NOT NULL,
        classes smallint[] NOT NULL,
        changes integer[] NOT NULL
    ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)
    """,
    """
    CREATE TABLE theme_day_counts (
        theme text NOT NULL,
        cell bigint NOT NULL,
        day date NOT NULL,
        promoters integer NOT NULL,
        passives integer NOT NULL,
        detractors integer NOT NULL,
        others integer NOT NULL,
        PRIMARY KEY (day, cell, theme)
    ) WITH (fillfactor = 80)
    """,
    """
    CREATE TABLE theme_month_counts (
        theme text NOT NULL,
        cell bigint NOT NULL,
        month date NOT NULL,
        promoters integer NOT NULL,
        passives integer NOT NULL,
        detractors integer NOT NULL,
        others integer NOT NULL,
        PRIMARY KEY (month, cell, theme)
    ) WITH (fillfactor = 80)
    """,
    # What could be a theme, as a person has to decide. Examples are ids of responses: their words are kept nowhere but
    # there, and go when those go.
    """
    CREATE TABLE theme_suggestions (
        id uuid PRIMARY KEY,
        language text NOT NULL,
        stems text NOT NULL,
        phrase text NOT NULL,
        comments integer NOT NULL,
        likelihood double precision NOT NULL,
        examples text[] NOT NULL,
        found_at timestamptz NOT NULL,
        status text NOT NULL CHECK (status IN ('open', 'accepted', 'dismissed')),
        theme text,
        decided_at timestamptz,
        decided_by text,
        UNIQUE (language, stems),
        CHECK ((status = 'open') = (decided_at IS NULL))
    )
    """,
    "CREATE INDEX theme_suggestions_open ON theme_suggestions (likelihood DESC) WHERE status = 'open'",
    # One row: when comments were looked through for new themes, and before when nobody else does.
    """
    CREATE TABLE theme_searches (
        alone boolean PRIMARY KEY DEFAULT true CHECK (alone),
        searched_at timestamptz NOT NULL,
        not_before timestamptz NOT NULL
    )
    """,
    "INSERT INTO theme_searches (searched_at, not_before) VALUES ('2000-01-01Z', '2000-01-01Z')",
    # The latest comments are what a changed taxonomy is tried on, and where new themes are looked for.
    "CREATE INDEX responses_with_comments ON responses (scored_at) WHERE comment IS NOT NULL",
)
_PUT_INTO_FORCE: Final = text("""
    INSERT INTO theme_taxonomies (version, document, created_at, created_by, read_up_to)
    VALUES (1, CAST(:document AS json), now(), 'installation', '')
""")


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
    themes = tomllib.loads(_FIRST_THEMES.read_text("utf-8"))
    op.get_bind().execute(_PUT_INTO_FORCE, {"document": json.dumps(themes, ensure_ascii=False)})
