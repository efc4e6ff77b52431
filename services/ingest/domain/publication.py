"""The events that ingest publishes: a revision of a response, in the words of the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libs.events.contracts.responses import ResponseReceived, ResponseRevised
from libs.events.event import Event

if TYPE_CHECKING:
    from datetime import datetime

    from services.ingest.domain.deliveries import Revision


def key_of(revision: Revision) -> str:
    """What orders the events: all that one customer says; where nobody knows who it is, the one response."""
    return revision.response.customer_id or str(revision.response_id)


def event_of(revision: Revision, now: datetime) -> Event[ResponseReceived | ResponseRevised]:
    """The event of one revision: the first receives the response, each further one revises all of it."""
    response, source = revision.response, revision.arrival.source
    contract = ResponseReceived if revision.revision == 1 else ResponseRevised
    id_ = str(revision.response_id)
    payload = contract(
        response_id=id_,
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
    return Event.root(
        revision.event_id,
        payload,
        subject=id_,
        time=now,
        source=f"/ingest/{source.name}",
        traceparent=revision.arrival.traceparent,
    )
