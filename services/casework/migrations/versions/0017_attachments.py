"""Files of cases: whose they are and what; they themselves are in a folder."""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"

_STATEMENTS = (
    """
    CREATE TABLE attachments (
        id uuid PRIMARY KEY,
        case_id uuid NOT NULL REFERENCES cases,
        sha256 text NOT NULL,
        name text NOT NULL,
        media_type text NOT NULL,
        size bigint NOT NULL,
        added_at timestamptz NOT NULL,
        actor_kind text NOT NULL,
        actor_id text NOT NULL
    )
    """,
    "CREATE INDEX attachments_by_case ON attachments (case_id)",
    "CREATE INDEX attachments_by_file ON attachments (sha256)",
    # Files of which a case was parted: they go, unless another case has them, once that is committed.
    "CREATE TABLE attachment_removals (sha256 text PRIMARY KEY)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
