"""Callbacks that were agreed with customers, when customers may be called, and by which channels they can be."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"

_STATEMENTS = (
    # NULL: no profile has come since this column was there.
    "ALTER TABLE customers ADD COLUMN time_zone text, ADD COLUMN channels text[]",
    """
    CREATE TABLE callbacks (
        id uuid PRIMARY KEY,
        case_id uuid NOT NULL,
        at timestamptz NOT NULL,
        channel text NOT NULL,
        state text NOT NULL CHECK (state IN ('agreed', 'kept', 'missed', 'cancelled')),
        agreed_at timestamptz NOT NULL,
        agreed_by text NOT NULL,
        moves integer NOT NULL,
        settled_at timestamptz,
        outcome text,
        fires_at timestamptz,
        CONSTRAINT agreed_fires CHECK (state <> 'agreed' OR fires_at IS NOT NULL),
        CONSTRAINT settled_is_silent CHECK (state IN ('agreed', 'missed') OR fires_at IS NULL)
    )
    """,
    "CREATE UNIQUE INDEX one_agreed_callback_per_case ON callbacks (case_id) WHERE state = 'agreed'",
    "CREATE INDEX callbacks_by_case ON callbacks (case_id, agreed_at)",
    "CREATE INDEX callbacks_firing ON callbacks (fires_at) WHERE fires_at IS NOT NULL",
    # What is to be done today, by everybody; each person's are a handful of them.
    "CREATE INDEX callbacks_in_time ON callbacks (at, id)",
    """
    CREATE TABLE contact_rules (
        id text PRIMARY KEY CHECK (id = 'company'),
        zone text NOT NULL,
        week json NOT NULL,
        early_minutes integer NOT NULL,
        grace_minutes integer NOT NULL,
        climbs_after_minutes integer NOT NULL,
        pause_minutes integer NOT NULL,
        version integer NOT NULL
    )
    """,
    # Working days from 9 to 20, Saturdays from 10 to 17, on the customer's clock.
    """
    INSERT INTO contact_rules VALUES (
        'company', 'Europe/Moscow',
        '[[[540,1200]],[[540,1200]],[[540,1200]],[[540,1200]],[[540,1200]],[[600,1020]],[]]',
        30, 15, 120, 180, 1)
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
