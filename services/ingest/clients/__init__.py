"""The survey vendors' own APIs: to fetch answers that a webhook only announces, and what webhooks have lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.ingest.clients import delighted, qualtrics, surveymonkey, typeform

if TYPE_CHECKING:
    from services.ingest.clients.api import VendorApi

APIS: Final[dict[str, VendorApi]] = {
    "delighted": delighted.API,
    "qualtrics": qualtrics.API,
    "surveymonkey": surveymonkey.API,
    "typeform": typeform.API,
}
"""By the vendor's name."""
