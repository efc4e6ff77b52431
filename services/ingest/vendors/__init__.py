"""The survey vendors that we understand. One more is one module, and its samples in the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.ingest.vendors.delighted import DELIGHTED
from services.ingest.vendors.formbricks import FORMBRICKS
from services.ingest.vendors.generic import GENERIC, GENERIC_TOKEN
from services.ingest.vendors.typeform import TYPEFORM

if TYPE_CHECKING:
    from services.ingest.vendors.description import Vendor

VENDORS: Final[dict[str, Vendor]] = {
    vendor.name: vendor for vendor in (DELIGHTED, FORMBRICKS, GENERIC, GENERIC_TOKEN, TYPEFORM)
}
