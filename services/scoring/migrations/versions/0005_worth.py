"""Invitations, and rules that go by quantiles and programs."""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0005"
down_revision = "0004"

_STATEMENTS: Final[tuple[str, ...]] = (
    """
    ALTER TABLE accounts
        ADD COLUMN attributes jsonb NOT NULL DEFAULT '{}',
        ADD COLUMN source_version bigint,
        ADD COLUMN source_updated_at timestamptz
    """,
    """
    ALTER TABLE customers
        ADD COLUMN products jsonb NOT NULL DEFAULT '[]',
        ADD COLUMN tier_facts jsonb NOT NULL DEFAULT '[]',
        ADD COLUMN source_version bigint,
        ADD COLUMN source_updated_at timestamptz
    """,
    # Rules and the cut points of their quantiles are in force together, as one valuation; `customers.rules_version`
    # says by which one a customer was valued, and 0 that it has to be done again.
    """
    CREATE TABLE segment_valuations (
        version integer PRIMARY KEY,
        rules_version integer NOT NULL,
        cuts jsonb NOT NULL,
        customers bigint NOT NULL,
        computed_at timestamptz NOT NULL,
        checked_at timestamptz NOT NULL
    )
    """,
    """
    INSERT INTO segment_valuations (version, rules_version, cuts, customers, computed_at, checked_at)
    SELECT version, version, '[]', 0, created_at, created_at FROM segment_rules ORDER BY version DESC LIMIT 1
    """,
    "CREATE INDEX accounts_by_name ON accounts (name, id)",
    "CREATE INDEX customers_by_tier ON customers (tier, id)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
