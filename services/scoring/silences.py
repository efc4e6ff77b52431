"""Whoever was invited and says nothing: key contacts who do not answer, or cannot be reached, are a signal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal
from uuid import UUID, uuid5

import structlog

from libs.events.contracts.scores import InvitationUnanswered
from libs.events.event import Event
from services.scoring.store import invitations, locks

if TYPE_CHECKING:
    from datetime import timedelta

    from libs.events.database import Database
    from services.scoring.domain.invitations import Silence

log: Final = structlog.get_logger()

INVITATIONS_AT_ONCE: Final = 1000
_SOURCE: Final = "/scoring"
_SILENCE: Final = UUID("5ab4c0de-34a1-4f0e-8b0e-7c2d1a5f9b61")


async def judge(database: Database, silent_for: timedelta) -> bool:
    """Take the next invitations that bounced or were not answered for so long; whether there may be more.

    Each is judged once, by what is known then: the silence of a key customer, or of who decides for an account with
    one, is announced; anybody else's is passed over.
    """
    async with database.transaction() as tx:
        await locks.storing_answers(tx)
        claimed = await invitations.claim_to_judge(tx, silent_for, INVITATIONS_AT_ONCE)
        if not claimed:
            return False
        known = await invitations.contacts(tx, (each.customer_id for each in claimed))
        silences: dict[str, Silence | Literal["passed"]] = {}
        for each in claimed:
            contact = known.get(each.customer_id)
            if contact is None or not contact.important:
                silences[each.id] = "passed"
                continue
            silence: Silence = "unanswered" if each.bounced_at is None else "bounced"
            silences[each.id] = silence
            payload = InvitationUnanswered(
                invitation_id=each.id,
                reason=silence,
                program=each.program,
                touchpoint=each.touchpoint,
                channel=each.channel,
                customer_id=each.customer_id,
                account_id=contact.account_id,
                account_role=contact.account_role,  # type: ignore[arg-type]  # as it was stored
                tier=contact.tier,
                tier_reason=contact.tier_reason,
                invited_at=each.invited_at,
                bounced_at=each.bounced_at,
            )
            cause = uuid5(_SILENCE, each.id)
            # The invitation's own id is the sender's and may name a person; subjects outlive erasures.
            event = Event.caused_by_command(cause, payload, subject=str(cause), time=tx.now, source=_SOURCE)
            tx.emit(event, key=each.customer_id)
        await invitations.judged(tx, silences)
    heard = sum(each != "passed" for each in silences.values())
    log.info("silences.judged", invitations=len(claimed), announced=heard)
    return len(claimed) == INVITATIONS_AT_ONCE


async def look_again(database: Database) -> bool:
    """Find the answers that were being stored while their invitations were; whether there may be more."""
    async with database.transaction() as tx:
        await locks.storing_answers(tx)
        return await invitations.look_again(tx, INVITATIONS_AT_ONCE) == INVITATIONS_AT_ONCE
