"""Providers of SMS and messengers, employees' chats, and how long a message may be asked for again under its key."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"

_PROVIDERS = (
    # Its headers hold the provider's secrets. A provider is switched off and never deleted: revisions only grow.
    """
    CREATE TABLE providers (
        name text PRIMARY KEY,
        channel text NOT NULL CHECK (channel IN ('sms', 'messenger')),
        document jsonb NOT NULL,
        enabled boolean NOT NULL,
        revision integer NOT NULL,
        by text NOT NULL,
        at timestamptz NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX one_provider_of_a_channel ON providers (channel) WHERE enabled",
    """
    CREATE TABLE employee_chats (
        employee_id text PRIMARY KEY,
        address text NOT NULL,
        by text NOT NULL,
        at timestamptz NOT NULL
    )
    """,
    "ALTER TABLE messages ADD COLUMN provider text, ADD COLUMN repeatable_until timestamptz",
)


def upgrade() -> None:
    for statement in _PROVIDERS:
        op.execute(statement)
