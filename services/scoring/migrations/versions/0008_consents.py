"""Who unsubscribed, and who consented anew; customers are found by the marks of their addresses."""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0008"
down_revision = "0007"

CONSENTS: Final = (
    # `mark` is the hash of a customer's id, or of an address: one who unsubscribed before they were known here is
    # recognized when they are. Only an id has a `consented_at`.
    """
    CREATE TABLE consents (
        mark bytea PRIMARY KEY CHECK (octet_length(mark) = 32),
        unsubscribed_at timestamptz,
        consented_at timestamptz
    )
    """,
    # As `address_mark` of the contracts. Immutable it is, whatever `convert_to` is declared: an index needs to know.
    """
    CREATE FUNCTION address_mark(address text) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
        AS $$ SELECT sha256(convert_to(lower(address COLLATE "C"), 'UTF8')) $$
    """,
    "CREATE INDEX customers_by_address ON customers (address_mark(email)) WHERE email IS NOT NULL",
)


def upgrade() -> None:
    for statement in CONSENTS:
        op.execute(statement)
