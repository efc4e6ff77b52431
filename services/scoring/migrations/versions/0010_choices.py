"""What customers said to kinds of mails, and when they last consented to any; by whom it came."""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0010"
down_revision = "0009"

CHOICES: Final = (
    """
    ALTER TABLE customers
        ADD COLUMN email_consented_at timestamptz,
        ADD COLUMN email_choices jsonb NOT NULL DEFAULT '{}'
    """,
    """
    UPDATE customers SET email_consented_at = consents.consented_at
      FROM consents
     WHERE consents.mark = sha256(convert_to(customers.id, 'UTF8')) AND consents.consented_at IS NOT NULL
    """,
    """
    ALTER TABLE contact_changes
        DROP CONSTRAINT contact_changes_what_check,
        DROP CONSTRAINT contact_changes_came_by_check,
        ADD CONSTRAINT contact_changes_what_check
            CHECK (what IN ('email_consent', 'email_service', 'email_courtesy', 'email_news', 'language', 'time_zone')),
        ADD CONSTRAINT contact_changes_came_by_check
            CHECK (came_by IN ('profile', 'survey_vendor', 'link', 'complaint', 'operator', 'earlier_unsubscription'))
    """,
)


def upgrade() -> None:
    for statement in CHOICES:
        op.execute(statement)
