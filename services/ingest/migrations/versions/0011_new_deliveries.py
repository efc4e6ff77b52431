"""The shape in which new deliveries are handed over, with what became of each: not all of them bring a response.

The type of before stays, for processes of before that still run.
"""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    # A delivery, and where it was understood as one, its response and the event of that response's first revision.
    op.execute(
        """
        CREATE TYPE new_delivery AS (
            id uuid,
            source text,
            delivery_key text,
            body bytea,
            body_hash bytea,
            headers text,
            content_type text,
            received_at timestamptz,
            status text,
            reason text,
            why text,
            response_id uuid,
            event_id uuid,
            vendor_response_id text,
            customer_id text,
            content_hash bytea,
            revised_at timestamptz,
            topic text,
            partition_key text,
            value bytea,
            event_headers bytea
        )
        """
    )
