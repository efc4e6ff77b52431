"""Trials of providers, each asked once: by whom, and what was answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

if TYPE_CHECKING:
    from datetime import timedelta
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.notify.domain.provider_trials import Trial

_BEGIN: Final = text("""
    INSERT INTO provider_trials (id, provider, by, created_at) VALUES (:id, :provider, :by, :now)
""")
# Of two who ask under one key, one asks the provider.
_CLAIM: Final = text("UPDATE provider_trials SET asked_at = :now WHERE id = :id AND asked_at IS NULL")
_ANSWERED: Final = text("""
    UPDATE provider_trials
       SET answered_at = :now, outcome = :outcome, said = :said, status = :status, answer = :answer
     WHERE id = :id
""")
_ONE: Final = text("""
    SELECT id, provider, by, created_at, asked_at, answered_at, outcome, said, status, answer
      FROM provider_trials WHERE id = :id
""")
_PRUNE: Final = text("DELETE FROM provider_trials WHERE created_at < :before")


async def begin(tx: Tx, id_: UUID, provider: str, *, by: str) -> None:
    """Note that somebody wants to try this provider."""
    await tx.execute(_BEGIN, {"id": id_, "provider": provider, "by": by, "now": tx.now})


async def claim(tx: Tx, id_: UUID) -> bool:
    """Whether it is for the caller to ask the provider."""
    return await tx.execute(_CLAIM, {"id": id_, "now": tx.now}) == 1


async def answered(tx: Tx, id_: UUID, trial: Trial) -> None:
    """Note what came of it."""
    await tx.execute(
        _ANSWERED,
        {
            "id": id_,
            "outcome": trial.outcome,
            "said": trial.said,
            "status": trial.status,
            "answer": trial.answer,
            "now": tx.now,
        },
    )


async def one(tx: Tx, id_: UUID) -> Row[Any] | None:
    """A trial, as far as it has come."""
    return await tx.fetch_one(_ONE, {"id": id_})


async def prune(tx: Tx, *, older_than: timedelta) -> int:
    """Forget trials of this age; how many."""
    return await tx.execute(_PRUNE, {"before": tx.now - older_than})
