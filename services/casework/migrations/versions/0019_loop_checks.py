"""The loops of callbacks and of tasks are watched, too."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"

_STATEMENTS = (
    # Beside `clock_checks`, whose one row is that of the cases' loop.
    "CREATE TABLE loop_checks (loop text PRIMARY KEY, checked_at timestamptz NOT NULL)",
    "INSERT INTO loop_checks VALUES ('callbacks', now()), ('tasks', now())",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
