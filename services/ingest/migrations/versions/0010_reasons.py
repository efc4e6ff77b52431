"""Reasons by their codes, so that they can be said in other languages than that of the logs."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute("ALTER TABLE deliveries ADD COLUMN why jsonb")
    op.execute("ALTER TABLE import_errors ADD COLUMN why jsonb")
