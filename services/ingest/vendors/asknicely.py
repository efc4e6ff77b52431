"""AskNicely (payload second-hand): the state of one question to one person, again and again; a count and no type.

Numbers and times are text. There is no signature: the sender shows a token that we issued.
"""

from __future__ import annotations

from typing import Final

from services.ingest.domain.fields import FieldMap, Reference
from services.ingest.domain.reasons import because
from services.ingest.domain.signature import SharedToken
from services.ingest.domain.values import Unclear
from services.ingest.vendors.description import Payload, Vendor, an_object, at


def answered_or_not(payload: object) -> Payload:
    """The payload, with whether the person has answered at all."""
    found = an_object(payload)
    if not isinstance(found.get("question"), dict):
        raise Unclear(because("no-question"))
    responded = at(found, ("question", "responded"))
    return {**found, "kind": "asked" if responded in (None, "", "0", 0) else "answered"}


ASKNICELY: Final = Vendor(
    name="asknicely",
    title="AskNicely",
    authentication=SharedToken(header="otklik-token"),
    payload=answered_or_not,
    event_type=("kind",),
    event_types=frozenset({"answered"}),
    ignored={"asked": because("not-answered")},
    response_id=("question", "id"),
    answered_at=(("question", "responded"),),
    numbers_as_text=True,
    hidden=("person",),
    fields=FieldMap(
        score=Reference("path", "question.score"),
        comment=Reference("path", "question.comment"),
        customer=Reference("hidden", "customer_id"),
        touchpoint=Reference("hidden", "segment"),
    ),
)
