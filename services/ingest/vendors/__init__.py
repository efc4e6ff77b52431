"""The survey vendors that we understand. One more is one module, and its samples in the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.ingest.vendors.alchemer import ALCHEMER
from services.ingest.vendors.asknicely import ASKNICELY
from services.ingest.vendors.chatwoot import CHATWOOT
from services.ingest.vendors.delighted import DELIGHTED
from services.ingest.vendors.formbricks import FORMBRICKS
from services.ingest.vendors.generic import GENERIC, GENERIC_TOKEN
from services.ingest.vendors.google_forms import GOOGLE_FORMS
from services.ingest.vendors.jotform import JOTFORM
from services.ingest.vendors.limesurvey import LIMESURVEY
from services.ingest.vendors.qualtrics import QUALTRICS
from services.ingest.vendors.smartsurvey import SMARTSURVEY
from services.ingest.vendors.surveymonkey import SURVEYMONKEY
from services.ingest.vendors.survicate import SURVICATE
from services.ingest.vendors.tally import TALLY
from services.ingest.vendors.typeform import TYPEFORM
from services.ingest.vendors.wootric import WOOTRIC
from services.ingest.vendors.zendesk import ZENDESK
from services.ingest.vendors.zenloop import ZENLOOP

if TYPE_CHECKING:
    from services.ingest.vendors.description import Vendor

VENDORS: Final[dict[str, Vendor]] = {
    vendor.name: vendor
    for vendor in (
        ALCHEMER,
        ASKNICELY,
        CHATWOOT,
        DELIGHTED,
        FORMBRICKS,
        GENERIC,
        GENERIC_TOKEN,
        GOOGLE_FORMS,
        JOTFORM,
        LIMESURVEY,
        QUALTRICS,
        SMARTSURVEY,
        SURVEYMONKEY,
        SURVICATE,
        TALLY,
        TYPEFORM,
        WOOTRIC,
        ZENDESK,
        ZENLOOP,
    )
}
