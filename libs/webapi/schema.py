"""The tables that every HTTP service has in its own schema: API keys and the answers to repeatable commands."""

from __future__ import annotations

from typing import Final

WEBAPI_V1: Final[tuple[str, ...]] = (
    """
    CREATE TABLE api_keys (
        key_hash bytea PRIMARY KEY CHECK (octet_length(key_hash) = 32),
        name text NOT NULL CHECK (name <> ''),
        scopes text[] NOT NULL,
        created_at timestamptz NOT NULL,
        revoked_at timestamptz,
        last_used_on date
    )
    """,
    "CREATE INDEX api_keys_by_name ON api_keys (name)",
    """
    CREATE TABLE idempotency_keys (
        principal text NOT NULL,
        key text NOT NULL,
        command_id uuid NOT NULL,
        fingerprint bytea NOT NULL,
        status smallint,
        headers jsonb,
        body bytea,
        created_at timestamptz NOT NULL,
        PRIMARY KEY (principal, key)
    )
    """,
    "CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at)",
)
"""Single statements, executed in this order by a service's first migration."""
