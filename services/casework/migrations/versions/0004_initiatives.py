"""Initiatives with the cases behind them; what answers are about and what customers are worth, to weigh them by."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

_INITIATIVES = (
    "ALTER TABLE customers ADD COLUMN current_value double precision",
    "ALTER TABLE answers ADD COLUMN themes text[] NOT NULL DEFAULT '{}'",
    # To compare the time before a change with the time after it; answers come nearly in the order of their time.
    "CREATE INDEX answers_in_time ON answers USING brin (answered_at) WITH (pages_per_range = 32)",
    # `answer_row` with themes.
    """
    CREATE TYPE themed_answer_row AS (
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
        themes text[],
        answered_at timestamptz,
        cause_id uuid,
        traceparent text,
        case_id uuid,
        waits_for_owner boolean
    )
    """,
    """
    CREATE TABLE initiatives (
        id uuid PRIMARY KEY,
        title text NOT NULL,
        problem text NOT NULL,
        root_causes text[] NOT NULL,
        themes text[] NOT NULL,
        department_id text NOT NULL REFERENCES departments,
        owner_id text NOT NULL REFERENCES agents,
        status text NOT NULL CHECK (status IN ('proposed', 'approved', 'in_progress', 'shipped', 'declined')),
        proposed_at timestamptz NOT NULL,
        budget double precision CHECK (budget >= 0),
        currency text,
        due_on date,
        decision_reason text,
        decided_at timestamptz,
        started_at timestamptz,
        shipped_at timestamptz,
        learned text,
        changed text,
        next_steps text,
        communicated_at timestamptz,
        campaign_id text,
        feedback_since timestamptz,
        communicate_by timestamptz,
        clock_stage text NOT NULL,
        fires_at timestamptz,
        version integer NOT NULL,
        CONSTRAINT decided_has_time CHECK ((status = 'proposed') = (decided_at IS NULL)),
        CONSTRAINT declined_has_reason CHECK (status <> 'declined' OR decision_reason IS NOT NULL),
        CONSTRAINT shipped_has_words CHECK ((status = 'shipped') = (changed IS NOT NULL)),
        CONSTRAINT only_the_shipped_is_told CHECK (communicated_at IS NULL OR status = 'shipped'),
        CONSTRAINT ended_is_silent CHECK (fires_at IS NULL OR (status <> 'declined' AND communicated_at IS NULL))
    )
    """,
    "CREATE INDEX initiatives_firing ON initiatives (fires_at) WHERE fires_at IS NOT NULL",
    # A proposal counts the cases behind it before it is written itself.
    """
    CREATE TABLE initiative_cases (
        initiative_id uuid NOT NULL REFERENCES initiatives DEFERRABLE INITIALLY DEFERRED,
        case_id uuid NOT NULL,
        added_at timestamptz NOT NULL,
        PRIMARY KEY (initiative_id, case_id)
    )
    """,
    "CREATE INDEX initiatives_of_case ON initiative_cases (case_id)",
    """
    CREATE TABLE initiative_history (
        initiative_id uuid NOT NULL REFERENCES initiatives,
        version integer NOT NULL,
        kind text NOT NULL,
        at timestamptz NOT NULL,
        actor_kind text NOT NULL,
        actor_id text NOT NULL,
        details json NOT NULL,
        text text,
        PRIMARY KEY (initiative_id, version)
    )
    """,
    # What many cases have in common is asked by root cause.
    """
    CREATE INDEX cases_by_root_cause ON cases (root_cause_id, opened_at) WHERE root_cause_id IS NOT NULL
    """,
)


def upgrade() -> None:
    for statement in _INITIATIVES:
        op.execute(statement)
