"""Who is not written to, what customers said to it, the company's rules of contact, and what was held back by them."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

_CONTACTS = (
    "ALTER TABLE profiles ADD COLUMN phone text, ADD COLUMN email_mark text, ADD COLUMN phone_mark text",
    # The same mark as libs.events.contracts.responses.address_mark makes.
    """
    UPDATE profiles
       SET email_mark = encode(sha256(convert_to(lower(btrim(email) COLLATE "C"), 'UTF8')), 'hex')
     WHERE email IS NOT NULL
    """,
    "CREATE INDEX profiles_by_email ON profiles (email_mark) WHERE email_mark IS NOT NULL",
    "CREATE INDEX profiles_by_phone ON profiles (phone_mark) WHERE phone_mark IS NOT NULL",
    # Of an address its mark is kept, never the address. What was taken off the list stays, with who and why.
    """
    CREATE TABLE suppressions (
        id uuid PRIMARY KEY,
        mark text NOT NULL,
        medium text NOT NULL CHECK (medium IN ('email', 'phone')),
        reason text NOT NULL,
        why text NOT NULL,
        customer_id text,
        message_id uuid,
        until timestamptz,
        added_at timestamptz NOT NULL,
        added_by text NOT NULL,
        removed_at timestamptz,
        removed_by text,
        removed_why text
    )
    """,
    "CREATE UNIQUE INDEX suppressions_in_force ON suppressions (mark) WHERE removed_at IS NULL",
    "CREATE INDEX suppressions_newest ON suppressions (added_at, id)",
    "CREATE INDEX suppressions_of_customer ON suppressions (customer_id) WHERE customer_id IS NOT NULL",
    # What came back softly, to be counted.
    """
    CREATE TABLE soft_bounces (
        message_id uuid PRIMARY KEY,
        mark text NOT NULL,
        at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX soft_bounces_of_address ON soft_bounces (mark, at)",
    # One row per customer: the sender reads it with each message. `choices`: "email/news" -> {granted, at, by, why}.
    """
    CREATE TABLE contact_choices (
        customer_id text PRIMARY KEY,
        choices jsonb NOT NULL
    )
    """,
    """
    CREATE TABLE contact_rules (
        revision integer PRIMARY KEY,
        document jsonb NOT NULL,
        by text NOT NULL,
        at timestamptz NOT NULL
    )
    """,
    # Each time that a message was made to wait. What is held back for good is a row of the ledger that says so.
    """
    CREATE TABLE waits (
        message_id uuid NOT NULL REFERENCES messages ON DELETE CASCADE,
        attempt integer NOT NULL,
        reason text NOT NULL,
        channel text NOT NULL,
        until timestamptz NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (message_id, attempt)
    )
    """,
    "CREATE INDEX waits_newest ON waits (at, message_id)",
    "ALTER TABLE messages ADD COLUMN address_mark text, ADD COLUMN channel text, ADD COLUMN bounce text",
    "CREATE INDEX messages_bounced ON messages (created_at, id) WHERE bounce IS NOT NULL",
    "CREATE INDEX messages_held ON messages (changed_at, id) WHERE status = 'suppressed'",
)


def upgrade() -> None:
    for statement in _CONTACTS:
        op.execute(statement)
