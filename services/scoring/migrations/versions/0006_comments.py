"""What comments are about."""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0006"
down_revision = "0005"

_STATEMENTS: Final[tuple[str, ...]] = ()


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
