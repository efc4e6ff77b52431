"""Dry runs of segment rules that go on by themselves, and who would move by each."""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0011"
down_revision = "0010"

DRY_RUNS: Final = (
    # `reached` is the last customer that was looked at, and is forgotten with the end.
    """
    CREATE TABLE segment_dry_runs (
        id uuid PRIMARY KEY,
        document jsonb NOT NULL,
        rules_version integer NOT NULL,
        valuation integer NOT NULL,
        asked_at timestamptz NOT NULL,
        asked_by text NOT NULL,
        status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'done', 'cancelled', 'failed')),
        stepped_at timestamptz NOT NULL,
        cuts jsonb,
        customers bigint,
        reached text NOT NULL DEFAULT '',
        seen bigint NOT NULL DEFAULT 0,
        counts jsonb NOT NULL DEFAULT '[]',
        failure text,
        ended_at timestamptz,
        CHECK ((status = 'running') = (ended_at IS NULL)),
        CHECK ((cuts IS NULL) = (customers IS NULL))
    )
    """,
    "CREATE INDEX segment_dry_runs_running ON segment_dry_runs (stepped_at, id) WHERE status = 'running'",
    "CREATE INDEX segment_dry_runs_asked ON segment_dry_runs (asked_at, id)",
    """
    CREATE TABLE segment_dry_run_movers (
        run_id uuid NOT NULL REFERENCES segment_dry_runs (id) ON DELETE CASCADE,
        customer_id text NOT NULL,
        from_tier text NOT NULL,
        to_tier text NOT NULL,
        reason text NOT NULL,
        facts jsonb NOT NULL,
        PRIMARY KEY (run_id, customer_id)
    )
    """,
    "CREATE INDEX segment_dry_run_movers_of_customer ON segment_dry_run_movers (customer_id)",
)


def upgrade() -> None:
    for statement in DRY_RUNS:
        op.execute(statement)
