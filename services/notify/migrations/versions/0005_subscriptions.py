"""Subscriptions, and what is delivered to them."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"

_STATEMENTS = (
    # Secrets are kept as they are, because signing needs them; no answer but that of making or changing one holds them.
    """
    CREATE TABLE subscriptions (
        id uuid PRIMARY KEY,
        owner text NOT NULL,
        name text NOT NULL,
        url text NOT NULL,
        types text[] NOT NULL,
        sees text NOT NULL,
        contact_id text NOT NULL,
        contact_name text NOT NULL,
        contact_email text NOT NULL,
        contact_language text NOT NULL,
        disabled text CHECK (disabled IN ('by_hand', 'gone', 'failing')),
        failing_since timestamptz,
        paused_until timestamptz,
        secret text NOT NULL,
        previous_secret text,
        previous_until timestamptz,
        version integer NOT NULL DEFAULT 1,
        created_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        CONSTRAINT one_name_per_owner UNIQUE (owner, name)
    )
    """,
    # What is sent, once for all subscriptions that see the same of it. An erasure empties the body.
    """
    CREATE TABLE hook_bodies (
        event_id uuid NOT NULL,
        sees text NOT NULL,
        customer_id text,
        body bytea,
        created_at timestamptz NOT NULL,
        PRIMARY KEY (event_id, sees)
    )
    """,
    "CREATE INDEX hook_bodies_of_customer ON hook_bodies (customer_id) WHERE customer_id IS NOT NULL",
    "CREATE INDEX hook_bodies_oldest ON hook_bodies (created_at)",
    # One row per event and subscription. Until `claimed_until` a pending row is in a process's hands, and `attempt`
    # tells that process apart from the next one; neither is indexed, so claiming touches no index. `history` has the
    # attempts that failed.
    """
    CREATE TABLE hook_deliveries (
        subscription_id uuid NOT NULL,
        event_id uuid NOT NULL,
        type text NOT NULL,
        sees text NOT NULL,
        status text NOT NULL CHECK (status IN ('pending', 'delivered', 'failed', 'erased')),
        attempt integer NOT NULL DEFAULT 0,
        failures integer NOT NULL DEFAULT 0,
        due_at timestamptz NOT NULL,
        claimed_until timestamptz,
        status_code integer,
        took_ms integer,
        trouble text,
        history jsonb NOT NULL DEFAULT '[]',
        created_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        PRIMARY KEY (event_id, subscription_id)
    ) WITH (fillfactor = 70)
    """,
    "CREATE INDEX hook_deliveries_due ON hook_deliveries (subscription_id, due_at, event_id) WHERE status = 'pending'",
    "CREATE INDEX hook_deliveries_newest ON hook_deliveries (subscription_id, created_at, event_id)",
    # Topics come in no order among themselves: what comes after the erasure and happened before it is not kept.
    """
    CREATE TABLE hook_erasures (
        customer_id text PRIMARY KEY,
        erased_at timestamptz NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
