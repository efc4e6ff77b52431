"""Qualtrics' event subscriptions: a form that only announces (by its source); answers are fetched by its API.

`MSG` is JSON, and what is signed; `Topic` is not signed and not looked at. Without a shared key the same fields come
flat and unsigned: those are refused. Times without a zone are of the source's zone.
"""

from __future__ import annotations

from typing import Final

from services.ingest.domain.fields import FieldMap, Reference
from services.ingest.domain.reasons import because
from services.ingest.domain.signature import Signature
from services.ingest.domain.values import Unclear
from services.ingest.vendors.description import FORM, Payload, Question, Vendor, an_object, at
from services.ingest.vendors.forms import form_body, json_in

_OF_THE_RESPONSE: Final = frozenset(
    {"startDate", "endDate", "status", "ipAddress", "progress", "duration", "finished", "recordedDate", "_recordId"}
)


def message(payload: object) -> Payload:
    """What the field `MSG` says."""
    return an_object(json_in(an_object(payload), "MSG"))


def value(payload: Payload, name: str) -> object:
    """The value of the question or embedded field `name` (QID1, QID2_TEXT, customer_id …)."""
    values = at(payload, ("values",))
    if not isinstance(values, dict):
        raise Unclear(because("no-values"))
    return values.get(name)


def questions(payload: Payload) -> list[Question]:
    """The values, without those that every response has."""
    values = at(payload, ("values",))
    return [
        Question(name, "", told)
        for name, told in (values.items() if isinstance(values, dict) else ())
        if name not in _OF_THE_RESPONSE
    ]


_SIGNED: Final = Signature(form_field="HMAC", algorithm="sha512", encoding="hex", signed="{form.MSG}")

QUALTRICS_ANSWERS: Final = Vendor(
    name="qualtrics",
    title="Qualtrics",
    authentication=_SIGNED,
    response_id=("responseId",),
    answered_at=(("values", "endDate"), ("values", "recordedDate")),
    revised_at=(("values", "recordedDate"),),
    hidden=("values",),
    numbers_as_text=True,
    question=value,
    questions=questions,
    fields=FieldMap(
        customer=Reference("hidden", "customer_id"),
        touchpoint=Reference("hidden", "touchpoint"),
        language=Reference("hidden", "userLanguage"),
    ),
)

QUALTRICS: Final = Vendor(
    name="qualtrics",
    title="Qualtrics",
    authentication=_SIGNED,
    content_types=FORM,
    decode=form_body,
    payload=message,
    response_id=("ResponseID",),
    answered_at=(("CompletedDate",),),
    revised_at=(("CompletedDate",),),
    fetched=QUALTRICS_ANSWERS,
)
