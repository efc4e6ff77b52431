"""Topic `survey.responses`: what customers answered, as ingest understood it. Key: customer, else response."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from libs.events.event import Contract, Instant

SurveyKind = Literal["relationship", "transactional"]
Metric = Literal["nps", "ces", "csat"]
Channel = Literal["email", "phone", "sms", "in_app", "web", "other"]


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """Exactly how the score was asked. Any change of it breaks the series."""

    metric: Metric
    question: str
    scale_min: int
    scale_max: int
    kind: SurveyKind
    channel: Channel
    sampling: str = "unknown"
    branded: bool = True


class _Response(Contract, frozen=True, kw_only=True):
    response_id: str
    """Ours: uuid5 of (source, vendor's response id)."""
    revision: int
    """1 for the first that arrived, then counted up with each different content."""
    source: str
    vendor_response_id: str
    program: str
    touchpoint: str | None
    instrument: Instrument
    score: int | None
    comment: str | None
    customer_id: str | None
    language: str | None
    answered_at: Instant
    """When the customer answered, by the vendor's clock: every SLA clock starts here."""
    received_at: Instant
    claimed_class: str | None = None
    """The class that the vendor claims; never used, only compared."""


class ResponseReceived(_Response, frozen=True, kw_only=True):
    """A response arrived for the first time."""

    TYPE: ClassVar[str] = "survey.response.received.v1"


class ResponseRevised(_Response, frozen=True, kw_only=True):
    """A known response arrived with different content; carries all of it, not the difference."""

    TYPE: ClassVar[str] = "survey.response.revised.v1"


class ResponseWithdrawn(Contract, frozen=True, kw_only=True):
    """The vendor deleted a response, or the customer took it back: it no longer counts anywhere."""

    TYPE: ClassVar[str] = "survey.response.withdrawn.v1"

    response_id: str
    revision: int
    """The withdrawal's own; a later revision, if one comes, counts again."""
    source: str
    vendor_response_id: str
    program: str
    withdrawn_at: Instant
    received_at: Instant
