"""Sources: what an operator says once about a survey at a vendor, and all its deliveries inherit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from libs.events.contracts.responses import Instrument
    from services.ingest.domain.fields import FieldMap

MOST_SECRETS: Final = 2
"""Active at once: the one in use, and while it is being replaced, the next."""


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """A vendor's secret as it was given to us. `valid_until` None: until it is replaced."""

    text: str = field(repr=False)
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One survey at one vendor. `touchpoint` and `language` are taken where the payload does not say."""

    name: str
    vendor: str
    program: str
    instrument: Instrument
    touchpoint: str | None
    language: str | None
    time_zone: str
    fields: FieldMap
    enabled: bool
    version: int
    secrets: tuple[StoredSecret, ...] = ()
    keep_days: int | None = None
    """How long the contents of deliveries are kept; None: as long as everywhere."""
