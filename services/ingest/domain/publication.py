"""The events that ingest publishes: revisions of responses, and unsubscriptions, in the words of the contracts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libs.events.contracts.responses import (
    CustomerUnsubscribed,
    ResponseReceived,
    ResponseRevised,
    ResponseWithdrawn,
)
from libs.events.event import Event

if TYPE_CHECKING:
    from datetime import datetime

    from services.ingest.domain.deliveries import Revision, Unsubscription


def key_of(revision: Revision) -> str:
    """What orders the events: all that one customer says; where nobody knows who it is, the one response."""
    return revision.response.customer_id or str(revision.response_id)


Published = ResponseReceived | ResponseRevised | ResponseWithdrawn


def event_of(revision: Revision, now: datetime) -> Event[Published]:
    """The event of one revision: the first receives the response, a further one revises all of it or takes it back."""
    return Event.root(
        revision.event_id,
        _withdrawn(revision) if revision.response.withdrawn else _told(revision),
        subject=str(revision.response_id),
        time=now,
        source=f"/ingest/{revision.arrival.source.name}",
        traceparent=revision.arrival.traceparent,
    )


def unsubscribed_event(unsubscription: Unsubscription, now: datetime) -> Event[CustomerUnsubscribed]:
    """The event of an unsubscription; its subject, and its key, is whoever unsubscribed."""
    arrival, told = unsubscription.arrival, unsubscription.told
    payload = CustomerUnsubscribed(
        customer_id=told.customer_id,
        address_mark=told.address_mark,
        source=arrival.source.name,
        vendor=arrival.source.vendor,
        channel=told.channel,
        unsubscribed_at=told.unsubscribed_at,
        received_at=arrival.received_at,
    )
    return Event.root(
        unsubscription.event_id,
        payload,
        subject=told.who,
        time=now,
        source=f"/ingest/{arrival.source.name}",
        traceparent=arrival.traceparent,
    )


def _withdrawn(revision: Revision) -> ResponseWithdrawn:
    response, source = revision.response, revision.arrival.source
    return ResponseWithdrawn(
        response_id=str(revision.response_id),
        revision=revision.revision,
        source=source.name,
        vendor_response_id=response.vendor_response_id,
        program=source.program,
        withdrawn_at=response.revised_at or revision.arrival.received_at,
        received_at=revision.arrival.received_at,
    )


def _told(revision: Revision) -> ResponseReceived | ResponseRevised:
    response, source = revision.response, revision.arrival.source
    contract = ResponseReceived if revision.revision == 1 else ResponseRevised
    return contract(
        response_id=str(revision.response_id),
        revision=revision.revision,
        source=source.name,
        vendor_response_id=response.vendor_response_id,
        program=source.program,
        touchpoint=response.touchpoint,
        instrument=source.instrument,
        score=response.score,
        comment=response.comment,
        customer_id=response.customer_id,
        language=response.language,
        answered_at=response.answered_at,
        received_at=revision.arrival.received_at,
        claimed_class=response.claimed_class,
    )
