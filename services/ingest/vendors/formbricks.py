"""Formbricks: https://formbricks.com/docs/xm-and-surveys/core-features/integrations/webhooks; Standard Webhooks.

The response comes from its first answer on and again with each further one, always with all answers so far. The
documentation shows each payload inside a list of one; the source sends the object. Both are taken.
"""

from __future__ import annotations

from typing import Final

from services.ingest.domain.fields import FieldMap, Reference
from services.ingest.domain.reasons import because
from services.ingest.domain.signature import STANDARD_WEBHOOKS
from services.ingest.vendors.description import Payload, Question, Vendor, alone, at


def answer(payload: Payload, name: str) -> object:
    """The answer to the element with the id `name`; several choices as one text."""
    value = at(payload, ("data", "data", name))
    if isinstance(value, list):
        return ", ".join(choice for choice in value if isinstance(choice, str)) or None
    return value


def questions(payload: Payload) -> list[Question]:
    """The answered elements, by their ids."""
    answers = at(payload, ("data", "data"))
    return [Question(name, "", answer(payload, name)) for name in (answers if isinstance(answers, dict) else ())]


FORMBRICKS: Final = Vendor(
    name="formbricks",
    title="Formbricks",
    authentication=STANDARD_WEBHOOKS,
    delivery_id_header="webhook-id",
    event_type=("event",),
    event_types=frozenset({"responseCreated", "responseUpdated", "responseFinished"}),
    ignored={"testEndpoint": because("address-test")},
    response_id=("data", "id"),
    answered_at=(("data", "createdAt"),),
    revised_at=(("data", "updatedAt"), ("data", "createdAt")),
    hidden=("data", "contactAttributes"),
    question=answer,
    questions=questions,
    payload=alone,
    fields=FieldMap(
        customer=Reference("hidden", "userId"),
        touchpoint=Reference("hidden", "touchpoint"),
        language=Reference("path", "data.language"),
    ),
)
