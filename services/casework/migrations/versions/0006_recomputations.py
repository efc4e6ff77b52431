"""Clocks that are counted anew on request, and when the clocks were last gone through."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"

_STATEMENTS = (
    # `reached`: the id of the last case that was dealt with; cases are taken in the order of their ids.
    """
    CREATE TABLE recomputations (
        id uuid PRIMARY KEY,
        program text,
        tier text,
        level text,
        calendar_id text,
        dry_run boolean NOT NULL,
        actor_kind text NOT NULL,
        actor_id text NOT NULL,
        asked_at timestamptz NOT NULL,
        status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'done', 'failed')),
        reached uuid,
        seen integer NOT NULL DEFAULT 0,
        changed integer NOT NULL DEFAULT 0,
        breached integer NOT NULL DEFAULT 0,
        failure text,
        ended_at timestamptz
    )
    """,
    "CREATE INDEX recomputations_running ON recomputations (asked_at, id) WHERE status = 'running'",
    "CREATE INDEX recomputations_latest ON recomputations (asked_at DESC, id DESC)",
    """
    CREATE TABLE recomputed_breaches (
        recomputation_id uuid NOT NULL REFERENCES recomputations,
        case_id uuid NOT NULL,
        clocks text[] NOT NULL,
        PRIMARY KEY (recomputation_id, case_id)
    )
    """,
    # One row. The loop writes it, so that any process sees whether there is a loop at all.
    "CREATE TABLE clock_checks (checked_at timestamptz NOT NULL)",
    "INSERT INTO clock_checks VALUES (now())",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
