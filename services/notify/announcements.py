"""The events that tell others what became of messages. Their ids follow from the message: a replay repeats them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypedDict, TypeVar

from libs.events.contracts.messages import (
    CampaignApproved,
    CampaignCancelled,
    CampaignCompleted,
    CampaignPaused,
    CampaignResumed,
    CampaignStarted,
    CustomerOptedIn,
    CustomerOptedOut,
    MessageBounced,
    MessageFailed,
    MessageHeld,
    MessageQueued,
    MessageSent,
    MessageSuppressed,
)
from libs.events.event import Contract, Event

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from libs.events.contracts.messages import Bounce, MessageChannel, MessageKind, Purpose, SuppressionReason
    from libs.events.database import Tx
    from services.notify.domain.campaigns import Act, Campaign
    from services.notify.domain.contacts import Waits
    from services.notify.domain.messages import Entry
    from services.notify.store.campaigns import Tally

SOURCE: Final = "/notify"

_PayloadT = TypeVar("_PayloadT", bound=Contract)


class _Identity(TypedDict):
    message_id: str
    kind: MessageKind
    cause_id: str
    case_id: str | None
    customer_id: str | None
    employee_id: str | None


def queued(tx: Tx, entry: Entry) -> None:
    """It will be sent (again)."""
    _announce(tx, entry, MessageQueued(**_identity(entry)))


def sent(tx: Tx, entry: Entry) -> None:
    """The mail server has it."""
    tx.emit(of_sent(entry, tx.now), key=entry.key)


def of_sent(entry: Entry, now: datetime) -> Event[MessageSent]:
    """The event that says so."""
    return _event(entry, MessageSent(**_identity(entry)), now)


def failed(tx: Tx, entry: Entry, reason: str) -> None:
    """It was given up."""
    _announce(tx, entry, MessageFailed(**_identity(entry), reason=reason, doubtful=False))


def doubtful(tx: Tx, entry: Entry, reason: str) -> None:
    """Nobody knows whether it arrived."""
    _announce(tx, entry, MessageFailed(**_identity(entry), reason=reason, doubtful=True), part="doubtful")


def suppressed(tx: Tx, entry: Entry, reason: SuppressionReason) -> None:
    """A rule held it back."""
    _announce(tx, entry, MessageSuppressed(**_identity(entry), reason=reason))


def held(tx: Tx, entry: Entry, wait: Waits) -> None:
    """A rule makes it wait."""
    payload = MessageHeld(**_identity(entry), reason=wait.reason, until=wait.until, channel=wait.channel)
    _announce(tx, entry, payload, part="held")


def bounced(tx: Tx, entry: Entry, bounce: Bounce, code: str) -> None:
    """It came back, or was called unwanted."""
    _announce(tx, entry, MessageBounced(**_identity(entry), bounce=bounce, code=code), part=f"{bounce}/{code}")


def opted_out(
    tx: Tx,
    cause_id: UUID,
    customer_id: str,
    channel: MessageChannel,
    purpose: Purpose,
    *,
    by: Literal["customer", "complaint", "operator"],
) -> None:
    """The customer wants no more of a kind."""
    payload = CustomerOptedOut(
        customer_id=customer_id, channel=channel, purpose=purpose, told_by=by, unsubscribed_at=tx.now
    )
    _choice(tx, cause_id, payload)


def opted_in(
    tx: Tx,
    cause_id: UUID,
    customer_id: str,
    channel: MessageChannel,
    purpose: Purpose,
    *,
    by: Literal["customer", "operator"],
) -> None:
    """The customer wants a kind."""
    payload = CustomerOptedIn(
        customer_id=customer_id, channel=channel, purpose=purpose, told_by=by, subscribed_at=tx.now
    )
    _choice(tx, cause_id, payload)


def _choice(tx: Tx, cause_id: UUID, payload: CustomerOptedOut | CustomerOptedIn) -> None:
    id_, part = payload.customer_id, f"{payload.channel}/{payload.purpose}"
    event = Event.caused_by_command(cause_id, payload, subject=id_, time=tx.now, source=SOURCE, part=part)
    tx.emit(event, key=id_)


def _identity(entry: Entry) -> _Identity:
    return {
        "message_id": str(entry.id),
        "kind": entry.kind,
        "cause_id": str(entry.cause_id),
        "case_id": entry.case_id,
        "customer_id": entry.customer_id,
        "employee_id": entry.employee_id,
    }


def _announce(tx: Tx, entry: Entry, payload: Contract, part: str = "") -> None:
    tx.emit(_event(entry, payload, tx.now, part), key=entry.key)


def _event(entry: Entry, payload: _PayloadT, now: datetime, part: str = "") -> Event[_PayloadT]:
    return Event.caused_by_command(
        entry.id,
        payload,
        subject=str(entry.id),
        time=now,
        source=SOURCE,
        part=f"{entry.attempt}{part}",
        traceparent=entry.traceparent,
    )


def campaign_act(tx: Tx, campaign: Campaign, act: Act, by: str, reason: str | None) -> None:
    """Somebody did something with a campaign that others may want to know."""
    about = _about(campaign, by)
    match act:
        case "approved":
            _stage(tx, campaign, CampaignApproved(**about))
        case "paused":
            _stage(tx, campaign, CampaignPaused(**about))
        case "resumed":
            _stage(tx, campaign, CampaignResumed(**about))
        case "cancelled":
            _stage(tx, campaign, CampaignCancelled(**about, reason=reason or ""))
        case _:
            pass  # a draft is nobody's business yet, and the start is told when the audience is known


def campaign_started(tx: Tx, campaign: Campaign, by: str) -> None:
    """Its audience is frozen."""
    _stage(tx, campaign, CampaignStarted(**_about(campaign, by), recipients=campaign.recipients or 0))


def campaign_completed(tx: Tx, campaign: Campaign, tally: Tally) -> None:
    """Everybody was told, or it is known why not."""
    completed = CampaignCompleted(
        campaign_id=str(campaign.id),
        initiative_ids=campaign.plan.initiative_ids,
        completed_at=tx.now,
        recipients=tally.sent + tally.doubtful,
        held_back=sum(tally.held_back.values()) + tally.failed,
    )
    _stage(tx, campaign, completed)


class _Stage(TypedDict):
    campaign_id: str
    title: str
    initiative_ids: tuple[str, ...]
    by: str


def _about(campaign: Campaign, by: str) -> _Stage:
    return {
        "campaign_id": str(campaign.id),
        "title": campaign.plan.name,
        "initiative_ids": campaign.plan.initiative_ids,
        "by": by,
    }


def _stage(tx: Tx, campaign: Campaign, payload: Contract) -> None:
    event = Event.caused_by_command(
        campaign.id, payload, subject=str(campaign.id), time=tx.now, source=SOURCE, part=str(campaign.version)
    )
    tx.emit(event, key=str(campaign.id))
