"""Unsubscriptions that were published: by the ids of their events, which say nothing about anybody."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("CREATE TABLE unsubscriptions (event_id uuid PRIMARY KEY, received_at timestamptz NOT NULL)")
