"""Trials of providers: what each answered to a message that was for nobody's customer."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    # Neither the number nor the words are kept. `asked_at`: somebody is asking, or was when their process ended.
    op.execute("""
        CREATE TABLE provider_trials (
            id uuid PRIMARY KEY,
            provider text NOT NULL,
            by text NOT NULL,
            created_at timestamptz NOT NULL,
            asked_at timestamptz,
            answered_at timestamptz,
            outcome text CHECK (outcome IN ('accepted', 'later', 'refused', 'doubtful')),
            said text,
            status integer,
            answer text
        )
    """)
    op.execute("CREATE INDEX provider_trials_oldest ON provider_trials (created_at)")
