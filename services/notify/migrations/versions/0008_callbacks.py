"""Callbacks as casework tells them, for invitations and reminders."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"

_STATEMENTS = (
    # Casework owns them; this is what has to be known to remind of one. An erasure deletes the rows.
    """
    CREATE TABLE callbacks (
        callback_id uuid PRIMARY KEY,
        case_id text NOT NULL,
        customer_id text,
        case_version integer NOT NULL,
        at timestamptz NOT NULL,
        sequence integer NOT NULL,
        state text NOT NULL CHECK (state IN ('agreed', 'kept', 'missed', 'cancelled')),
        agent_id text NOT NULL,
        agent_name text NOT NULL,
        agent_email text NOT NULL,
        agent_language text NOT NULL,
        remind_at timestamptz,
        changed_at timestamptz NOT NULL,
        traceparent text
    )
    """,
    "CREATE INDEX callbacks_to_remind ON callbacks (remind_at) WHERE remind_at IS NOT NULL",
    "CREATE INDEX callbacks_of_customer ON callbacks (customer_id) WHERE customer_id IS NOT NULL",
    "CREATE INDEX callbacks_oldest ON callbacks (changed_at)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
