"""Who waits for whom where rows cannot say it, because the row in question may not exist yet.

    writes what is known of people            shared      erasure    ─┐
    erases one of them                        exclusive   erasure     │ taken in this order,
    publishes profiles with account names     shared      accounts    │ before any row
    creates or renames an account             exclusive   accounts    │
    publishes profiles with their consent     shared      consents    │
    withdraws consents                        exclusive   consents   ─┘

Without the first pair, an answer that is being stored while its customer is being erased would bring the comment
back; without the second, a profile could be published with the account's old name and never again; without the third,
a profile that becomes known while its customer unsubscribes could go on saying that they consent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import text

if TYPE_CHECKING:
    from libs.events.database import Tx

_REMEMBER: Final = text("SELECT pg_advisory_xact_lock_shared(hashtextextended('scoring.erasure', 0))")
_FORGET: Final = text("SELECT pg_advisory_xact_lock(hashtextextended('scoring.erasure', 0))")
_NAME: Final = text("SELECT pg_advisory_xact_lock_shared(hashtextextended('scoring.accounts', 0))")
_RENAME: Final = text("SELECT pg_advisory_xact_lock(hashtextextended('scoring.accounts', 0))")
_CONSENT: Final = text("SELECT pg_advisory_xact_lock_shared(hashtextextended('scoring.consents', 0))")
_WITHDRAW: Final = text("SELECT pg_advisory_xact_lock(hashtextextended('scoring.consents', 0))")
_SCORE_ACCOUNTS: Final = text("SELECT pg_advisory_xact_lock(hashtextextended('scoring.account-scores', 0))")
_RULE: Final = text("SELECT pg_advisory_xact_lock(hashtextextended('scoring.rules', 0))")


async def storing_answers(tx: Tx) -> None:
    """Keep erasures out until the end of `tx`."""
    await tx.execute(_REMEMBER)


async def publishing_profiles(tx: Tx) -> None:
    """Keep erasures, changes of accounts and unsubscriptions out until the end of `tx`."""
    await tx.execute(_REMEMBER)
    await tx.execute(_NAME)
    await tx.execute(_CONSENT)


async def withdrawing_consents(tx: Tx) -> None:
    """Wait for whoever publishes a profile, and keep them out until the end of `tx`; erasures too."""
    await tx.execute(_REMEMBER)
    await tx.execute(_NAME)
    await tx.execute(_WITHDRAW)


async def changing_account(tx: Tx) -> None:
    """Wait for whoever publishes a profile, and keep them out until the end of `tx`; erasures too."""
    await tx.execute(_REMEMBER)
    await tx.execute(_RENAME)


async def erasing(tx: Tx) -> None:
    """Wait for whoever stores something about people, and keep them out until the end of `tx`."""
    await tx.execute(_FORGET)


async def scoring_accounts(tx: Tx) -> None:
    """One at a time: two that compute the same account would each forget what the other stored."""
    await tx.execute(_SCORE_ACCOUNTS)


async def changing_themes(tx: Tx) -> None:
    """Wait for whoever stores answers with the themes of their comments, and keep them out until the end of `tx`.

    So there is no comment that was read by the old themes and comes to be stored behind those that are read anew.
    """
    await tx.execute(_FORGET)


async def changing_rules(tx: Tx) -> None:
    """One at a time."""
    await tx.execute(_RULE)
