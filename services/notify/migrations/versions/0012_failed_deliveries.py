"""Deliveries that failed are found beside a million that did not."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.execute("""
        CREATE INDEX hook_deliveries_failed ON hook_deliveries (subscription_id, created_at, event_id)
         WHERE status = 'failed'
    """)
