"""SurveyMonkey: a webhook that only announces (payload and signature second-hand); answers are fetched by its API.

The configured secret is `<client id>&<api secret>`, as the vendor's own examples sign. What is fetched is a response
with its pages (https://api.surveymonkey.com/v3/docs, "details"): written text, else the chosen label, else the weight.
"""

from __future__ import annotations

from typing import Any, Final

from services.ingest.domain.fields import FieldMap, Reference
from services.ingest.domain.reasons import because
from services.ingest.domain.signature import Signature
from services.ingest.domain.values import Unclear
from services.ingest.vendors.description import JSON, Payload, Question, Vendor, at


def answer(payload: Payload, name: str) -> object:
    """The answer to the question with the id `name`; None where the respondent left it out."""
    return next((_given(question) for question in _answered(payload) if str(question.get("id")) == name), None)


def questions(payload: Payload) -> list[Question]:
    """The answered questions."""
    return [
        Question(str(one.get("id")), str(one.get("heading") or ""), _given(one))
        for one in _answered(payload)
        if one.get("id") is not None
    ]


def _answered(payload: Payload) -> list[dict[str, Any]]:
    pages = at(payload, ("pages",)) or []
    if not isinstance(pages, list):
        raise Unclear(because("no-pages"))
    return [
        question
        for page in pages
        if isinstance(page, dict)
        for question in page.get("questions") or []
        if isinstance(question, dict)
    ]


def _given(question: dict[str, Any]) -> object:
    answers = [one for one in question.get("answers") or [] if isinstance(one, dict)]
    given = [text for text in map(_told, answers) if text not in (None, "")]
    return given[0] if len(given) == 1 else ", ".join(str(one) for one in given) or None


def _told(one: dict[str, Any]) -> object:
    weight = one.get("choice_metadata")
    if isinstance(weight, dict) and weight.get("weight") is not None:
        return weight["weight"]
    return one.get("text") or one.get("simple_text") or one.get("choice_id")


_SIGNED: Final = Signature(header="sm-signature", algorithm="sha1", encoding="base64")

SURVEYMONKEY_ANSWERS: Final = Vendor(
    name="surveymonkey",
    title="SurveyMonkey",
    authentication=_SIGNED,
    event_type=("response_status",),
    event_types=frozenset({"completed"}),
    ignored={
        "partial": because("incomplete"),
        "overquota": because("over-quota"),
        "disqualified": because("disqualified"),
    },
    response_id=("id",),
    answered_at=(("date_modified",), ("date_created",)),
    revised_at=(("date_modified",),),
    hidden=("custom_variables",),
    numbers_as_text=True,
    question=answer,
    questions=questions,
    fields=FieldMap(
        customer=Reference("hidden", "customer_id"),
        touchpoint=Reference("hidden", "touchpoint"),
        language=Reference("hidden", "language"),
    ),
)

SURVEYMONKEY: Final = Vendor(
    name="surveymonkey",
    title="SurveyMonkey",
    authentication=_SIGNED,
    content_types=JSON | {"application/vnd.surveymonkey.*+json"},
    delivery_id=("event_id",),
    event_type=("event_type",),
    event_types=frozenset({"response_created", "response_updated", "response_completed"}),
    withdrawals=frozenset({"response_deleted"}),
    ignored={"response_disqualified": because("disqualified")},
    response_id=("object_id",),
    answered_at=(("event_datetime",),),
    revised_at=(("event_datetime",),),
    fetched=SURVEYMONKEY_ANSWERS,
)
