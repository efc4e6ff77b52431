"""Cases know whom to call first."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"

_PRIORITIES = (
    # No index: what a person sorts by it are the cases that are not closed, which others find already.
    "ALTER TABLE cases ADD COLUMN priority integer, ADD COLUMN priority_parts json",
    # `opened_case` and `changed_case` with priorities.
    """
    CREATE TYPE ranked_opened_case AS (
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
        priority_parts text
    )
    """,
    """
    CREATE TYPE ranked_changed_case AS (
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
        priority_parts text
    )
    """,
)


def upgrade() -> None:
    for statement in _PRIORITIES:
        op.execute(statement)
