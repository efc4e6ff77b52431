"""Zendesk: webhooks whose body the customer writes in a trigger; here in our own shape, with Zendesk's signature.

https://developer.zendesk.com/documentation/webhooks/verifying/ : the signature covers the timestamp and the body.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from services.ingest.domain.signature import Signature
from services.ingest.vendors.generic import GENERIC

ZENDESK: Final = replace(
    GENERIC,
    name="zendesk",
    title="Zendesk (our own shape in a trigger's webhook)",
    authentication=Signature(
        header="x-zendesk-webhook-signature",
        algorithm="sha256",
        encoding="base64",
        signed="{timestamp}{body}",
        timestamp_header="x-zendesk-webhook-signature-timestamp",
    ),
    delivery_id_header="x-zendesk-webhook-id",
    # A trigger's placeholders are text.
    numbers_as_text=True,
)
