"""LimeSurvey, through the plugin LimeSurveyWebhook (by its source): JSON under the content type of a form.

The plugin's own `api_token` stands in the body and is not looked at: the sender shows our token in the address.
Answers are the columns of the response's table, all as text.
"""

from __future__ import annotations

from typing import Final

from services.ingest.domain.fields import FieldMap, Reference
from services.ingest.domain.reasons import because
from services.ingest.domain.signature import SharedToken
from services.ingest.domain.values import Unclear
from services.ingest.vendors.description import FORM, JSON, Payload, Question, Vendor, an_object, at


def answer(payload: Payload, name: str) -> object:
    """The column `name` of the response."""
    columns = an_object(at(payload, ("response",)))
    if name not in columns:
        raise Unclear(because("response-column", name=repr(name)))
    return columns[name]


def questions(payload: Payload) -> list[Question]:
    """The columns of the response."""
    return [Question(name, "", value) for name, value in an_object(at(payload, ("response",))).items()]


LIMESURVEY: Final = Vendor(
    name="limesurvey",
    title="LimeSurvey (plugin LimeSurveyWebhook)",
    authentication=SharedToken(header="otklik-token"),
    content_types=JSON | FORM,
    event_type=("event",),
    event_types=frozenset({"afterSurveyComplete"}),
    response_id=("response", "id"),
    answered_at=(("response", "submitdate"), ("submitDate",)),
    numbers_as_text=True,
    hidden=("response",),
    question=answer,
    questions=questions,
    fields=FieldMap(
        customer=Reference("path", "token"),
        language=Reference("path", "response.startlanguage"),
    ),
)
