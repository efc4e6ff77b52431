"""Messaging and API keys; sources with their secrets; deliveries; responses."""

from alembic import op

from libs.events.schema import MESSAGING_V1
from libs.webapi.schema import WEBAPI_V1

revision = "0001"
down_revision = None

INGEST_V1 = (
    # A deleted source stays: its deliveries belong to it, and its name keeps standing for the same responses.
    """
    CREATE TABLE sources (
        name text COLLATE "C" PRIMARY KEY,
        vendor text NOT NULL,
        program text NOT NULL,
        instrument jsonb NOT NULL,
        touchpoint text,
        language text,
        time_zone text NOT NULL,
        field_map jsonb NOT NULL,
        enabled boolean NOT NULL,
        version integer NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        deleted_at timestamptz
    )
    """,
    # Plain text, because an HMAC cannot be checked with less than the secret itself. What protects it: this schema
    # belongs to ingest's role alone, no statement that answers a request selects it, and no log line holds it. Whoever
    # reads the database's files or its back-ups reads the secrets: encrypt those.
    """
    CREATE TABLE source_secrets (
        id uuid PRIMARY KEY,
        source text COLLATE "C" NOT NULL REFERENCES sources (name),
        secret text NOT NULL CHECK (secret <> ''),
        created_at timestamptz NOT NULL,
        valid_until timestamptz
    )
    """,
    "CREATE INDEX source_secrets_by_source ON source_secrets (source)",
    # Ids are in order of time, so that the table grows at its end and pages by id. `conflict` is empty for the first
    # delivery with a key and the hash of the body for each further one with another body: one index keeps both promises
    # (a key is effective once, a conflicting body is kept once).
    """
    CREATE TABLE deliveries (
        id uuid PRIMARY KEY,
        source text COLLATE "C" NOT NULL,
        via text COLLATE "C" NOT NULL,
        delivery_key text COLLATE "C" NOT NULL,
        conflict bytea NOT NULL,
        body bytea NOT NULL,
        body_hash bytea NOT NULL,
        headers text NOT NULL,
        content_type text NOT NULL,
        received_at timestamptz NOT NULL,
        status text COLLATE "C" NOT NULL CHECK (status IN ('accepted', 'duplicate', 'quarantined', 'ignored')),
        reason text,
        response_id uuid,
        event_ids uuid[] NOT NULL,
        copies integer NOT NULL,
        replayed_at timestamptz
    )
    """,
    "CREATE UNIQUE INDEX deliveries_once ON deliveries (source, delivery_key, conflict)",
    "CREATE INDEX deliveries_of_source ON deliveries (source, id)",
    # What is not as it should be is rare and looked for; what was accepted is neither.
    "CREATE INDEX deliveries_to_look_at ON deliveries (status, id) WHERE status <> 'accepted'",
    """
    CREATE TABLE responses (
        id uuid PRIMARY KEY,
        source text COLLATE "C" NOT NULL,
        vendor_response_id text NOT NULL,
        revision integer NOT NULL,
        content_hash bytea NOT NULL,
        revised_at timestamptz,
        event_id uuid NOT NULL,
        received_at timestamptz NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in (*MESSAGING_V1, *WEBAPI_V1, *INGEST_V1):
        op.execute(statement)
