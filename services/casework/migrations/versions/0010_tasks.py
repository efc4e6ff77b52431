"""Tasks of departments and promises to customers, with clocks of their own."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"

_STATEMENTS = (
    # How long a department has for a task, in the hours of its calendar or else of every day.
    """
    ALTER TABLE departments
        ADD COLUMN task_hours integer NOT NULL DEFAULT 48,
        ADD COLUMN calendar_id text REFERENCES calendars
    """,
    """
    CREATE TABLE tasks (
        id uuid PRIMARY KEY,
        case_id uuid NOT NULL,
        kind text NOT NULL CHECK (kind IN ('department', 'follow_up')),
        title text,
        department_id text,
        owner_id text NOT NULL CHECK (owner_id <> ''),
        state text NOT NULL CHECK (state IN ('open', 'done', 'declined')),
        opened_at timestamptz NOT NULL,
        due_at timestamptz NOT NULL,
        warn_at timestamptz NOT NULL,
        stage text NOT NULL,
        later timestamptz[],
        ended_at timestamptz,
        declined_because text,
        version integer NOT NULL,
        fires_at timestamptz,
        CONSTRAINT ended_has_time CHECK ((state = 'open') = (ended_at IS NULL)),
        CONSTRAINT ended_is_silent CHECK (state = 'open' OR fires_at IS NULL),
        CONSTRAINT declined_has_reason CHECK ((state = 'declined') = (declined_because IS NOT NULL)),
        CONSTRAINT department_is_known CHECK (kind <> 'department' OR department_id IS NOT NULL)
    )
    """,
    "CREATE INDEX tasks_by_case ON tasks (case_id, opened_at, id)",
    "CREATE INDEX tasks_firing ON tasks (fires_at) WHERE fires_at IS NOT NULL",
    "CREATE INDEX tasks_by_state ON tasks (state, due_at, id)",
    "CREATE INDEX tasks_by_owner ON tasks (owner_id, state, due_at, id)",
    "CREATE INDEX tasks_by_department ON tasks (department_id, state, due_at, id)",
    """
    CREATE TYPE task_row AS (
        id uuid,
        case_id uuid,
        kind text,
        title text,
        department_id text,
        owner_id text,
        state text,
        opened_at timestamptz,
        due_at timestamptz,
        warn_at timestamptz,
        stage text,
        later timestamptz[],
        ended_at timestamptz,
        declined_because text,
        version integer,
        fires_at timestamptz
    )
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
