"""Jotform (by captures): a multipart form, in which the answers are one more JSON text.

It says neither when the customer answered nor who it is beyond the answers, and it echoes our own address, token
included: that field is dropped before anything else is done. There is no signature.
"""

from __future__ import annotations

import re
from typing import Final

from services.ingest.domain.fields import FieldMap
from services.ingest.domain.reasons import because
from services.ingest.domain.signature import SharedToken
from services.ingest.domain.values import Unclear
from services.ingest.vendors.description import Payload, Question, Vendor, an_object, at
from services.ingest.vendors.forms import json_in, multipart_body

_QUESTION: Final = re.compile(r"q(?P<number>[0-9]+)_(?P<slug>.*)")


def with_answers(payload: object) -> Payload:
    """The submission with its answers read, and without our own address."""
    found = an_object(payload)
    answers = an_object(json_in(found, "rawRequest"))
    return {
        "formID": found.get("formID"),
        "submissionID": found.get("submissionID"),
        "answers": {name: value for name, value in answers.items() if _QUESTION.fullmatch(name)},
    }


def answer(payload: Payload, name: str) -> object:
    """The answer to the question with the key, number or slug `name`; several parts as one text."""
    answers = an_object(at(payload, ("answers",)))
    for key, value in answers.items():
        named = _QUESTION.fullmatch(key)
        if named is not None and name in (key, named["number"], named["slug"]):
            return _text(value)
    raise Unclear(because("submission-question", name=repr(name)))


def questions(payload: Payload) -> list[Question]:
    """The questions, whose words nobody tells beyond their slugs."""
    answers = an_object(at(payload, ("answers",)))
    return [Question(key, key.partition("_")[2], _text(value)) for key, value in answers.items()]


def _text(value: object) -> object:
    parts = list(value.values()) if isinstance(value, dict) else value
    if isinstance(parts, list):
        return " ".join(part for part in parts if isinstance(part, str)) or None
    return value


JOTFORM: Final = Vendor(
    name="jotform",
    title="Jotform",
    authentication=SharedToken(header="otklik-token"),
    content_types=frozenset({"multipart/form-data"}),
    decode=multipart_body,
    payload=with_answers,
    response_id=("submissionID",),
    answered_at=(),
    partial=True,
    numbers_as_text=True,
    hidden=("answers",),
    question=answer,
    questions=questions,
    fields=FieldMap(),
)
