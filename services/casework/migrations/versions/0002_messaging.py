"""Records that end their process are counted; partitions that were begun are known."""

from __future__ import annotations

from alembic import op

from libs.events.schema import MESSAGING_V2

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for statement in MESSAGING_V2:
        op.execute(statement)
