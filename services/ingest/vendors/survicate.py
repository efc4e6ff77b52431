"""Survicate: https://developers.survicate.com/webhooks/events/ (payload and signature by the vendor's documentation).

One event per answered question: a response is put together from its deliveries. That the survey was completed brings
no answer of its own.
"""

from __future__ import annotations

from typing import Any, Final

from services.ingest.domain.fields import FieldMap, Reference
from services.ingest.domain.reasons import because
from services.ingest.domain.signature import Signature
from services.ingest.domain.values import Unclear
from services.ingest.vendors.description import Payload, Question, Vendor, an_object, at

_KINDS: Final = ("questionAnswered", "surveyCompleted")


def answer(payload: Payload, name: str) -> object:
    """The answer to the question with the id `name`, where this delivery is about it."""
    if str(at(payload, ("event", "question", "id"))) != name:
        return None
    body = at(payload, ("event", "choice", "body"))
    return at(payload, ("event", "choice", "comment")) if body is None else body


def questions(payload: Payload) -> list[Question]:
    """The one question of the delivery."""
    id_ = at(payload, ("event", "question", "id"))
    if id_ is None:
        return []
    title = at(payload, ("event", "question", "body"))
    return [Question(str(id_), title if isinstance(title, str) else "", answer(payload, str(id_)))]


def one_event(payload: object) -> Payload:
    """The payload, with the one event that it holds, and its kind, in the same place for all kinds."""
    found = an_object(payload)
    event = found.get("event")
    if not isinstance(event, dict):
        raise Unclear(because("no-event"))
    kinds = [kind for kind in _KINDS if kind in event]
    if len(kinds) != 1:
        return {**found, "kind": next(iter(event), "")}
    inner: dict[str, Any] = an_object(event[kinds[0]])
    respondent = inner.get("respondent")
    if isinstance(respondent, dict) and respondent.get("attributes") == []:  # as PHP writes an empty object
        inner = {**inner, "respondent": {**respondent, "attributes": {}}}
    return {**found, "kind": kinds[0], "event": inner}


SURVICATE: Final = Vendor(
    name="survicate",
    title="Survicate",
    authentication=Signature(header="hmac", algorithm="sha256", encoding="hex"),
    delivery_id=("messageId",),
    payload=one_event,
    event_type=("kind",),
    event_types=frozenset({"questionAnswered"}),
    ignored={"surveyCompleted": because("survey-end")},
    response_id=("event", "responseUuid"),
    answered_at=(("event", "timestamp"),),
    revised_at=(("event", "timestamp"),),
    partial=True,
    numbers_as_text=True,
    hidden=("event", "respondent", "attributes"),
    question=answer,
    questions=questions,
    fields=FieldMap(
        customer=Reference("hidden", "customer_id"),
        touchpoint=Reference("hidden", "touchpoint"),
        language=Reference("hidden", "language"),
    ),
)
