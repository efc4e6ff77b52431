"""What agents and teams handle, which languages they speak, when they work, and planned absences."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"

_STATEMENTS = (
    # An empty list leaves nothing out. `absences`: the two ends of one after the other.
    """
    ALTER TABLE agents
        ADD COLUMN languages text[] NOT NULL DEFAULT '{}',
        ADD COLUMN programs text[] NOT NULL DEFAULT '{}',
        ADD COLUMN touchpoints text[] NOT NULL DEFAULT '{}',
        ADD COLUMN themes text[] NOT NULL DEFAULT '{}',
        ADD COLUMN calendar_id text REFERENCES calendars,
        ADD COLUMN absences timestamptz[] NOT NULL DEFAULT '{}'
    """,
    """
    ALTER TABLE teams
        ADD COLUMN programs text[] NOT NULL DEFAULT '{}',
        ADD COLUMN touchpoints text[] NOT NULL DEFAULT '{}',
        ADD COLUMN themes text[] NOT NULL DEFAULT '{}',
        ADD COLUMN calendar_id text REFERENCES calendars
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
