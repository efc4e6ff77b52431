"""Alchemer: a survey's webhook action that posts the fields which the company chose, named as in our own shape.

https://help.alchemer.com/help/http-connect : JSON or post variables, within 30 seconds, and never a second time: what
is lost on the way comes only by asking for it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from services.ingest.domain.signature import SharedToken
from services.ingest.vendors.description import FORM, JSON, json_body
from services.ingest.vendors.forms import form_body
from services.ingest.vendors.generic import GENERIC


def either(body: bytes, content_type: str) -> object:
    """As the content type says."""
    return form_body(body, content_type) if content_type.startswith("application/x-www-form") else json_body(body, "")


ALCHEMER: Final = replace(
    GENERIC,
    name="alchemer",
    title="Alchemer (our own shape in a webhook action)",
    authentication=SharedToken(header="otklik-token"),
    delivery_id_header=None,
    content_types=JSON | FORM,
    decode=either,
    numbers_as_text=True,
)
