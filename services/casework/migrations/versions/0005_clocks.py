"""Policies of programs and levels, calendars, waiting for the customer, escalation clocks, and clocks counted anew."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"

_STATEMENTS = (
    # When a region works: its week as seven lists of shifts in minutes from midnight, holidays, and special days.
    """
    CREATE TABLE calendars (
        id text PRIMARY KEY,
        name text NOT NULL,
        zone text NOT NULL,
        week json NOT NULL,
        holidays date[] NOT NULL,
        special_days json NOT NULL,
        version integer NOT NULL
    )
    """,
    # `warnings` NULL: a process that still runs has stored `warn_after` alone. The first of the list stands there too.
    """
    ALTER TABLE sla_policies
        ADD COLUMN management_hours integer NOT NULL DEFAULT 24,
        ADD COLUMN executive_hours integer NOT NULL DEFAULT 48,
        ADD COLUMN longest_wait_days integer NOT NULL DEFAULT 14,
        ADD COLUMN warnings double precision[],
        ADD COLUMN calendar_id text REFERENCES calendars
    """,
    # The same numbers as DEFAULT_POLICIES of services.casework.domain.policies; a test compares them.
    "UPDATE sla_policies SET management_hours = 12, executive_hours = 24 WHERE tier = 'key'",
    "UPDATE sla_policies SET management_hours = 48, executive_hours = 96 WHERE tier = 'low'",
    """
    CREATE TABLE program_policies (
        program text NOT NULL,
        tier text NOT NULL CHECK (tier IN ('key', 'high', 'standard', 'low')),
        first_contact_hours integer NOT NULL,
        resolution_hours integer NOT NULL,
        reopened_first_contact_hours integer NOT NULL,
        reopened_resolution_hours integer NOT NULL,
        management_hours integer NOT NULL,
        executive_hours integer NOT NULL,
        confirmation_days integer NOT NULL,
        longest_wait_days integer NOT NULL,
        warnings double precision[] NOT NULL,
        calendar_id text REFERENCES calendars,
        version integer NOT NULL,
        PRIMARY KEY (program, tier)
    )
    """,
    """
    ALTER TABLE cases
        ADD COLUMN clocks_since timestamptz,
        ADD COLUMN escalated_at timestamptz,
        ADD COLUMN escalation_due_at timestamptz,
        ADD COLUMN escalation_warn_at timestamptz,
        ADD COLUMN escalation_stage text,
        ADD COLUMN waiting_since timestamptz,
        ADD COLUMN waiting_until timestamptz,
        ADD COLUMN waiting_reason text,
        ADD COLUMN pauses timestamptz[],
        ADD COLUMN first_contact_later timestamptz[],
        ADD COLUMN resolution_later timestamptz[],
        ADD COLUMN escalation_later timestamptz[]
    """,
    # From when the clocks of a further round count was not stored before; a reopening by a customer's word counted
    # from the word, at most a little earlier.
    """
    UPDATE cases
       SET clocks_since = (SELECT max(at) FROM timeline WHERE timeline.case_id = cases.id AND kind = 'reopened')
     WHERE reopenings > 0 AND status <> 'closed'
    """,
    # Who is above the frontline already is asked from now on.
    """
    UPDATE cases
       SET escalated_at = now(), escalation_due_at = now() + allowance, escalation_warn_at = now() + 0.75 * allowance,
           escalation_stage = 'running', fires_at = LEAST(fires_at, now() + 0.75 * allowance),
           listed_at = LEAST(listed_at, now() + allowance)
      FROM (SELECT tier, 'management' AS level, management_hours * interval '1 hour' AS allowance FROM sla_policies
             UNION ALL
            SELECT tier, 'executive', executive_hours * interval '1 hour' FROM sla_policies) AS asked
     WHERE cases.tier = asked.tier AND cases.level = asked.level AND cases.status IN ('open', 'contacted')
    """,
    # The shapes of 0003 with what was added.
    """
    CREATE TYPE opened_case AS (
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
        listed_at timestamptz
    )
    """,
    """
    CREATE TYPE changed_case AS (
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
        listed_at timestamptz
    )
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
