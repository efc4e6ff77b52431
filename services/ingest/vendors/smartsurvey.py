"""SmartSurvey: https://docs.smartsurvey.io/docs/samples (payload and signature by the vendor's documentation).

A list of one response, whose answers stand under the questions of its pages.
"""

from __future__ import annotations

from typing import Any, Final

from services.ingest.domain.fields import FieldMap
from services.ingest.domain.reasons import because
from services.ingest.domain.signature import Signature
from services.ingest.domain.values import Unclear
from services.ingest.vendors.description import Payload, Question, Vendor, alone, at


def answer(payload: Payload, name: str) -> object:
    """The answer to the question with the id `name`: what was written, else what was chosen."""
    for question in _questions(payload):
        if str(question.get("id")) == name:
            return _given(question)
    raise Unclear(because("response-question", name=repr(name)))


def questions(payload: Payload) -> list[Question]:
    """The questions of all pages."""
    return [Question(str(one.get("id")), str(one.get("title") or ""), _given(one)) for one in _questions(payload)]


def _questions(payload: Payload) -> list[dict[str, Any]]:
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
    given = [one.get("value") if one.get("value") not in (None, "") else one.get("choice_title") for one in answers]
    texts = [one for one in given if isinstance(one, (str, int))]
    return texts[0] if len(texts) == 1 else ", ".join(map(str, texts)) or None


SMARTSURVEY: Final = Vendor(
    name="smartsurvey",
    title="SmartSurvey",
    authentication=Signature(header="x-smartsurvey-signature", algorithm="sha256", encoding="hex"),
    payload=alone,
    event_type=("status",),
    event_types=frozenset({"completed"}),
    ignored={"disqualified": because("disqualified"), "partial": because("incomplete")},
    response_id=("id",),
    answered_at=(("date_ended",), ("date_started",)),
    revised_at=(("date_modified",), ("date_ended",)),
    numbers_as_text=True,
    question=answer,
    questions=questions,
    fields=FieldMap(),
)
