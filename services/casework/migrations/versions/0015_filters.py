"""Filters of the list of cases that people save, for themselves or for a team; one index less where clocks write."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"

_STATEMENTS = (
    # A level's queue is found by the list of the level; an index of its own was written at every breach.
    "DROP INDEX IF EXISTS cases_asked",
    # No reference to agents: administrators and others who only look on save filters, too.
    """
    CREATE TABLE saved_filters (
        id uuid PRIMARY KEY,
        owner_id text NOT NULL,
        team_id text REFERENCES teams,
        name text NOT NULL,
        filter json NOT NULL,
        version integer NOT NULL
    )
    """,
    "CREATE INDEX saved_filters_by_owner ON saved_filters (owner_id)",
    "CREATE INDEX saved_filters_by_team ON saved_filters (team_id) WHERE team_id IS NOT NULL",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
