"""Cases of passives and promoters by rules, with clocks of their own, and thanks for all others."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"

_STATEMENTS = (
    # A row of a process that still runs the older code is an ordinary case.
    "ALTER TABLE cases ADD COLUMN kind text NOT NULL DEFAULT 'full' CHECK (kind IN ('full', 'light'))",
    # The latest version is in force.
    """
    CREATE TABLE outreach_rules (
        version integer PRIMARY KEY,
        document json NOT NULL,
        at timestamptz NOT NULL,
        actor_kind text NOT NULL,
        actor_id text NOT NULL
    )
    """,
    # A passive of the key tier is nearly lost, and a promoter who speaks of recommending us can be a reference.
    """
    INSERT INTO outreach_rules VALUES (1,
        '{"rules": [
            {"id": "passive_key", "then": "case", "nps_classes": ["passive"], "tiers": ["key"]},
            {"id": "promoter_reference", "then": "case", "nps_classes": ["promoter"], "themes": ["reference"]}],
          "otherwise": "thanks", "thank_after_minutes": 60}',
        now(), 'key', 'otklik')
    """,
    # One row for each answer that was ever to be thanked for, so that nobody is thanked twice for one.
    """
    CREATE TABLE thanks (
        response_id text PRIMARY KEY,
        customer_id text NOT NULL,
        due_at timestamptz NOT NULL,
        settled_at timestamptz,
        result text CHECK (result IN ('asked', 'case', 'worse', 'withdrawn', 'erased')),
        CONSTRAINT settled_has_result CHECK ((settled_at IS NULL) = (result IS NULL))
    )
    """,
    "CREATE INDEX thanks_due ON thanks (due_at) WHERE settled_at IS NULL",
    # The policies of light cases are those of a program that no survey can have.
    """
    INSERT INTO program_policies (
           program, tier, first_contact_hours, resolution_hours, reopened_first_contact_hours,
           reopened_resolution_hours, management_hours, executive_hours, confirmation_days, longest_wait_days,
           warnings, calendar_id, version)
    SELECT '~light', tier, 120, 720, 72, 360, 72, 144, 7, 30, ARRAY[0.75], NULL, 1
      FROM unnest(ARRAY['key', 'high', 'standard', 'low']) AS tier
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
