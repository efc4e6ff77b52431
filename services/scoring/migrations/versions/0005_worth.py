"""Invitations, and rules that go by quantiles and programs."""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0005"
down_revision = "0004"

_STATEMENTS: Final[tuple[str, ...]] = (
    """
    ALTER TABLE accounts
        ADD COLUMN attributes jsonb NOT NULL DEFAULT '{}',
        ADD COLUMN source_version bigint,
        ADD COLUMN source_updated_at timestamptz
    """,
    """
    ALTER TABLE customers
        ADD COLUMN products jsonb NOT NULL DEFAULT '[]',
        ADD COLUMN tier_facts jsonb NOT NULL DEFAULT '[]',
        ADD COLUMN source_version bigint,
        ADD COLUMN source_updated_at timestamptz
    """,
    # Rules and the cut points of their quantiles are in force together, as one valuation; `customers.rules_version`
    # says by which one a customer was valued, and 0 that it has to be done again.
    """
    CREATE TABLE segment_valuations (
        version integer PRIMARY KEY,
        rules_version integer NOT NULL,
        cuts jsonb NOT NULL,
        customers bigint NOT NULL,
        computed_at timestamptz NOT NULL,
        checked_at timestamptz NOT NULL
    )
    """,
    """
    INSERT INTO segment_valuations (version, rules_version, cuts, customers, computed_at, checked_at)
    SELECT version, version, '[]', 0, created_at, created_at FROM segment_rules ORDER BY version DESC LIMIT 1
    """,
    "CREATE INDEX accounts_by_name ON accounts (name, id)",
    "CREATE INDEX customers_by_tier ON customers (tier, id)",
    # `silence` is decided once: unanswered or bounced where it concerns somebody important, passed where it does not.
    # An erasure leaves the row, which was counted, without the person and under another id.
    """
    CREATE TABLE invitations (
        id text PRIMARY KEY,
        customer_id text,
        program text NOT NULL,
        touchpoint text,
        channel text NOT NULL,
        tier text NOT NULL,
        invited_at timestamptz NOT NULL,
        bounced_at timestamptz,
        answered_at timestamptz,
        response_id text,
        silence text CHECK (silence IN ('unanswered', 'bounced', 'passed')),
        judged_at timestamptz,
        loaded_at timestamptz NOT NULL,
        looked_again boolean NOT NULL DEFAULT false
    )
    """,
    """
    CREATE INDEX invitations_by_customer ON invitations (customer_id, program, invited_at)
        WHERE customer_id IS NOT NULL
    """,
    "CREATE INDEX invitations_by_response ON invitations (response_id) WHERE response_id IS NOT NULL",
    """
    CREATE INDEX invitations_to_judge
        ON invitations ((CASE WHEN bounced_at IS NULL THEN invited_at ELSE '-infinity'::timestamptz END))
        WHERE silence IS NULL AND answered_at IS NULL AND customer_id IS NOT NULL
    """,
    "CREATE INDEX invitations_to_look_again ON invitations (loaded_at) WHERE NOT looked_again",
    "CREATE INDEX invitations_silent ON invitations (judged_at, id) WHERE silence IN ('unanswered', 'bounced')",
    """
    CREATE INDEX invitations_in_time ON invitations (invited_at)
        INCLUDE (program, tier, channel, bounced_at, answered_at)
    """,
    # Appended by whoever changes what an account's score follows from, and taken by a loop: a row that is seen is
    # committed, so nothing that it stands for can be missed.
    """
    CREATE TABLE account_scores_due (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        account_id text NOT NULL
    )
    """,
    """
    CREATE TABLE account_scores (
        account_id text NOT NULL,
        kind text NOT NULL,
        score double precision NOT NULL,
        answered integer NOT NULL,
        contacts integer NOT NULL,
        flagged boolean NOT NULL,
        good_until timestamptz NOT NULL,
        computed_at timestamptz NOT NULL,
        PRIMARY KEY (account_id, kind)
    )
    """,
    "CREATE INDEX account_scores_in_order ON account_scores (kind, score, account_id)",
    "CREATE INDEX account_scores_flagged ON account_scores (kind, score, account_id) WHERE flagged",
    "CREATE INDEX account_scores_by_end ON account_scores (good_until)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
