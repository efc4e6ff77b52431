"""Files of responses: how each is written, how far it is read, and which of its rows brought no response."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"

IMPORTS = (
    # `layout` and `column_map` are null until the file's first bytes were seen. How far it is read is changed in the
    # transaction that records the rows before there, and only from where it was.
    """
    CREATE TABLE imports (
        id uuid PRIMARY KEY,
        source text COLLATE "C" NOT NULL REFERENCES sources (name),
        name text NOT NULL,
        digest bytea,
        size bigint,
        given jsonb NOT NULL,
        layout jsonb,
        column_map jsonb,
        read_bytes bigint NOT NULL,
        read_lines bigint NOT NULL,
        skipping boolean NOT NULL,
        accepted bigint NOT NULL,
        duplicates bigint NOT NULL,
        ignored bigint NOT NULL,
        errors bigint NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        finished_at timestamptz
    )
    """,
    "CREATE UNIQUE INDEX imports_once ON imports (source, digest, size) WHERE digest IS NOT NULL",
    # Not what the row says: that is in the delivery, where there is one, and in the file.
    """
    CREATE TABLE import_errors (
        import_id uuid NOT NULL REFERENCES imports (id),
        line bigint NOT NULL,
        at_byte bigint NOT NULL,
        size integer NOT NULL,
        reason text NOT NULL,
        delivery_id uuid,
        PRIMARY KEY (import_id, line)
    )
    """,
)


def upgrade() -> None:
    for statement in IMPORTS:
        op.execute(statement)
