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

MESSAGING_V2: Final = (
    # With how many processes a record was in hand that is not done; see libs.events.attempts. Empty at rest.
    """
    CREATE TABLE attempts (
        consumer text NOT NULL,
        place uuid NOT NULL,
        attempts integer NOT NULL,
        noted_at timestamptz NOT NULL,
        PRIMARY KEY (consumer, place)
    )
    """,
    # The partitions that a consumer has begun to read: where one of these has no committed offset, it was lost.
    """
    CREATE TABLE begun (
        consumer text NOT NULL,
        topic text NOT NULL,
        partition integer NOT NULL,
        begun_at timestamptz NOT NULL,
        PRIMARY KEY (consumer, topic, partition)
    )
    """,
)
