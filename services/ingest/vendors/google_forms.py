"""Google Forms, through the Apps Script in `google_forms.gs`: our own shape, signed by Standard Webhooks."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from services.ingest.vendors.generic import GENERIC

GOOGLE_FORMS: Final = replace(
    GENERIC, name="google-forms", title="Google Forms (our Apps Script)", numbers_as_text=True
)
