"""`/v1/reach`: how one customer may be reached now, over which channels, and why not over others."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final, Literal

from fastapi import Query, Request
from pydantic import BaseModel

from libs.events.contracts.messages import HoldReason, MessageChannel, Purpose, SuppressionReason
from libs.webapi.app import database_of
from libs.webapi.strict_json import Router
from services.notify.api.contacts import Consent, Frequency, Reader
from services.notify.api.suppressions import Suppression
from services.notify.domain import reaching as domain
from services.notify.domain.reaching import CHANNELS, LONGEST_CAP
from services.notify.store import contacts, providers, reaching
from services.notify.texts import zone

if TYPE_CHECKING:
    from services.notify.letters import Letters

router: Final = Router(prefix="/v1", tags=["contacts"])


class DoorShown(BaseModel):
    """A channel for a purpose; `closed`: why it is not used for this customer, null where it is open."""

    channel: MessageChannel
    closed: Literal["not_used", "no_provider"] | SuppressionReason | None


class ProspectShown(BaseModel):
    """What would become of a message of this purpose now."""

    purpose: Purpose
    channel: MessageChannel | None
    """Over which it would go; null where it would be held back."""
    reason: HoldReason | SuppressionReason | None
    """Why it would be held back, or would wait."""
    until: datetime | None
    """Until when it would wait."""
    doors: list[DoorShown]


class UsedCap(Frequency):
    """A cap, and how much of it is used up."""

    sent: int


class ListedAddress(Suppression):
    """An entry of the list of those that are not written to."""

    holds: bool
    """Whether it holds something back now: it is in force, and it is their present address."""


class ReachShown(BaseModel):
    """How one customer may be reached. No contact detail is in it."""

    customer_id: str
    is_known: bool
    """Whether their profile has come."""
    time_zone: str
    """By whose clock quiet hours go: theirs, or the company's where theirs is not known."""
    purposes: list[ProspectShown]
    caps: list[UsedCap]
    said: list[Consent]
    """What they said to channels and purposes, beside the consent in their profile."""
    listed: list[ListedAddress]


@router.get("/reach", summary="How a customer may be reached now")
async def get_reach(
    request: Request,
    principal: Reader,  # noqa: ARG001 - the rule
    customer_id: Annotated[str, Query(min_length=1, max_length=512)],
) -> ReachShown:
    """By the rules that decide about each message when its turn comes. Whoever is not known is `is_known: false`."""
    letters: Letters = request.app.state.letters
    async with database_of(request).reading() as tx:
        known = await reaching.known(tx, customer_id)
        _, rules, _ = await contacts.rules(tx)
        carried = await providers.enabled(tx)
        sent = await reaching.sent(tx, customer_id, within=LONGEST_CAP)
    profile = known.reach.profile
    where = zone(profile.time_zone if profile else None, letters.time_zone)
    found = domain.prospects(known.reach, rules, frozenset({"email", *carried}), sent=sent, now=tx.now, where=where)
    said = [
        Consent.model_validate({"channel": channel, "purpose": purpose, **choice})
        for (channel, _, purpose), choice in sorted(
            (key.partition("/"), choice) for key, choice in known.choices.items()
        )
        if channel in CHANNELS
    ]
    return ReachShown(
        customer_id=customer_id,
        is_known=profile is not None,
        time_zone=str(where),
        purposes=[ProspectShown.model_validate(each, from_attributes=True) for each in found],
        caps=[UsedCap.model_validate(each, from_attributes=True) for each in domain.caps(rules, sent, now=tx.now)],
        said=said,
        listed=[ListedAddress.model_validate(row, from_attributes=True) for row in known.listed],
    )
