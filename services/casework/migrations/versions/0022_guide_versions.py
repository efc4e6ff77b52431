"""How each conversation guide read at each version, and who wrote it."""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0022"
down_revision = "0021"

_STATEMENTS: Final = (
    """
    CREATE TABLE guide_versions (
        guide_id text NOT NULL REFERENCES conversation_guides ON DELETE CASCADE,
        version integer NOT NULL,
        themes text[] NOT NULL,
        title_ru text NOT NULL,
        title_en text NOT NULL,
        opening_ru text NOT NULL,
        opening_en text NOT NULL,
        questions json NOT NULL,
        closing_ru text NOT NULL,
        closing_en text NOT NULL,
        retired boolean NOT NULL,
        at timestamptz NOT NULL,
        actor_kind text NOT NULL,
        actor_id text NOT NULL,
        PRIMARY KEY (guide_id, version)
    )
    """,
    # How they read before is not known.
    """
    INSERT INTO guide_versions
    SELECT id, version, themes, title_ru, title_en, opening_ru, opening_en, questions, closing_ru, closing_en, retired,
           now(), 'key', 'otklik'
      FROM conversation_guides
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
