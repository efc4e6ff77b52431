"""Invitations, and rules that go by quantiles and programs."""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0005"
down_revision = "0004"

_STATEMENTS: Final[tuple[str, ...]] = ()


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
