"""A response and its revisions: ids that follow from the vendor's, and what a further delivery of it changes.

                                   same content as the latest    SameContent   nothing is published
    nothing known ─> revision 1 ─< older than the latest         Outdated      kept, nothing is published
                                   anything else                 NextRevision  published, and now the latest

Older is decided by the vendor's own time of the revision. Where that does not tell, what arrives later is later.

A vendor whose deliveries each tell a part of the response is put together: what a delivery does not tell stays as it
was known, an older delivery only adds what nobody told yet, and the customer answered when the first of them says so.
A withdrawal is a revision too: one that says that there is no response any more.

What is made anew for every delivery is a msgspec struct here and in `deliveries`, and no dataclass: it is made in C,
and the garbage collector does not look at it.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import lru_cache
from typing import Final, NewType
from uuid import UUID

import msgspec

from libs.events.event import named

ResponseId = NewType("ResponseId", UUID)
DeliveryId = NewType("DeliveryId", UUID)

_pack: Final = msgspec.msgpack.Encoder().encode
_NAMESPACE: Final = UUID("a0e3c4b1-52c8-5f6e-9d0b-6f74b6c6ab51")

WITHDRAWN: Final = hashlib.sha256(b"withdrawn").digest()
"""The content of every response that is no more."""


class Response(msgspec.Struct, frozen=True, gc=False):
    """One customer's answers to one survey, as one delivery tells them.

    `answered_at` is when the customer answered, `revised_at` when this revision was made; both by the vendor's clock.
    `withdrawn`: the vendor, or the customer, took it back.
    """

    vendor_response_id: str
    score: int | None
    comment: str | None
    customer_id: str | None
    touchpoint: str | None
    language: str | None
    answered_at: datetime
    revised_at: datetime | None = None
    claimed_class: str | None = None
    withdrawn: bool = False


class Latest(msgspec.Struct, frozen=True, gc=False):
    """The latest revision of a response that is known, and the delivery that brought it.

    `customer_id` is whom it names. `told` is what it says, kept only of responses that are put together from several
    deliveries. `erased`: the customer asked to be forgotten, and nothing more of this response is taken.
    """

    revision: int
    content_hash: bytes
    revised_at: datetime | None
    event_id: UUID
    received_at: datetime
    told: Response | None = None
    erased: bool = False
    customer_id: str | None = None


class NextRevision(msgspec.Struct, frozen=True, gc=False):
    """The content is new and is the latest."""

    revision: int


class SameContent(msgspec.Struct, frozen=True, gc=False):
    """Nothing new. `confirmed_at` is the vendor's time up to which the latest revision is now known to hold."""

    confirmed_at: datetime | None


class Outdated(msgspec.Struct, frozen=True, gc=False):
    """A later revision is known already."""


Decision = NextRevision | SameContent | Outdated


@lru_cache(maxsize=4096)
def namespace_of(source: str) -> UUID:
    """The namespace of a source's responses."""
    return named(_NAMESPACE, source)


def response_id(source: str, vendor_response_id: str) -> ResponseId:
    """Our id of the response: the same source and vendor's id always give the same."""
    return response_id_in(namespace_of(source), vendor_response_id)


def response_id_in(namespace: UUID, vendor_response_id: str) -> ResponseId:
    """The same by the source's namespace; of that one's class, as are the ids that follow from it."""
    return ResponseId(named(namespace, vendor_response_id))


def event_id(response: ResponseId, revision: int) -> UUID:
    """The id of the event that publishes one revision."""
    return named(response, str(revision))


def content_hash(response: Response) -> bytes:
    """What makes two deliveries say the same: everything but the time of the revision."""
    content = (
        response.score,
        response.comment,
        response.customer_id,
        response.touchpoint,
        response.language,
        response.answered_at.timestamp(),
        response.claimed_class,
    )
    if response.withdrawn:
        return WITHDRAWN
    return hashlib.sha256(_pack(content)).digest()


def decide(latest: Latest | None, response: Response, content: bytes, *, replayed_from: datetime | None) -> Decision:
    """What a delivery of `response` changes. `replayed_from` is when it was received, where it is understood again.

    A replay arrives long after what came after it, so where the vendor's times do not tell, the times of receipt do;
    and only for a replay, because the clocks of two processes that receive at the same moment may differ.
    """
    if latest is None:
        return NextRevision(1)
    if latest.content_hash == content:
        return SameContent(_later(latest.revised_at, response.revised_at))
    return Outdated() if _is_older(latest, response, replayed_from) else NextRevision(latest.revision + 1)


def put_together(latest: Latest | None, part: Response, *, replayed_from: datetime | None) -> Response:
    """The response that is known so far with one more `part` of it; as late as the latest part."""
    if latest is None or latest.told is None or part.withdrawn or latest.told.withdrawn:
        return part
    known = latest.told
    first, second = (known, part) if _is_older(latest, part, replayed_from) else (part, known)
    return Response(
        vendor_response_id=part.vendor_response_id,
        score=second.score if first.score is None else first.score,
        comment=first.comment or second.comment,
        customer_id=first.customer_id or second.customer_id,
        touchpoint=first.touchpoint or second.touchpoint,
        language=first.language or second.language,
        answered_at=min(known.answered_at, part.answered_at),
        revised_at=_later(known.revised_at, part.revised_at),
        claimed_class=first.claimed_class or second.claimed_class,
    )


def _is_older(latest: Latest, response: Response, replayed_from: datetime | None) -> bool:
    known, told = latest.revised_at, response.revised_at
    if known is not None and told is not None and known != told:
        return told < known
    return replayed_from is not None and replayed_from < latest.received_at


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((time for time in (one, other) if time is not None), default=None)
