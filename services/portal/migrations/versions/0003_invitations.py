"""Accounts that administrators make and change: versions, and the links by which people choose their passwords."""

from alembic import op

revision = "0003"
down_revision = "0002"

_STATEMENTS = (
    "ALTER TABLE people ADD COLUMN version integer NOT NULL DEFAULT 1",
    # One for each person: a newer link takes the older one's place. The token itself is nowhere.
    """
    CREATE TABLE invitations (
        person_id text PRIMARY KEY REFERENCES people ON DELETE CASCADE,
        token_hash bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
        expires_at timestamptz NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
