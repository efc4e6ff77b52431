"""In which half hours somebody calls somebody: two customers cannot choose the same."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"

_STATEMENTS = (
    # One row for each half hour, by UTC, that an agreed callback touches. The key is what keeps two customers who
    # choose at the same moment apart.
    """
    CREATE TABLE callback_cells (
        agent_id text NOT NULL,
        cell timestamptz NOT NULL,
        callback_id uuid NOT NULL,
        PRIMARY KEY (agent_id, cell)
    )
    """,
    "CREATE INDEX callback_cells_by_callback ON callback_cells (callback_id)",
    """
    INSERT INTO callback_cells (agent_id, cell, callback_id)
    SELECT cases.owner_id, cell, callbacks.id
      FROM callbacks
      JOIN cases ON cases.id = callbacks.case_id
     CROSS JOIN generate_series(
           date_bin('30 minutes', callbacks.at, TIMESTAMPTZ '2000-01-01 00:00:00+00'),
           callbacks.at + INTERVAL '30 minutes' - INTERVAL '1 microsecond', INTERVAL '30 minutes') AS cell
     WHERE callbacks.state = 'agreed'
        ON CONFLICT DO NOTHING
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
