"""Whom to call first, and what moves the score."""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0007"
down_revision = "0006"

_STATEMENTS: Final[tuple[str, ...]] = ()


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
