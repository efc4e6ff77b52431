"""Google Forms, through the Apps Script in `google_forms.gs`: our own shape, signed by Standard Webhooks.

The script sends the answers by the titles of their questions, so that a source's field map has to name the score.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from services.ingest.domain.fields import FieldMap, Reference
from services.ingest.vendors.generic import GENERIC

GOOGLE_FORMS: Final = replace(
    GENERIC,
    name="google-forms",
    title="Google Forms (our Apps Script)",
    numbers_as_text=True,
    fields=FieldMap(customer=Reference("hidden", "customer_id")),
)
