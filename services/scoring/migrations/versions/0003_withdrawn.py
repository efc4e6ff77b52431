"""Responses may be withdrawn."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("ALTER TABLE responses ADD COLUMN withdrawn boolean NOT NULL DEFAULT false")
