"""Digests for employees: what each said, how far each was told, and who wants none."""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0011"
down_revision = "0010"

_STATEMENTS: Final = (
    # No digest tells of a time before there was anybody to make one.
    "CREATE TABLE digests_begin (at timestamptz NOT NULL)",
    "INSERT INTO digests_begin VALUES (now())",
    """
    CREATE TABLE digests (
        id uuid PRIMARY KEY,
        kind text NOT NULL CHECK (kind IN ('weekly', 'monthly')),
        starts date NOT NULL,
        ends date NOT NULL,
        zone text NOT NULL,
        content jsonb NOT NULL,
        frozen_at timestamptz NOT NULL,
        stage text NOT NULL CHECK (stage IN ('people', 'lists', 'told')),
        position text,
        told_at timestamptz,
        UNIQUE (kind, starts),
        CONSTRAINT told_has_time CHECK ((stage = 'told') = (told_at IS NOT NULL))
    )
    """,
    "CREATE INDEX digests_being_told ON digests (frozen_at) WHERE stage <> 'told'",
    # What customers wrote, apart from the rest: an erasure takes it out.
    """
    CREATE TABLE digest_quotes (
        digest_id uuid NOT NULL REFERENCES digests,
        place integer NOT NULL,
        customer_id text,
        score integer,
        touchpoint text,
        said text NOT NULL,
        PRIMARY KEY (digest_id, place)
    )
    """,
    "CREATE INDEX digest_quotes_of_customer ON digest_quotes (customer_id) WHERE customer_id IS NOT NULL",
    # Who wants no digest of a kind: there is a row.
    """
    CREATE TABLE digest_refusals (
        employee_id text NOT NULL,
        kind text NOT NULL CHECK (kind IN ('weekly', 'monthly')),
        at timestamptz NOT NULL,
        PRIMARY KEY (employee_id, kind)
    )
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
