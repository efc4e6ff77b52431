"""What casework knows of customers, and what is removed when one of them asks to be forgotten.

Whatever comes from a customer meets at the customer's row: who takes answers or erases holds it until the end. So two
answers at once cannot open two cases, and no comment can be written behind an erasure. The row is made where it is
missing, to have something to hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from libs.events.database import Tx
    from services.casework.domain.names import CaseId, CustomerId, Tier

_ENSURE: Final = text("""
    INSERT INTO customers (customer_id)
    SELECT customer_id FROM unnest(CAST(:customers AS text[])) AS met (customer_id)
        ON CONFLICT (customer_id) DO NOTHING
""")

# Its own statement, so that it sees what was committed while the one above waited.
_HOLD: Final = text("""
    SELECT customer_id, erased_at
      FROM customers
     WHERE customer_id = ANY(CAST(:customers AS text[]))
     ORDER BY customer_id
       FOR NO KEY UPDATE
""")

# A profile that comes after an erasure is a new one, and its versions begin anew.
_SAVE_PROFILES: Final = text("""
    INSERT INTO customers AS known (customer_id, version, name, language, tier, account_name, current_value,
                                    time_zone, channels)
    SELECT customer_id, version, name, language, tier, account_name, current_value, time_zone,
           string_to_array(channels, ',')
      FROM unnest(CAST(:customers AS text[]), CAST(:versions AS integer[]), CAST(:names AS text[]),
                  CAST(:languages AS text[]), CAST(:tiers AS text[]), CAST(:accounts AS text[]),
                  CAST(:values AS double precision[]), CAST(:zones AS text[]), CAST(:channels AS text[]))
        AS profiles (customer_id, version, name, language, tier, account_name, current_value, time_zone, channels)
        ON CONFLICT (customer_id) DO UPDATE
       SET version = excluded.version, name = excluded.name, language = excluded.language, tier = excluded.tier,
           account_name = excluded.account_name, current_value = excluded.current_value,
           time_zone = excluded.time_zone, channels = excluded.channels
     WHERE known.version < excluded.version
""")

_ERASE_PROFILES: Final = text("""
    INSERT INTO customers (customer_id, erased_at)
    SELECT customer_id, erased_at
      FROM unnest(CAST(:customers AS text[]), CAST(:instants AS timestamptz[])) AS erased (customer_id, erased_at)
        ON CONFLICT (customer_id) DO UPDATE
       SET version = 0, name = NULL, language = NULL, tier = NULL, account_name = NULL, current_value = NULL,
           time_zone = NULL, channels = NULL, erased_at = excluded.erased_at
""")

_ERASE_COMMENTS: Final = text("""
    UPDATE answers
       SET comment = NULL, waits_for_owner = false
      FROM unnest(CAST(:customers AS text[]), CAST(:instants AS timestamptz[])) AS erased (customer_id, erased_at)
     WHERE answers.customer_id = erased.customer_id AND answers.answered_at <= erased.erased_at
       AND (comment IS NOT NULL OR waits_for_owner)
""")

_ERASE_COMMENTS_IN_CASES: Final = text("""
    UPDATE answers SET comment = NULL WHERE case_id = ANY(CAST(:cases AS uuid[])) AND comment IS NOT NULL
""")

_ERASE_TEXTS: Final = text("""
    UPDATE timeline SET text = NULL WHERE case_id = ANY(CAST(:cases AS uuid[])) AND text IS NOT NULL
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What is shown of a customer."""

    customer_id: CustomerId
    version: int
    name: str
    language: str
    tier: Tier
    account_name: str | None
    current_value: float | None
    time_zone: str | None = None
    channels: tuple[str, ...] = ()
    """By which they can be reached and may be."""


async def hold(tx: Tx, customers: Collection[CustomerId]) -> dict[CustomerId, datetime]:
    """Hold these customers' rows until the end of the transaction; which of them were erased, and when."""
    if not customers:
        return {}
    await tx.execute(_ENSURE, {"customers": sorted(customers)})
    rows = await tx.fetch(_HOLD, {"customers": sorted(customers)})
    return {row.customer_id: row.erased_at for row in rows if row.erased_at is not None}


async def save_profiles(tx: Tx, profiles: Sequence[Profile]) -> None:
    """Store profiles, each unless a later version is known."""
    if not profiles:
        return
    profiles = sorted(profiles, key=lambda profile: profile.customer_id)
    await tx.execute(
        _SAVE_PROFILES,
        {
            "customers": [profile.customer_id for profile in profiles],
            "versions": [profile.version for profile in profiles],
            "names": [profile.name for profile in profiles],
            "languages": [profile.language for profile in profiles],
            "tiers": [profile.tier for profile in profiles],
            "accounts": [profile.account_name for profile in profiles],
            "values": [profile.current_value for profile in profiles],
            "zones": [profile.time_zone for profile in profiles],
            "channels": [",".join(profile.channels) for profile in profiles],
        },
    )


async def erase_profiles(tx: Tx, erased_at: Mapping[CustomerId, datetime]) -> None:
    """Forget who these customers are, and hold their rows until the end of the transaction."""
    await tx.execute(_ERASE_PROFILES, _instants(erased_at))


async def erase_words(tx: Tx, erased_at: Mapping[CustomerId, datetime], cases: Collection[CaseId]) -> None:
    """Remove what these customers wrote until then, and every free text of these cases of theirs."""
    await tx.execute(_ERASE_COMMENTS, _instants(erased_at))
    await tx.execute(_ERASE_COMMENTS_IN_CASES, {"cases": list(cases)})
    await tx.execute(_ERASE_TEXTS, {"cases": list(cases)})


def _instants(erased_at: Mapping[CustomerId, datetime]) -> dict[str, list[object]]:
    customers = sorted(erased_at)
    return {"customers": list(customers), "instants": [erased_at[customer] for customer in customers]}
