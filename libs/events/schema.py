"""The tables that the messaging guarantee needs in every service's schema, as numbered, never edited steps."""

from __future__ import annotations

from typing import Final

MESSAGING_V1: Final = (
    # What each consumer has already taken effect of; the reason why a second delivery changes nothing.
    """
    CREATE TABLE inbox (
        event_id uuid NOT NULL,
        consumer text NOT NULL,
        handled_at timestamptz NOT NULL,
        PRIMARY KEY (event_id, consumer)
    )
    """,
    "CREATE INDEX inbox_handled_at ON inbox USING brin (handled_at)",
    # What is committed and not yet published. Rows live for milliseconds, so vacuum by count, not by share.
    """
    CREATE TABLE outbox (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        topic text NOT NULL,
        key text NOT NULL,
        headers bytea NOT NULL,
        value bytea,
        emitted_at timestamptz NOT NULL
    ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000)
    """,
)
