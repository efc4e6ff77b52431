"""Lists of messages by kind, of a campaign's by what became of them, and what providers answered: by index each."""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0013"
down_revision = "0012"

LISTS: Final = (
    # Of the kinds that most messages are of, the newest are soon found among the newest of all; and an index costs each
    # message as often as it moves on.
    """
    CREATE INDEX messages_of_rare_kind ON messages (kind, created_at, id)
     WHERE kind NOT IN ('thanks', 'confirmation_request', 'changes_for_customers')
    """,
    """
    CREATE INDEX messages_not_sent ON messages (cause_id, status, recipient)
     WHERE status IN ('failed', 'doubtful', 'suppressed')
    """,
    "CREATE INDEX messages_of_provider ON messages (provider, changed_at) WHERE provider IS NOT NULL",
)


def upgrade() -> None:
    for statement in LISTS:
        op.execute(statement)
