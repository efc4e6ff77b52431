"""Customers, accounts, segment rules, instruments and responses."""

from __future__ import annotations

from alembic import op

from libs.events.schema import MESSAGING_V1
from libs.webapi.schema import WEBAPI_V1

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SCORING = (
    """
    CREATE TABLE accounts (
        id text PRIMARY KEY,
        version bigint NOT NULL,
        name text NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE segment_rules (
        version integer PRIMARY KEY,
        document jsonb NOT NULL,
        created_at timestamptz NOT NULL,
        created_by text NOT NULL
    )
    """,
    # Where to begin; every company edits them.
    """
    INSERT INTO segment_rules (version, document, created_at, created_by) VALUES (1, '{
        "default": "standard",
        "rules": [
            {"tier": "key", "when": [{"field": "current_value", "op": ">=", "value": 1000000}]},
            {"tier": "key", "when": [{"field": "potential_value", "op": ">=", "value": 1000000}]},
            {"tier": "high", "when": [{"field": "current_value", "op": ">=", "value": 200000}]},
            {"tier": "high", "when": [{"field": "potential_value", "op": ">=", "value": 200000}]},
            {"tier": "low", "when": [{"field": "current_value", "op": "<", "value": 10000},
                                     {"field": "potential_value", "op": "<", "value": 10000}]}
        ]
    }', now(), 'installation')
    """,
    # The account may come after its customers, so it is no foreign key.
    """
    CREATE TABLE customers (
        id text PRIMARY KEY,
        version bigint NOT NULL,
        name text NOT NULL,
        email text,
        phone text,
        language text NOT NULL,
        time_zone text NOT NULL,
        account_id text,
        account_role text,
        current_value double precision,
        potential_value double precision,
        attributes jsonb NOT NULL,
        email_consent boolean NOT NULL,
        tier text NOT NULL,
        tier_reason text NOT NULL,
        rules_version integer NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX customers_by_account ON customers (account_id, id) WHERE account_id IS NOT NULL",
    "CREATE INDEX customers_by_rules_version ON customers (rules_version, id)",
    # Of somebody erased nothing is left but the hash of their id, so that late answers find it.
    """
    CREATE TABLE erasures (
        mark bytea PRIMARY KEY CHECK (octet_length(mark) = 32),
        last_version bigint NOT NULL,
        erased_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE instrument_versions (
        instrument_id uuid NOT NULL,
        version integer NOT NULL,
        fingerprint bytea NOT NULL,
        program text NOT NULL,
        touchpoint text,
        metric text NOT NULL,
        question text NOT NULL,
        scale_min integer NOT NULL,
        scale_max integer NOT NULL,
        kind text NOT NULL,
        channel text NOT NULL,
        sampling text NOT NULL,
        branded boolean NOT NULL,
        first_answered_at timestamptz NOT NULL,
        registered_at timestamptz NOT NULL,
        PRIMARY KEY (instrument_id, version),
        UNIQUE (instrument_id, fingerprint)
    )
    """,
    """
    CREATE INDEX instrument_versions_in_order
        ON instrument_versions (program, coalesce(touchpoint, ''), instrument_id, version)
    """,
    # One row per response; (source, vendor_response_id) is in its id. The instrument is registered in the same
    # transaction; a foreign key would look it up again for every row.
    """
    CREATE TABLE responses (
        id text PRIMARY KEY,
        revision integer NOT NULL,
        source text NOT NULL,
        vendor_response_id text,
        program text NOT NULL,
        touchpoint text,
        kind text NOT NULL,
        metric text NOT NULL,
        score integer,
        nps_class text CHECK (nps_class IN ('promoter', 'passive', 'detractor')),
        claimed_class text,
        class_contradicted boolean NOT NULL,
        comment text,
        customer_id text,
        tier text NOT NULL,
        tier_reason text NOT NULL,
        language text,
        instrument_id uuid NOT NULL,
        instrument_version integer NOT NULL,
        answered_at timestamptz NOT NULL,
        received_at timestamptz NOT NULL,
        erased boolean NOT NULL,
        scored_at timestamptz NOT NULL,
        CHECK (score IS NOT NULL OR nps_class IS NULL),
        CHECK (NOT erased OR (customer_id IS NULL AND comment IS NULL))
    )
    """,
    "CREATE INDEX responses_by_customer ON responses (customer_id) WHERE customer_id IS NOT NULL",
    """
    CREATE INDEX responses_by_class ON responses (program, answered_at)
        INCLUDE (kind, touchpoint, tier, nps_class) WHERE nps_class IS NOT NULL
    """,
)


def upgrade() -> None:
    for statement in (*MESSAGING_V1, *WEBAPI_V1, *_SCORING):
        op.execute(statement)
