"""Topic `survey.responses`: what customers answered, as ingest understood it. Key: customer, else response."""

from __future__ import annotations

import hashlib
import string
from typing import TYPE_CHECKING, ClassVar, Final, Literal

import msgspec

from libs.events.event import Contract, Instant

if TYPE_CHECKING:
    from collections.abc import Mapping

SurveyKind = Literal["relationship", "transactional"]
Metric = Literal["nps", "ces", "csat"]
Channel = Literal["email", "phone", "sms", "in_app", "web", "other"]
_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)

SCALES: Final[Mapping[Metric, tuple[tuple[int, int], ...]]] = {
    "nps": ((0, 10),),
    "ces": ((1, 7), (1, 5)),
    "csat": ((0, 1), (1, 2), (1, 3), (1, 5), (1, 7)),
}
"""The scales that a metric is asked on, as (lowest, highest)."""


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
    higher_is_worse: bool = False
    """The scale's direction. True for the CES of 2008, where the highest score is the greatest effort."""


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


class CustomerUnsubscribed(Contract, frozen=True, kw_only=True):
    """At the vendor's, somebody said that they want no more messages: what they consented to before is withdrawn.

    Key and subject: the customer, else the address's mark.
    """

    TYPE: ClassVar[str] = "survey.customer.unsubscribed.v1"

    customer_id: str | None
    """As responses name the customer; null where the vendor told an address alone."""
    address_mark: str | None
    """`address_mark` of that address; null where the customer's id is known."""
    source: str
    vendor: str
    channel: Channel
    unsubscribed_at: Instant
    """By the vendor's clock; where it does not say, when it was received."""
    received_at: Instant


def address_mark(address: str) -> str:
    """What stands for an e-mail address where addresses must not travel.

    SHA-256, in hex, of its UTF-8 without the space around it and with A to Z in lower case (no more, so that every
    database does the same): whoever knows the address finds it again, and nobody can write to it.
    """
    return hashlib.sha256(address.strip().translate(_LOWER).encode("utf-8", "surrogatepass")).hexdigest()
