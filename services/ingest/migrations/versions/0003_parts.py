"""What is known of responses that come in parts."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # Packed by msgpack; null for the many whose deliveries each tell all of it.
    op.execute("ALTER TABLE responses ADD COLUMN told bytea")
