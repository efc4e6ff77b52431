"""Where a source's deliveries come from, for vendors that publish their addresses or do not sign."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute("ALTER TABLE sources ADD COLUMN networks text[] NOT NULL DEFAULT '{}'")
