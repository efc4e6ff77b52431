"""Shapes in which a batch of rows is handed over: one array of rows instead of an array for each column.

Types of their own and not those of the tables: a column that is added to a table later does not change what a process
that still runs hands over. A shape that must change gets a new name.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

_SHAPES = (
    """
    CREATE TYPE case_row AS (
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
        fires_at timestamptz,
        listed_at timestamptz
    )
    """,
    # What may change of a case, and the version that was seen under the lock.
    """
    CREATE TYPE case_change AS (
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
        fires_at timestamptz,
        listed_at timestamptz
    )
    """,
    """
    CREATE TYPE timeline_row AS (
        case_id uuid,
        version integer,
        kind text,
        at timestamptz,
        actor_kind text,
        actor_id text,
        details text,
        text text
    )
    """,
    """
    CREATE TYPE answer_row AS (
        response_id text,
        revision integer,
        customer_id text,
        program text,
        touchpoint text,
        kind text,
        metric text,
        score integer,
        nps_class text,
        comment text,
        tier text,
        language text,
        answered_at timestamptz,
        cause_id uuid,
        traceparent text,
        case_id uuid,
        waits_for_owner boolean
    )
    """,
)


def upgrade() -> None:
    for statement in _SHAPES:
        op.execute(statement)
