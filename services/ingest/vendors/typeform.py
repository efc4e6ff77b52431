"""Typeform: https://www.typeform.com/developers/webhooks/ (payload and signature by the vendor's documentation).

Unanswered questions are absent. `calculated.score` is a quiz's score, not the customer's answer, and is never read.
"""

from __future__ import annotations

from typing import Any, Final

from services.ingest.domain.fields import FieldMap, Reference
from services.ingest.domain.reasons import because
from services.ingest.domain.signature import Signature
from services.ingest.domain.values import Unclear, kind_of
from services.ingest.vendors.description import Payload, Question, Vendor, at


def answer(payload: Payload, name: str) -> object:
    """The answer to the question with the reference or id `name`."""
    answers = at(payload, ("form_response", "answers")) or []
    if not isinstance(answers, list):
        raise Unclear(because("no-list", where="form_response.answers", kind=kind_of(answers)))
    for given in answers:
        if _is_named(_field_of(given), name):
            return _value_of(given, name)
    fields = at(payload, ("form_response", "definition", "fields"))
    if isinstance(fields, list) and not any(_is_named(field, name) for field in fields):
        raise Unclear(because("form-question", name=repr(name)))
    return None


def questions(payload: Payload) -> list[Question]:
    """The form's questions, answered or not."""
    fields = at(payload, ("form_response", "definition", "fields"))
    return [
        Question(name, str(field.get("title") or ""), answer(payload, name))
        for field in (fields if isinstance(fields, list) else ())
        if isinstance(field, dict) and isinstance(name := field.get("ref") or field.get("id"), str)
    ]


def _field_of(given: object) -> object:
    return given.get("field") if isinstance(given, dict) else None


def _is_named(field: object, name: str) -> bool:
    return isinstance(field, dict) and name in (field.get("ref"), field.get("id"))


def _value_of(given: dict[str, Any], name: str) -> object:
    kind = given.get("type")
    if not isinstance(kind, str):
        raise Unclear(because("answer-type", name=repr(name)))
    value = given.get(kind)
    match kind:
        case "choice" if isinstance(value, dict):
            return value.get("label") or value.get("other")
        case "choices" if isinstance(value, dict):
            labels = value.get("labels") or []
            chosen = [*(labels if isinstance(labels, list) else []), value.get("other")]
            return ", ".join(label for label in chosen if isinstance(label, str)) or None
        case _:
            return value


TYPEFORM: Final = Vendor(
    name="typeform",
    title="Typeform",
    authentication=Signature(header="typeform-signature", prefix="sha256=", algorithm="sha256", encoding="base64"),
    delivery_id=("event_id",),
    event_type=("event_type",),
    event_types=frozenset({"form_response", "form_response_partial"}),
    response_id=("form_response", "token"),
    answered_at=(("form_response", "submitted_at"), ("form_response", "landed_at")),
    revised_at=(("form_response", "submitted_at"), ("form_response", "landed_at")),
    hidden=("form_response", "hidden"),
    question=answer,
    questions=questions,
    fields=FieldMap(
        customer=Reference("hidden", "customer_id"),
        touchpoint=Reference("hidden", "touchpoint"),
        language=Reference("hidden", "language"),
    ),
)
