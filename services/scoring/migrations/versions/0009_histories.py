"""Who changed how customers may be reached; how far stored comments are read; versions of joinings; intervals."""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0009"
down_revision = "0008"

HISTORIES: Final = (
    # What an entry is about, as words: consents are "yes" and "no". `before` is null for the first one known.
    """
    CREATE TABLE contact_changes (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        customer_id text NOT NULL,
        what text NOT NULL CHECK (what IN ('email_consent', 'language', 'time_zone')),
        before text,
        after text NOT NULL,
        came_by text NOT NULL CHECK (came_by IN ('profile', 'survey_vendor', 'earlier_unsubscription')),
        told_by text NOT NULL,
        said_at timestamptz NOT NULL,
        noted_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX contact_changes_by_customer ON contact_changes (customer_id, id)",
    # What is counted when the reading begins; comments that come meanwhile are read when they come.
    """
    ALTER TABLE theme_taxonomies
        ADD COLUMN comments_read bigint NOT NULL DEFAULT 0,
        ADD COLUMN comments_to_read bigint
    """,
    # Counts each time that a person joins or parts a version.
    "ALTER TABLE instrument_versions ADD COLUMN revision integer NOT NULL DEFAULT 1",
    "ALTER TABLE account_scores ADD COLUMN ci_low double precision, ADD COLUMN ci_high double precision",
    "INSERT INTO account_scores_due (account_id) SELECT DISTINCT account_id FROM account_scores",
)


def upgrade() -> None:
    for statement in HISTORIES:
        op.execute(statement)
