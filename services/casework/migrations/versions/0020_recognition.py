"""Who is proposed to be named for closing loops exceptionally well, and who does not want to be."""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"

_STATEMENTS = (
    # A month that was looked at is not looked at again, also where nobody was proposed.
    "CREATE TABLE recognition_months (month date PRIMARY KEY, looked_at timestamptz NOT NULL)",
    """
    CREATE TABLE recognitions (
        id uuid PRIMARY KEY,
        month date NOT NULL REFERENCES recognition_months,
        agent_id text NOT NULL REFERENCES agents,
        cases integer NOT NULL,
        confirmed integer NOT NULL,
        in_time integer NOT NULL,
        never_reopened integer NOT NULL,
        well integer NOT NULL,
        share double precision NOT NULL,
        low double precision NOT NULL,
        high double precision NOT NULL,
        expected double precision NOT NULL,
        status text NOT NULL CHECK (status IN ('proposed', 'approved', 'declined')),
        proposed_at timestamptz NOT NULL,
        decided_by text,
        decided_at timestamptz,
        reason text,
        version integer NOT NULL,
        UNIQUE (month, agent_id),
        CONSTRAINT decided_has_time CHECK ((status = 'proposed') = (decided_at IS NULL)),
        CONSTRAINT decided_by_somebody_else CHECK (decided_by <> agent_id),
        CONSTRAINT declined_has_reason CHECK (status <> 'declined' OR reason IS NOT NULL)
    )
    """,
    "CREATE INDEX recognitions_approved ON recognitions (decided_at) WHERE status = 'approved'",
    "CREATE TABLE recognition_choices (agent_id text PRIMARY KEY REFERENCES agents, at timestamptz NOT NULL)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
