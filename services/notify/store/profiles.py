"""The latest profile of each customer, and how a customer is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from libs.events.contracts.responses import address_mark
from services.notify.domain.messages import Profile, phone_mark
from services.notify.store.ledger import entries

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from libs.events.database import Tx
    from services.notify.domain.messages import Entry

_PUT: Final = text("""
    INSERT INTO profiles (customer_id, version, name, email, language, time_zone, email_consent, phone, email_mark,
                          phone_mark, tier)
    SELECT * FROM unnest(CAST(:customer_ids AS text[]), CAST(:versions AS integer[]), CAST(:names AS text[]),
                         CAST(:emails AS text[]), CAST(:languages AS text[]), CAST(:time_zones AS text[]),
                         CAST(:consents AS boolean[]), CAST(:phones AS text[]), CAST(:email_marks AS text[]),
                         CAST(:phone_marks AS text[]), CAST(:tiers AS text[]))
    ON CONFLICT (customer_id) DO UPDATE
       SET version = excluded.version, name = excluded.name, email = excluded.email, language = excluded.language,
           time_zone = excluded.time_zone, email_consent = excluded.email_consent,
           phone = excluded.phone, email_mark = excluded.email_mark, phone_mark = excluded.phone_mark,
           tier = excluded.tier
     WHERE profiles.version < excluded.version
""")
_GET: Final = text("""
    SELECT customer_id, version, name, email, language, time_zone, email_consent, phone, tier
      FROM profiles WHERE customer_id = ANY(CAST(:customer_ids AS text[]))
""")
_DELETE: Final = text("DELETE FROM profiles WHERE customer_id = ANY(CAST(:customer_ids AS text[]))")
# A message in `transmitting` is beyond recall. One in `sending` is not: it finds itself withdrawn before its last dot.
_SUPPRESS: Final = text("""
    UPDATE messages
       SET status = 'suppressed', reason = 'erased', sender = NULL, changed_at = :now
     WHERE customer_id = ANY(CAST(:customer_ids AS text[])) AND status IN ('waiting', 'queued', 'sending')
 RETURNING id, cause_id, kind, case_id, customer_id, employee_id, attempt, traceparent
""")
_SCRUB_MESSAGES: Final = text("""
    UPDATE messages
       SET facts = '{}', name = NULL, address = NULL, address_mark = NULL, language = NULL,
           reason = CASE WHEN status IN ('suppressed', 'doubtful') THEN reason END
     WHERE customer_id = ANY(CAST(:customer_ids AS text[]))
""")
_SCRUB_LIST: Final = text("""
    UPDATE suppressions SET customer_id = NULL WHERE customer_id = ANY(CAST(:customer_ids AS text[]))
""")
_DELETE_CHOICES: Final = text("DELETE FROM contact_choices WHERE customer_id = ANY(CAST(:customer_ids AS text[]))")
_DELETE_ROUNDS: Final = text("DELETE FROM confirmations WHERE customer_id = ANY(CAST(:customer_ids AS text[]))")


async def put_profiles(tx: Tx, profiles: Sequence[Profile]) -> None:
    """Keep `profiles` (one per customer) where they are newer than what is known."""
    await tx.execute(
        _PUT,
        {
            "customer_ids": [profile.customer_id for profile in profiles],
            "versions": [profile.version for profile in profiles],
            "names": [profile.name for profile in profiles],
            "emails": [profile.email for profile in profiles],
            "languages": [profile.language for profile in profiles],
            "time_zones": [profile.time_zone for profile in profiles],
            "consents": [profile.email_consent for profile in profiles],
            "phones": [profile.phone for profile in profiles],
            "email_marks": [profile.email and address_mark(profile.email) for profile in profiles],
            "phone_marks": [profile.phone and phone_mark(profile.phone) for profile in profiles],
            "tiers": [profile.tier for profile in profiles],
        },
    )


async def get_profiles(tx: Tx, customer_ids: Collection[str]) -> dict[str, Profile]:
    """The profiles of those customers that have one."""
    rows = await tx.fetch(_GET, {"customer_ids": list(customer_ids)})
    return {row.customer_id: Profile(**row._mapping) for row in rows}  # noqa: SLF001 - its public name in SQLAlchemy


async def forget(tx: Tx, customer_ids: Collection[str]) -> list[Entry]:
    """Remove everything about these customers; the unsent messages that this held back."""
    parameters = {"customer_ids": list(customer_ids)}
    await tx.execute(_DELETE, parameters)
    held = await tx.fetch(_SUPPRESS, {**parameters, "now": tx.now})
    await tx.execute(_SCRUB_MESSAGES, parameters)
    await tx.execute(_DELETE_ROUNDS, parameters)
    await tx.execute(_DELETE_CHOICES, parameters)
    await tx.execute(_SCRUB_LIST, parameters)
    return entries(held)
