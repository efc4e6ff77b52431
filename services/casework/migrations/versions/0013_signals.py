"""Signs that lift a case by themselves, each once; how often nobody is reached before it climbs; the levels' queues."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"

_STATEMENTS = (
    "ALTER TABLE cases ADD COLUMN signals text[]",
    # Rows of policies that are there have the number that holds by default.
    "ALTER TABLE sla_policies ADD COLUMN unanswered_attempts integer NOT NULL DEFAULT 3",
    "ALTER TABLE program_policies ADD COLUMN unanswered_attempts integer NOT NULL DEFAULT 3",
    # What a level has been asked and has not answered, the first due first.
    """
    CREATE INDEX cases_asked ON cases (level, escalation_due_at, id)
        WHERE escalation_due_at IS NOT NULL
    """,
    # `ranked_opened_case` and `ranked_changed_case` with signs.
    """
    CREATE TYPE signalled_opened_case AS (
        id uuid,
        event_key text,
        customer_id text,
        opening_response_id text,
        program text,
        touchpoint text,
        language text,
        score integer,
        tier text,
        status text,
        outcome text,
        level text,
        owner_id text,
        owner_reason text,
        owner_reason_details text,
        responsible_id text,
        round integer,
        reopenings integer,
        version integer,
        answered_at timestamptz,
        opened_at timestamptz,
        first_contact_due_at timestamptz,
        first_contact_warn_at timestamptz,
        first_contact_stage text,
        first_contacted_at timestamptz,
        resolution_due_at timestamptz,
        resolution_warn_at timestamptz,
        resolution_stage text,
        resolved_at timestamptz,
        root_cause_id text,
        confirm_by timestamptz,
        closed_at timestamptz,
        escalated_at timestamptz,
        escalation_due_at timestamptz,
        escalation_warn_at timestamptz,
        escalation_stage text,
        first_contact_later timestamptz[],
        resolution_later timestamptz[],
        escalation_later timestamptz[],
        fires_at timestamptz,
        listed_at timestamptz,
        priority integer,
        priority_parts text,
        signals text[]
    )
    """,
    """
    CREATE TYPE signalled_changed_case AS (
        id uuid,
        seen integer,
        customer_id text,
        score integer,
        status text,
        outcome text,
        level text,
        owner_id text,
        owner_reason text,
        owner_reason_details text,
        responsible_id text,
        round integer,
        reopenings integer,
        version integer,
        first_contact_due_at timestamptz,
        first_contact_warn_at timestamptz,
        first_contact_stage text,
        first_contacted_at timestamptz,
        resolution_due_at timestamptz,
        resolution_warn_at timestamptz,
        resolution_stage text,
        resolved_at timestamptz,
        root_cause_id text,
        confirm_by timestamptz,
        closed_at timestamptz,
        clocks_since timestamptz,
        escalated_at timestamptz,
        escalation_due_at timestamptz,
        escalation_warn_at timestamptz,
        escalation_stage text,
        waiting_since timestamptz,
        waiting_until timestamptz,
        waiting_reason text,
        pauses timestamptz[],
        first_contact_later timestamptz[],
        resolution_later timestamptz[],
        escalation_later timestamptz[],
        fires_at timestamptz,
        listed_at timestamptz,
        priority integer,
        priority_parts text,
        signals text[]
    )
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
