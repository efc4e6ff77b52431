"""The shape in which a batch of new deliveries is handed over: one array of rows instead of an array for each column.

A type of its own and not those of the tables: a column that is added to a table later does not change what a process
that still runs hands over. A shape that must change gets a new name.
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    # A delivery, its response, and the event of that response's first revision.
    op.execute(
        """
        CREATE TYPE first_delivery AS (
            id uuid,
            source text,
            delivery_key text,
            body bytea,
            body_hash bytea,
            headers text,
            received_at timestamptz,
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
