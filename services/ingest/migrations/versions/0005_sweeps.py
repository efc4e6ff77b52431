"""Contents of deliveries are kept for a time, and an erasure reaches them."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"

SWEEPS = (
    "ALTER TABLE sources ADD COLUMN keep_days integer",
    # Of the latest revision; no index, because what is looked for by it is rare and may take its time.
    "ALTER TABLE responses ADD COLUMN customer_id text",
    "ALTER TABLE responses ADD COLUMN erased boolean NOT NULL DEFAULT false",
    # `swept_to` is how far the deliveries are looked through, in the order of their ids.
    """
    CREATE TABLE erasures (
        customer_id text PRIMARY KEY,
        erased_at timestamptz NOT NULL,
        response_ids uuid[],
        swept_to uuid,
        swept_at timestamptz
    )
    """,
    "CREATE INDEX erasures_to_sweep ON erasures (erased_at) WHERE swept_at IS NULL",
    """
    CREATE TABLE retention (
        source text COLLATE "C" PRIMARY KEY REFERENCES sources (name),
        swept_to uuid NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in SWEEPS:
        op.execute(statement)
