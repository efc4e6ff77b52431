"""Tally: https://tally.so/help/webhooks (payload and signature by the vendor's documentation and captures).

Questions come as a list of fields; choices as ids, whose texts stand beside them. Hidden fields are fields too.
"""

from __future__ import annotations

from typing import Any, Final

from services.ingest.domain.fields import FieldMap, Reference
from services.ingest.domain.reasons import because
from services.ingest.domain.signature import Signature
from services.ingest.domain.values import Unclear, kind_of
from services.ingest.vendors.description import Payload, Question, Vendor, an_object, at


def answer(payload: Payload, name: str) -> object:
    """The answer to the field with the key or label `name`."""
    for field in _fields(payload):
        if name in (field.get("key"), field.get("label")):
            return _value(field)
    raise Unclear(because("form-field", name=repr(name)))


def questions(payload: Payload) -> list[Question]:
    """The form's fields but the hidden ones."""
    return [
        Question(name, str(field.get("label") or ""), _value(field))
        for field in _fields(payload)
        if field.get("type") != "HIDDEN_FIELDS" and isinstance(name := field.get("key"), str)
    ]


def with_hidden(payload: object) -> Payload:
    """The payload, with its hidden fields by their labels."""
    found = an_object(payload)
    hidden = {
        field.get("label"): field.get("value") for field in _fields(found) if field.get("type") == "HIDDEN_FIELDS"
    }
    return {**found, "hidden": hidden}


def _fields(payload: Payload) -> list[dict[str, Any]]:
    fields = at(payload, ("data", "fields")) or []
    if not isinstance(fields, list):
        raise Unclear(because("no-list", where="data.fields", kind=kind_of(fields)))
    return [field for field in fields if isinstance(field, dict)]


def _value(field: dict[str, Any]) -> object:
    value, options = field.get("value"), field.get("options")
    if not isinstance(options, list):
        return value
    texts = {option.get("id"): option.get("text") for option in options if isinstance(option, dict)}
    chosen = value if isinstance(value, list) else [value]
    return ", ".join(text for one in chosen if isinstance(one, str) and isinstance(text := texts.get(one), str)) or None


TALLY: Final = Vendor(
    name="tally",
    title="Tally",
    authentication=Signature(header="tally-signature", algorithm="sha256", encoding="base64"),
    delivery_id=("eventId",),
    event_type=("eventType",),
    event_types=frozenset({"FORM_RESPONSE"}),
    response_id=("data", "responseId"),
    answered_at=(("data", "createdAt"), ("createdAt",)),
    revised_at=(("createdAt",), ("data", "createdAt")),
    hidden=("hidden",),
    question=answer,
    questions=questions,
    payload=with_hidden,
    fields=FieldMap(
        customer=Reference("hidden", "customer_id"),
        touchpoint=Reference("hidden", "touchpoint"),
        language=Reference("hidden", "language"),
    ),
)
