"""The agreed callbacks of a case are found when it has another owner."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.execute("CREATE INDEX callbacks_agreed ON callbacks (case_id) WHERE state = 'agreed'")
