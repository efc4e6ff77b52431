"""zenloop: https://docs.zenloop.com/docs/alert-webhook (payload by the vendor's documentation). It does not sign."""

from __future__ import annotations

from typing import Final

from services.ingest.domain.fields import FieldMap, Reference
from services.ingest.domain.signature import SharedToken
from services.ingest.vendors.description import Payload, Question, Vendor, an_object, at


def answer(payload: Payload, name: str) -> object:
    """The answer to the additional question with the text `name`; several choices as one text."""
    value = at(payload, ("answer", "additional_questions", name))
    if isinstance(value, list):
        return ", ".join(choice for choice in value if isinstance(choice, str)) or None
    return value


def questions(payload: Payload) -> list[Question]:
    """The additional questions, named by their words."""
    asked = at(payload, ("answer", "additional_questions"))
    return [Question(name, name, answer(payload, name)) for name in (asked if isinstance(asked, dict) else ())]


def with_properties(payload: object) -> Payload:
    """The payload, with its list of properties by their names."""
    found = an_object(payload)
    listed = found.get("properties")
    properties = listed if isinstance(listed, list) else []
    named = {one.get("name"): one.get("value") for one in properties if isinstance(one, dict)}
    return {**found, "properties": named}


ZENLOOP: Final = Vendor(
    name="zenloop",
    title="zenloop",
    authentication=SharedToken(header="otklik-token"),
    payload=with_properties,
    response_id=("answer", "id"),
    answered_at=(("answer", "inserted_at"),),
    revised_at=(("answer", "updated_at"), ("answer", "inserted_at")),
    hidden=("properties",),
    question=answer,
    questions=questions,
    fields=FieldMap(
        score=Reference("path", "answer.score"),
        comment=Reference("path", "answer.comment"),
        customer=Reference("hidden", "customer_id"),
        touchpoint=Reference("hidden", "touchpoint"),
        claimed_class=Reference("path", "answer.score_type"),
    ),
)
