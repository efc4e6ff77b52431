"""Mentions that nobody has read are found beside all that were."""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.execute("CREATE INDEX mentions_unread ON mentions (person_id, at DESC) WHERE read_at IS NULL")
