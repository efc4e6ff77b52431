"""Profiles, the ledger of messages and the rounds of confirmation."""

from __future__ import annotations

from alembic import op

from libs.events.schema import MESSAGING_V1
from libs.webapi.schema import WEBAPI_V1

revision = "0001"
down_revision = None

_NOTIFY_V1 = (
    # The latest profile of each customer, as far as a message to them needs it. An erasure deletes the row.
    """
    CREATE TABLE profiles (
        customer_id text PRIMARY KEY,
        version integer NOT NULL,
        name text NOT NULL,
        email text,
        language text NOT NULL,
        time_zone text NOT NULL,
        email_consent boolean NOT NULL
    )
    """,
    # The ledger. The address of a customer is not in it: it comes from the profile at the moment of sending. Of an
    # employee, the address came with the event and is kept here. `due_at`: queued - not before; waiting - not after;
    # doubtful - when the receiving side is asked next.
    """
    CREATE TABLE messages (
        id uuid PRIMARY KEY,
        cause_id uuid NOT NULL,
        recipient text NOT NULL,
        kind text NOT NULL,
        case_id text,
        case_version integer,
        round integer,
        customer_id text,
        employee_id text,
        address text,
        name text,
        language text,
        facts jsonb NOT NULL,
        status text NOT NULL CHECK (status IN (
            'waiting', 'queued', 'sending', 'transmitting', 'sent', 'failed', 'doubtful', 'suppressed')),
        reason text,
        attempt integer NOT NULL DEFAULT 0,
        failures integer NOT NULL DEFAULT 0,
        due_at timestamptz NOT NULL,
        sender bigint,
        transmitting_at timestamptz,
        created_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        traceparent text,
        CONSTRAINT once UNIQUE (cause_id, recipient),
        CONSTRAINT somebody_sends CHECK ((status IN ('sending', 'transmitting')) = (sender IS NOT NULL))
    )
    """,
    "CREATE INDEX messages_due ON messages (due_at, id) WHERE status = 'queued'",
    "CREATE INDEX messages_waiting ON messages (due_at) WHERE status = 'waiting'",
    "CREATE INDEX messages_in_hand ON messages (status) WHERE status IN ('sending', 'transmitting')",
    "CREATE INDEX messages_doubtful ON messages (due_at) WHERE status = 'doubtful'",
    "CREATE INDEX messages_of_case ON messages (case_id, created_at)",
    "CREATE INDEX messages_of_customer ON messages (customer_id, created_at) WHERE customer_id IS NOT NULL",
    "CREATE INDEX messages_of_employee ON messages (employee_id, created_at) WHERE employee_id IS NOT NULL",
    "CREATE INDEX messages_newest ON messages (created_at, id)",
    "CREATE INDEX messages_by_status ON messages (status, created_at, id)",
    # One resolution that the customer is asked to confirm; over when answered, or when the case moved on.
    """
    CREATE TABLE confirmations (
        case_id text NOT NULL,
        round integer NOT NULL,
        case_version integer NOT NULL,
        message_id uuid NOT NULL UNIQUE,
        customer_id text,
        agent_name text NOT NULL,
        asked_about timestamptz NOT NULL,
        confirm_by timestamptz NOT NULL,
        ended text CHECK (ended IN ('confirmed', 'unconfirmed', 'reopened', 'asked_again')),
        solved boolean,
        comment text,
        answers integer NOT NULL DEFAULT 0,
        answered_at timestamptz,
        PRIMARY KEY (case_id, round)
    )
    """,
    "CREATE INDEX confirmations_of_customer ON confirmations (customer_id) WHERE customer_id IS NOT NULL",
)


def upgrade() -> None:
    for statement in (*MESSAGING_V1, *WEBAPI_V1, *_NOTIFY_V1):
        op.execute(statement)
