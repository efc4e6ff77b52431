"""Answers that are asked for at a vendor's API: accounts, what is to be fetched, and how far polls have come."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

VENDOR_APIS = (
    # The token is plain text for the same reason as a secret, and under the same protection.
    """
    CREATE TABLE vendor_accounts (
        source text COLLATE "C" PRIMARY KEY REFERENCES sources (name),
        base_url text NOT NULL,
        token text NOT NULL CHECK (token <> ''),
        survey text,
        poll_every interval,
        updated_at timestamptz NOT NULL
    )
    """,
    # `asked` counts up with each announcement, so that one which comes while the answers are being fetched is not lost.
    """
    CREATE TABLE fetches (
        source text COLLATE "C" NOT NULL,
        vendor_response_id text NOT NULL,
        delivery_id uuid NOT NULL,
        traceparent text NOT NULL,
        asked integer NOT NULL,
        attempts integer NOT NULL,
        due_at timestamptz NOT NULL,
        PRIMARY KEY (source, vendor_response_id)
    )
    """,
    "CREATE INDEX fetches_due ON fetches (due_at)",
    """
    CREATE TABLE polls (
        source text COLLATE "C" PRIMARY KEY REFERENCES sources (name),
        watermark timestamptz NOT NULL,
        due_at timestamptz NOT NULL,
        attempts integer NOT NULL,
        polled_at timestamptz,
        seen bigint NOT NULL,
        missed bigint NOT NULL,
        error text
    )
    """,
)


def upgrade() -> None:
    for statement in VENDOR_APIS:
        op.execute(statement)
