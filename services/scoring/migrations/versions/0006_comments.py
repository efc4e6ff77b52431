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
