"""Delighted: https://app.delighted.com/docs/api/webhooks (payload by that documentation, signature second-hand).

`created` comes the moment the customer gives a score, `updated` when the comment follows or the score changes; both
carry the whole response. `unsubscribe.created` names the person as a response does, or flat, as the vendor's list of
unsubscribed people has it (`person_id`, `email`, `name`, `unsubscribed_at`).
"""

from __future__ import annotations

from typing import Final

from services.ingest.domain.fields import FieldMap, Reference
from services.ingest.domain.reasons import because
from services.ingest.domain.signature import Signature
from services.ingest.domain.values import Unclear, kind_of
from services.ingest.vendors.description import Payload, Question, Unsubscription, Vendor, at

_VALUES: Final = ("free_response", "scale", "select_one", "select_many")


def additional_answer(payload: Payload, name: str) -> object:
    """The answer to the additional question with the id `name`."""
    answers = at(payload, ("event_data", "additional_answers")) or []
    if not isinstance(answers, list):
        raise Unclear(because("no-list", where="event_data.additional_answers", kind=kind_of(answers)))
    for given in answers:
        if isinstance(given, dict) and at(given, ("question", "id")) == name:
            values = given.get("value")
            if isinstance(values, dict):
                return next((_text(values[kind]) for kind in _VALUES if values.get(kind) is not None), None)
    return None


def questions(payload: Payload) -> list[Question]:
    """The additional questions."""
    answers = at(payload, ("event_data", "additional_answers"))
    asked = [at(one, ("question",)) for one in (answers if isinstance(answers, list) else ()) if isinstance(one, dict)]
    return [
        Question(name, str(one.get("text") or ""), additional_answer(payload, name))
        for one in asked
        if isinstance(one, dict) and isinstance(name := one.get("id"), str)
    ]


def _text(value: object) -> object:
    if isinstance(value, dict):
        return value.get("text")
    if isinstance(value, list):
        return ", ".join(text for text in map(_text, value) if isinstance(text, str)) or None
    return value


DELIGHTED: Final = Vendor(
    name="delighted",
    title="Delighted",
    authentication=Signature(
        header="x-delighted-webhook-signature", prefix="sha256=", algorithm="sha256", encoding="hex"
    ),
    delivery_id=("event_id",),
    event_type=("event_type",),
    event_types=frozenset({"survey_response.created", "survey_response.updated"}),
    unsubscriptions={
        "unsubscribe.created": Unsubscription(
            addresses=(("event_data", "person", "email"), ("event_data", "email")),
            at=(("event_data", "unsubscribed_at"),),
        )
    },
    survey_type=("event_data", "survey_type"),
    metrics={"nps": "nps", "csat": "csat", "ces": "ces"},
    response_id=("event_data", "id"),
    answered_at=(("event_data", "created_at"),),
    revised_at=(("event_data", "updated_at"), ("event_data", "created_at")),
    hidden=("event_data", "person_properties"),
    question=additional_answer,
    questions=questions,
    fields=FieldMap(
        score=Reference("path", "event_data.score"),
        comment=Reference("path", "event_data.comment"),
        customer=Reference("hidden", "customer_id"),
        touchpoint=Reference("hidden", "touchpoint"),
        language=Reference("hidden", "language"),
    ),
)
