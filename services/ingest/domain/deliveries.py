"""Deliveries: what arrived, what was understood of it, and what a batch of them changes, decided without a database.

A delivery is one of these, for good or until it is replayed:

    accepted      understood; a revision of its response, or an unsubscription, was published
    duplicate     nothing new: the same delivery again, the same content again, or another body under a known id
    quarantined   authentic and not understood; kept until somebody mends the field map and replays it
    ignored       understood and of no effect, for a stated reason

What an unsubscription says is published and not kept: it names a person by their address, by which nobody could find it
again when that person asks to be forgotten.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal, NewType, assert_never
from uuid import UUID

import msgspec
from msgspec.structs import replace

from services.ingest.domain.reasons import because
from services.ingest.domain.responses import (
    DeliveryId,
    Latest,
    NextRevision,
    Response,
    ResponseId,
    SameContent,
    content_hash,
    decide,
    event_id,
    put_together,
    response_id,
)
from services.ingest.domain.sources import Source
from services.ingest.domain.unsubscriptions import Unsubscribed, unsubscription_id
from services.ingest.domain.values import LONGEST_ID

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

DeliveryKey = NewType("DeliveryKey", str)
"""The vendor's id of the delivery where there is one, else the hash of its body."""

ERASED: Final = because("erased")
ANNOUNCED: Final = because("announced")
UNSUBSCRIBED: Final = because("unsubscribed")
NOT_STORED: Final = because("not-stored")
_UNSUBSCRIPTION_KNOWN: Final = because("unsubscription-known")
SAME_DELIVERY: Final = because("same-delivery")
_OUTDATED: Final = because("outdated")

Via = Literal["webhook", "rest", "api", "file"]
"""`api`: what we asked for at the vendor's. `file`: a row of a file."""


class Status(StrEnum):
    """What became of a delivery."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"
    IGNORED = "ignored"


class Understood(msgspec.Struct, frozen=True, gc=False):
    """The payload is a response. Its id and what tells its content apart are worked out before the transaction.

    `partial`: it tells a part of the response, which is put together with what is known of it.
    """

    response: Response
    response_id: ResponseId
    content_hash: bytes
    partial: bool = False

    @classmethod
    def of(cls, source: str, response: Response, *, partial: bool = False) -> Understood:
        """The verdict on a response of `source`."""
        id_ = response_id(source, response.vendor_response_id)
        return cls(response, id_, content_hash(response), partial)


class Ignored(msgspec.Struct, frozen=True, gc=False):
    """The payload is understood and brings no response. Reasons are those of `reasons`, or their texts."""

    reason: str


class NotUnderstood(msgspec.Struct, frozen=True, gc=False):
    """The payload does not mean what it has to. `field` is the field of ours that failed, where it is one."""

    reason: str
    field: str | None = None


class Announced(msgspec.Struct, frozen=True, gc=False):
    """The payload says that there is a response, whose answers are to be asked for at the vendor's API."""

    vendor_response_id: str


Verdict = Understood | Ignored | NotUnderstood | Announced | Unsubscribed


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """One authentic delivery with its verdict. `headers` is JSON, without secrets and signatures."""

    id: DeliveryId
    source: Source
    via: Via
    key: DeliveryKey
    body: bytes
    body_hash: bytes
    headers: str
    content_type: str
    received_at: datetime
    verdict: Verdict
    traceparent: str


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What the sender is told. `delivery_id` is the row that keeps it: for a repeated delivery the first one's."""

    delivery_id: DeliveryId
    status: Status
    reason: str | None = None
    response_id: ResponseId | None = None
    event_ids: tuple[UUID, ...] = ()


class Known(msgspec.Struct, frozen=True, gc=False):
    """A stored delivery with the key of one in hand. `conflicting`: its body differs from the first with that key."""

    source: str
    key: DeliveryKey
    body_hash: bytes
    conflicting: bool
    outcome: Outcome


class Row(msgspec.Struct, frozen=True, gc=False):
    """One delivery to be stored."""

    arrival: Arrival
    outcome: Outcome
    conflicting: bool


class Revision(msgspec.Struct, frozen=True, gc=False):
    """One revision to be published."""

    arrival: Arrival
    response_id: ResponseId
    response: Response
    revision: int
    event_id: UUID


class Unsubscription(msgspec.Struct, frozen=True, gc=False):
    """One unsubscription to be published."""

    arrival: Arrival
    told: Unsubscribed
    event_id: UUID


class Revised(msgspec.Struct, frozen=True, gc=False):
    """A response with what is now its latest revision."""

    source: str
    vendor_response_id: str
    customer_id: str | None
    latest: Latest


class Plan(msgspec.Struct):
    """All that a batch changes. `outcomes` has one for each arrival, in order."""

    outcomes: list[Outcome] = []
    rows: list[Row] = []
    copies: Counter[DeliveryId] = msgspec.field(default_factory=Counter)
    revisions: list[Revision] = []
    new: dict[ResponseId, Revised] = {}
    changed: dict[ResponseId, Revised] = {}
    announced: list[tuple[Arrival, str]] = []
    """With the vendor's ids of the responses that are to be fetched."""
    unsubscriptions: list[Unsubscription] = []


def new_delivery_id(received_at: datetime, randomness: int) -> DeliveryId:
    """A UUID of version 7: in order of time, so that the table grows at its end."""
    return DeliveryId(UUID(bytes=delivery_number(received_at, randomness)))


def delivery_number(received_at: datetime, randomness: int) -> bytes:
    """The bytes of such an id."""
    milliseconds = int(received_at.timestamp() * 1000)
    upper = (milliseconds << 16 | 0x7000 | (randomness >> 62) & 0xFFF) << 64
    number = upper | 0x8000_0000_0000_0000 | randomness & 0x3FFF_FFFF_FFFF_FFFF
    return number.to_bytes(16, "big")


def hash_of(body: bytes) -> bytes:
    """What tells two bodies apart."""
    return hashlib.sha256(body).digest()


def delivery_key(vendor_id: object, body_hash: bytes) -> DeliveryKey:
    """The key under which a delivery is known; an id that cannot be one, or cannot be stored, gives way to a hash."""
    if not isinstance(vendor_id, str) or not vendor_id:
        return DeliveryKey(f"sha256:{body_hash.hex()}")
    if len(vendor_id) > LONGEST_ID or not vendor_id.isprintable():
        return DeliveryKey(f"sha256-of-id:{hashlib.sha256(vendor_id.encode('utf-8', 'surrogatepass')).hexdigest()}")
    return DeliveryKey(vendor_id)


def without_contents(arrival: Arrival) -> Arrival:
    """What may be kept of a delivery about somebody who asked to be forgotten, or could not be found to be."""
    return replace(arrival, body=b"", headers="{}")


def plan(
    arrivals: Sequence[Arrival],
    known: Iterable[Known],
    latest: Mapping[ResponseId, Latest],
    *,
    unsubscribed: Collection[UUID] = (),
    replay: bool = False,
) -> Plan:
    """What `arrivals`, in their order, change, given the deliveries with their keys and the responses that are known.

    `unsubscribed` are the events of unsubscriptions that were published before. With `replay` the arrivals are stored
    deliveries, understood again: none is a repetition of another.
    """
    found = Plan()
    firsts = {(row.source, row.key): (row.body_hash, row.outcome) for row in known if not row.conflicting}
    conflicts = {(row.source, row.key, row.body_hash): row.outcome for row in known if row.conflicting}
    current = dict(latest)
    for arrival in arrivals:
        key = (arrival.source.name, arrival.key)
        first = None if replay else firsts.get(key)
        if first is None:
            verdict = arrival.verdict
            if isinstance(verdict, Unsubscribed):
                outcome = _unsubscribed(found, arrival, verdict, unsubscribed)
            else:
                outcome = _first(found, arrival, verdict, current, replay=replay)
            firsts[key] = (arrival.body_hash, outcome)
            found.rows.append(Row(_keepable(arrival, outcome), outcome, conflicting=False))
        elif first[0] == arrival.body_hash:
            outcome = _repeated(found, first[1], first[1], SAME_DELIVERY)
        else:
            outcome = _conflicting(found, arrival, first[1], conflicts)
        found.outcomes.append(outcome)
    for id_, revised in found.changed.items():
        if id_ not in latest:
            found.new[id_] = revised
    for id_ in found.new:
        del found.changed[id_]
    return found


def _keepable(arrival: Arrival, outcome: Outcome) -> Arrival:
    forgotten = outcome.reason is ERASED or isinstance(arrival.verdict, Unsubscribed)
    return without_contents(arrival) if forgotten else arrival


def _unsubscribed(found: Plan, arrival: Arrival, told: Unsubscribed, published: Collection[UUID]) -> Outcome:
    event = unsubscription_id(arrival.source.name, told)
    if event in published or any(event == other.event_id for other in found.unsubscriptions):
        return Outcome(arrival.id, Status.DUPLICATE, _UNSUBSCRIPTION_KNOWN, None, (event,))
    found.unsubscriptions.append(Unsubscription(arrival, told, event))
    return Outcome(arrival.id, Status.ACCEPTED, UNSUBSCRIBED, None, (event,))


def _first(
    found: Plan,
    arrival: Arrival,
    verdict: Understood | NotUnderstood | Ignored | Announced,
    current: dict[ResponseId, Latest],
    *,
    replay: bool,
) -> Outcome:
    # Here and below the commonest comes first, and no pattern takes apart what can be asked: this is done for each.
    if isinstance(verdict, Understood):
        return _understood(found, arrival, verdict, current, replay=replay)
    if isinstance(verdict, NotUnderstood):
        return Outcome(arrival.id, Status.QUARANTINED, verdict.reason)
    if isinstance(verdict, Ignored):
        return Outcome(arrival.id, Status.IGNORED, verdict.reason)
    if isinstance(verdict, Announced):
        found.announced.append((arrival, verdict.vendor_response_id))
        return Outcome(arrival.id, Status.ACCEPTED, ANNOUNCED)
    assert_never(verdict)


def _understood(
    found: Plan, arrival: Arrival, verdict: Understood, current: dict[ResponseId, Latest], *, replay: bool
) -> Outcome:
    response, id_, content = verdict.response, verdict.response_id, verdict.content_hash
    latest = current.get(id_)
    replayed_from = arrival.received_at if replay else None
    if latest is not None and latest.erased:
        return Outcome(arrival.id, Status.IGNORED, ERASED, id_)
    told: Response | None = None
    if verdict.partial:
        response = told = put_together(latest, response, replayed_from=replayed_from)
        content = content_hash(response)
    if response.withdrawn and latest is not None:
        # Among the customer's other events, and so behind what it takes back.
        response = replace(response, customer_id=latest.customer_id)
    decision = decide(latest, response, content, replayed_from=replayed_from)
    if isinstance(decision, NextRevision):
        revision = decision.revision
        event = event_id(id_, revision)
        found.revisions.append(Revision(arrival, id_, response, revision, event))
        now_latest = Latest(
            revision,
            content,
            response.revised_at,
            event,
            arrival.received_at,
            told,
            customer_id=response.customer_id,
        )
        outcome = Outcome(arrival.id, Status.ACCEPTED, None, id_, (event,))
    elif isinstance(decision, SameContent):
        assert latest is not None  # noqa: S101 - nothing is the same as nothing
        now_latest = Latest(
            latest.revision,
            latest.content_hash,
            decision.confirmed_at,
            latest.event_id,
            latest.received_at,
            told,
            customer_id=latest.customer_id,
        )
        reason = because("same-content", revision=latest.revision)
        outcome = Outcome(arrival.id, Status.DUPLICATE, reason, id_, (latest.event_id,))
    else:
        return Outcome(arrival.id, Status.IGNORED, _OUTDATED, id_)
    if now_latest != latest:
        current[id_] = now_latest
        found.changed[id_] = Revised(
            arrival.source.name, response.vendor_response_id, now_latest.customer_id, now_latest
        )
    return outcome


def repetition_of(first: Outcome) -> Outcome:
    """What the sender of the same delivery again is told, where `first` is what became of it."""
    return Outcome(first.delivery_id, Status.DUPLICATE, SAME_DELIVERY, first.response_id, first.event_ids)


def _repeated(found: Plan, kept: Outcome, first: Outcome, reason: str) -> Outcome:
    found.copies[kept.delivery_id] += 1
    return Outcome(kept.delivery_id, Status.DUPLICATE, reason, first.response_id, first.event_ids)


def _conflicting(
    found: Plan, arrival: Arrival, first: Outcome, conflicts: dict[tuple[str, DeliveryKey, bytes], Outcome]
) -> Outcome:
    """The first with an id wins. Another body under it is kept, and marked, so that somebody can look into it."""
    key = (arrival.source.name, arrival.key, arrival.body_hash)
    reason = because("other-body", delivery=str(first.delivery_id))
    kept = conflicts.get(key)
    if kept is not None:
        return _repeated(found, kept, first, reason)
    outcome = Outcome(arrival.id, Status.DUPLICATE, reason, first.response_id, first.event_ids)
    conflicts[key] = outcome
    found.rows.append(Row(_keepable(arrival, outcome), outcome, conflicting=True))
    return outcome


def after_replay(stored: Outcome, now: Outcome) -> Outcome:
    """What a stored delivery is after it was understood again. What was published of it stays true."""
    event_ids = stored.event_ids + tuple(event for event in now.event_ids if event not in stored.event_ids)
    if now.status is Status.ACCEPTED or stored.status is not Status.ACCEPTED:
        return Outcome(stored.delivery_id, now.status, now.reason, now.response_id, event_ids)
    return stored
