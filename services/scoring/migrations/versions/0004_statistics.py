"""What numbers are counted from."""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0004"
down_revision = "0003"

_STATEMENTS: Final[tuple[str, ...]] = ()


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
