"""Our own shape, for senders that have none: signed by Standard Webhooks, or by a token where one cannot sign.

    {"response_id": "r-17", "answered_at": "2026-03-01T09:30:00Z", "updated_at": "2026-03-01T09:34:00Z",
     "score": 3, "comment": "Nobody called back.", "customer_id": "c-8", "touchpoint": "branch-12", "language": "en",
     "claimed_class": "detractor", "answers": {"why": "…"}, "attributes": {"region": "north"}}

Only `response_id` and `answered_at` have to be there. `POST /v1/responses` takes the same shape.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from services.ingest.domain.fields import FieldMap, Reference
from services.ingest.domain.signature import STANDARD_WEBHOOKS, SharedToken
from services.ingest.vendors.description import Payload, Question, Vendor, at


def answer(payload: Payload, name: str) -> object:
    """The answer to the question `name`."""
    return at(payload, ("answers", name))


def questions(payload: Payload) -> list[Question]:
    """The answers by their names."""
    answers = payload.get("answers")
    return [Question(name, name, value) for name, value in (answers if isinstance(answers, dict) else {}).items()]


GENERIC: Final = Vendor(
    name="generic",
    title="Our own shape, signed by Standard Webhooks",
    authentication=STANDARD_WEBHOOKS,
    delivery_id_header="webhook-id",
    response_id=("response_id",),
    answered_at=(("answered_at",),),
    revised_at=(("updated_at",), ("answered_at",)),
    hidden=("attributes",),
    question=answer,
    questions=questions,
    fields=FieldMap(
        score=Reference("path", "score"),
        comment=Reference("path", "comment"),
        customer=Reference("path", "customer_id"),
        touchpoint=Reference("path", "touchpoint"),
        language=Reference("path", "language"),
        claimed_class=Reference("path", "claimed_class"),
    ),
)

GENERIC_TOKEN: Final = replace(
    GENERIC,
    name="generic-token",
    title="Our own shape, with a token in the header Otklik-Token",
    authentication=SharedToken(header="otklik-token"),
    delivery_id_header=None,
)
"""Without a signature somebody still has to prove who sends: a source is never open."""

OWN_SHAPE: Final = replace(GENERIC, delivery_id_header=None)
"""What comes through `POST /v1/responses`, whatever the source's vendor."""
