"""What each resolution was, with the effort it took the customer; and how each root cause read at each version."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"

_STATEMENTS = (
    """
    CREATE TABLE root_cause_versions (
        root_cause_id text NOT NULL REFERENCES root_causes,
        version integer NOT NULL,
        parent_id text,
        name_ru text NOT NULL,
        name_en text NOT NULL,
        retired boolean NOT NULL,
        at timestamptz NOT NULL,
        actor_kind text NOT NULL,
        actor_id text NOT NULL,
        PRIMARY KEY (root_cause_id, version)
    )
    """,
    # How they read before is not known.
    """
    INSERT INTO root_cause_versions
    SELECT id, version, parent_id, name_ru, name_en, retired, now(), 'key', 'otklik' FROM root_causes
    """,
    # A row for each round that ended in a resolution. NULL: nobody asked the customer, or it was before this table.
    """
    CREATE TABLE resolutions (
        case_id uuid NOT NULL,
        round integer NOT NULL,
        at timestamptz NOT NULL,
        root_cause_id text NOT NULL,
        root_cause_version integer NOT NULL,
        customer_contacts integer CHECK (customer_contacts BETWEEN 1 AND 99),
        passed_on boolean,
        PRIMARY KEY (case_id, round)
    )
    """,
    """
    INSERT INTO resolutions (case_id, round, at, root_cause_id, root_cause_version)
    SELECT case_id, CAST(details ->> 'round' AS integer), at, details ->> 'root_cause_id', root_causes.version
      FROM timeline JOIN root_causes ON root_causes.id = details ->> 'root_cause_id'
     WHERE kind = 'resolved'
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
