"""The portal's tables: people and their sessions, failed log-ins, and the events of the stream."""

from alembic import op

from libs.events.schema import MESSAGING_V1
from libs.webapi.schema import WEBAPI_V1

revision = "0001"
down_revision = None

PORTAL_V1 = (
    """
    CREATE TABLE people (
        person_id text PRIMARY KEY CHECK (person_id ~ '^[A-Za-z0-9._@-]{1,128}$'),
        login text NOT NULL UNIQUE CHECK (login <> ''),
        name text NOT NULL,
        email text NOT NULL,
        role text NOT NULL
            CHECK (role IN ('agent', 'manager', 'executive', 'employee', 'operator', 'administrator')),
        language text NOT NULL CHECK (language IN ('ru', 'en')),
        password_hash text NOT NULL,
        created_at timestamptz NOT NULL,
        disabled_at timestamptz
    )
    """,
    """
    CREATE TABLE sessions (
        token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
        person_id text NOT NULL REFERENCES people ON DELETE CASCADE,
        created_at timestamptz NOT NULL,
        seen_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX sessions_of_person ON sessions (person_id)",
    "CREATE INDEX sessions_by_expiry ON sessions (expires_at)",
    # `subject` is a keyed hash: people type passwords into the wrong field, and addresses are personal data.
    """
    CREATE TABLE login_attempts (
        subject bytea PRIMARY KEY,
        failures integer NOT NULL,
        last_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX login_attempts_by_age ON login_attempts (last_at)",
    # `txid` first: readers take only what is older than every transaction under way, in this order.
    """
    CREATE TABLE events (
        txid xid8 NOT NULL DEFAULT pg_current_xact_id(),
        number bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
        event_id uuid NOT NULL,
        type text NOT NULL,
        subject text NOT NULL,
        happened_at timestamptz NOT NULL,
        received_at timestamptz NOT NULL,
        facts jsonb NOT NULL,
        PRIMARY KEY (txid, number)
    )
    """,
    "CREATE INDEX events_by_age ON events (received_at)",
    # For erasures alone: they are rare, but must not read a month of the stream.
    "CREATE INDEX events_by_customer ON events ((facts ->> 'customer_id'))",
    # Who asked to be forgotten, by a hash, because older events of theirs may still be on their way from other topics.
    """
    CREATE TABLE forgotten_customers (
        customer_hash bytea PRIMARY KEY,
        forgotten_at timestamptz NOT NULL
    )
    """,
    # How the loop is doing, by the company's day; counted as events arrive, so that nobody ever counts the stream.
    """
    CREATE TABLE daily_counts (
        day date NOT NULL,
        step text NOT NULL,
        n bigint NOT NULL,
        PRIMARY KEY (day, step)
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)
    """,
)


def upgrade() -> None:
    for statement in (*MESSAGING_V1, *WEBAPI_V1, *PORTAL_V1):
        op.execute(statement)
