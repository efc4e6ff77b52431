"""Wootric, now InMoment: nested forms (payload and signature as its own API documentation has them).

All numbers are text, times are written as Ruby writes them, and an answer of nothing is an empty text.
"""

from __future__ import annotations

from typing import Final

from services.ingest.domain.fields import FieldMap, Reference
from services.ingest.domain.reasons import because
from services.ingest.domain.signature import Signature
from services.ingest.vendors.description import FORM, Payload, Vendor, an_object, at
from services.ingest.vendors.forms import form_body


def declined_or_not(payload: object) -> Payload:
    """The payload; what a customer dismissed is an event of its own."""
    found = an_object(payload)
    if "decline" in found and "response" not in found:
        return {**found, "event_name": "declined"}
    return found


def end_user_property(payload: Payload, name: str) -> object:
    """What the company told Wootric about the customer under `name`."""
    return at(payload, ("response", "end_user_properties", name))


WOOTRIC: Final = Vendor(
    name="wootric",
    title="Wootric (InMoment)",
    authentication=Signature(header="x-wootric-signature", prefix="sha1=", algorithm="sha1", encoding="hex"),
    content_types=FORM,
    decode=form_body,
    payload=declined_or_not,
    numbers_as_text=True,
    event_type=("event_name",),
    event_types=frozenset({"created", "updated"}),
    ignored={"declined": because("dismissed")},
    survey_type=("survey_mode",),
    metrics={"NPS": "nps", "CES": "ces", "CSAT": "csat"},
    response_id=("response", "id"),
    answered_at=(("response", "created_at"),),
    revised_at=(("response", "updated_at"), ("timestamp",)),
    hidden=("response", "end_user_properties"),
    question=end_user_property,
    fields=FieldMap(
        score=Reference("path", "response.score"),
        comment=Reference("path", "response.text"),
        customer=Reference("path", "response.external_id"),
        touchpoint=Reference("hidden", "touchpoint"),
        language=Reference("hidden", "language"),
    ),
)
