"""What is known of how one customer may be reached: profile, choices, suppressions, and what they were sent lately."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from services.notify.domain.contacts import Reach
from services.notify.store import contacts, profiles

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from sqlalchemy import Row

    from libs.events.contracts.messages import MessageKind
    from libs.events.database import Tx

# An address that was put on the list before it was this customer's is found by its mark; one that was theirs once, by
# the customer. The two halves have an index each.
_LISTED: Final = text("""
    SELECT s.id, s.medium, s.reason, s.why, s.customer_id, s.message_id, s.until, s.added_at, s.added_by, s.removed_at,
           s.removed_by, s.removed_why,
           coalesce(s.mark IN (p.email_mark, p.phone_mark), false) AND s.removed_at IS NULL
               AND (s.until IS NULL OR s.until > :now) AS holds
      FROM (SELECT e.* FROM suppressions e
              JOIN profiles o ON o.customer_id = :customer_id AND e.mark IN (o.email_mark, o.phone_mark)
             WHERE e.removed_at IS NULL
             UNION
            SELECT e.* FROM suppressions e WHERE e.customer_id = :customer_id) AS s
      LEFT JOIN profiles p ON p.customer_id = :customer_id
     ORDER BY s.added_at DESC, s.id DESC
     LIMIT 50
""")
# As the count of caps in `contacts`, without its locks: nothing is decided here.
_SENT: Final = text("""
    SELECT m.kind, coalesce(m.transmitting_at, m.changed_at) AS at
      FROM messages m
     WHERE m.customer_id = :customer_id AND m.created_at > :since
       AND m.status IN ('sending', 'transmitting', 'sent', 'doubtful')
     ORDER BY m.created_at DESC
     LIMIT 1000
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of one customer."""

    reach: Reach
    choices: dict[str, Any]
    """What they said: `choice_key` → granted, at, by, why."""
    listed: Sequence[Row[Any]]
    """Their entries on the list of those that are not written to, the newest first; `holds`: it holds now."""


async def known(tx: Tx, customer_id: str) -> Known:
    """What there is; of an unknown customer nothing but perhaps choices."""
    profile = (await profiles.get_profiles(tx, [customer_id])).get(customer_id)
    choices = await contacts.choices(tx, customer_id)
    listed = await tx.fetch(_LISTED, {"customer_id": customer_id, "now": tx.now})
    ordered = sorted(listed, key=lambda each: bool(each.reason != "unsubscribed"))  # the last word is about the address
    holding = {each.medium: each.reason for each in ordered if each.holds}
    reach = Reach(
        profile=profile,
        email_listed=holding.get("email"),
        phone_listed=holding.get("phone"),
        choices={key: bool(each["granted"]) for key, each in choices.items()},
    )
    return Known(reach=reach, choices=choices, listed=listed)


async def sent(tx: Tx, customer_id: str, *, within: timedelta) -> list[tuple[MessageKind, Any]]:
    """What they were sent lately, or may have been: kind and when."""
    rows = await tx.fetch(_SENT, {"customer_id": customer_id, "since": tx.now - within})
    return [(row.kind, row.at) for row in rows]
