"""Templates are versioned, and a message keeps the version that it was first made with."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

_TEMPLATES = (
    # A draft until it is published, and never changed after that. `shipped` came with a release.
    """
    CREATE TABLE templates (
        kind text NOT NULL,
        language text NOT NULL,
        version integer NOT NULL,
        subject text NOT NULL,
        body text NOT NULL,
        html text NOT NULL,
        note text NOT NULL DEFAULT '',
        shipped boolean NOT NULL,
        revision integer NOT NULL DEFAULT 1,
        author text NOT NULL,
        created_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        published_at timestamptz,
        published_by text,
        PRIMARY KEY (kind, language, version)
    )
    """,
    """
    CREATE TABLE templates_in_use (
        kind text NOT NULL,
        language text NOT NULL,
        version integer NOT NULL,
        since timestamptz NOT NULL,
        by text NOT NULL,
        PRIMARY KEY (kind, language),
        FOREIGN KEY (kind, language, version) REFERENCES templates
    )
    """,
    "ALTER TABLE messages ADD COLUMN template_version integer",
)


def upgrade() -> None:
    for statement in _TEMPLATES:
        op.execute(statement)
