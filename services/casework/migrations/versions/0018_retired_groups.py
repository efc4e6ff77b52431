"""Teams and departments that are no longer in use: they keep their names for what they did."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"

_STATEMENTS = (
    "ALTER TABLE teams ADD COLUMN retired boolean NOT NULL DEFAULT false",
    "ALTER TABLE departments ADD COLUMN retired boolean NOT NULL DEFAULT false",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
