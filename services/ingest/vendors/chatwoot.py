"""Chatwoot: the CSAT answer under a conversation, as a change of the message that asked (by the vendor's source).

The message comes again with each later change of it, whatever that is. It says nowhere when the customer answered.
"""

from __future__ import annotations

from typing import Final

from services.ingest.domain.fields import FieldMap, Reference
from services.ingest.domain.reasons import because
from services.ingest.domain.signature import Signature
from services.ingest.domain.values import Unclear
from services.ingest.vendors.description import Payload, Vendor, an_object, at

_ANSWER: Final = ("content_attributes", "submitted_values", "csat_survey_response")


def rated_or_not(payload: object) -> Payload:
    """The payload, with what kind of message it is about."""
    found = an_object(payload)
    if not isinstance(found.get("event"), str):
        raise Unclear(because("no-event"))
    kind = "other"
    if found.get("event") in ("message_created", "message_updated") and found.get("content_type") == "input_csat":
        kind = "asked" if at(found, _ANSWER) is None else "rated"
    return {**found, "kind": kind}


CHATWOOT: Final = Vendor(
    name="chatwoot",
    title="Chatwoot (CSAT)",
    authentication=Signature(
        header="x-chatwoot-signature",
        prefix="sha256=",
        algorithm="sha256",
        encoding="hex",
        signed="{timestamp}.{body}",
        timestamp_header="x-chatwoot-timestamp",
    ),
    delivery_id_header="x-chatwoot-delivery",
    payload=rated_or_not,
    event_type=("kind",),
    event_types=frozenset({"rated"}),
    ignored={"asked": because("not-answered"), "other": because("no-rating")},
    response_id=("id",),
    answered_at=(),
    partial=True,
    hidden=("sender", "custom_attributes"),
    fields=FieldMap(
        score=Reference("path", f"{'.'.join(_ANSWER)}.rating"),
        comment=Reference("path", f"{'.'.join(_ANSWER)}.feedback_message"),
        customer=Reference("path", "sender.identifier"),
    ),
)
