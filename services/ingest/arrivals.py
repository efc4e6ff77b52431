"""From a request's bytes and headers to an arrival: what is kept of it, and what was understood."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

import msgspec

from libs.events.ids import of_bytes
from libs.events.telemetry import traceparent_or_new
from services.ingest.domain.deliveries import Arrival, DeliveryKey, delivery_key, delivery_number, hash_of
from services.ingest.domain.responses import DeliveryId

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from services.ingest.sources import ReadySource
    from services.ingest.store.kept import Contents
    from services.ingest.vendors.understanding import Reader

_encode: Final = msgspec.json.Encoder().encode


class DeliveryIds:
    """Ids in the order in which a process gives them, also within one millisecond."""

    def __init__(self) -> None:
        self._random = random.Random()  # noqa: S311 - it tells processes apart; nobody is kept out by it
        self._given = 0

    def new(self, received_at: datetime) -> DeliveryId:
        """The next id."""
        self._given = (self._given + 1) & 0xFFF
        return DeliveryId(of_bytes(delivery_number(received_at, self._given << 62 | self._random.getrandbits(62))))


def webhook_arrival(
    ready: ReadySource, headers: Mapping[bytes, bytes], body: bytes, received_at: datetime, id_: DeliveryId
) -> Arrival:
    """An authentic delivery of a vendor's, understood. Names of headers are lower-case."""
    content_type = headers.get(b"content-type", b"").decode("latin-1").replace("\0", "")
    payload_id, verdict = ready.reader.read(body, received_at, content_type)
    header = ready.vendor.delivery_id_header
    if header is not None:
        payload_id = headers.get(header.encode(), b"").decode("latin-1")
    body_hash = hash_of(body)
    return Arrival(
        id=id_,
        source=ready.source,
        via="webhook",
        key=delivery_key(payload_id, body_hash),
        body=body,
        body_hash=body_hash,
        headers=kept_headers(headers, ready.kept_name),
        content_type=content_type,
        received_at=received_at,
        verdict=verdict,
        traceparent=traceparent_or_new(headers.get(b"traceparent", b"").decode("latin-1")),
    )


def rest_arrival(ready: ReadySource, body: bytes, received_at: datetime, traceparent: str, id_: DeliveryId) -> Arrival:
    """A response in our own shape, sent by somebody who holds a key of ours."""
    _, verdict = ready.own_shape.read(body, received_at)
    body_hash = hash_of(body)
    return Arrival(
        id=id_,
        source=ready.source,
        via="rest",
        key=delivery_key(None, body_hash),
        body=body,
        body_hash=body_hash,
        headers="{}",
        content_type="application/json",
        received_at=received_at,
        verdict=verdict,
        traceparent=traceparent,
    )


def api_arrival(ready: ReadySource, body: bytes, received_at: datetime, traceparent: str, id_: DeliveryId) -> Arrival:
    """A response as the vendor's API told it. The same answer again is the same delivery."""
    _, verdict = ready.fetched.read(body, received_at)
    body_hash = hash_of(body)
    return Arrival(
        id=id_,
        source=ready.source,
        via="api",
        key=delivery_key(None, body_hash),
        body=body,
        body_hash=body_hash,
        headers="{}",
        content_type="application/json",
        received_at=received_at,
        verdict=verdict,
        traceparent=traceparent,
    )


def file_arrival(
    ready: ReadySource,
    reader: Reader,
    body: bytes,
    headers: str,
    received_at: datetime,
    traceparent: str,
    id_: DeliveryId,
) -> Arrival:
    """A row of a file. The same row in the same or another file of the source is the same delivery."""
    _, verdict = reader.read(body, received_at)
    body_hash = hash_of(body)
    return Arrival(
        id=id_,
        source=ready.source,
        via="file",
        key=delivery_key(None, body_hash),
        body=body,
        body_hash=body_hash,
        headers=headers,
        content_type="application/json",
        received_at=received_at,
        verdict=verdict,
        traceparent=traceparent,
    )


def stored_arrival(ready: ReadySource, kept: Contents, traceparent: str, row: Reader | None = None) -> Arrival:
    """A kept delivery, understood again by today's field map; `row` understands it where it is one of a file."""
    delivery = kept.delivery
    reader = row or {"rest": ready.own_shape, "api": ready.fetched}.get(delivery.via, ready.reader)
    _, verdict = reader.read(kept.body, delivery.received_at, delivery.content_type)
    return Arrival(
        id=DeliveryId(delivery.id),
        source=ready.source,
        via=delivery.via,
        key=DeliveryKey(delivery.key),
        body=kept.body,
        body_hash=hash_of(kept.body),
        headers=kept.headers,
        content_type=delivery.content_type,
        received_at=delivery.received_at,
        verdict=verdict,
        traceparent=traceparent,
    )


def kept_headers(headers: Mapping[bytes, bytes], kept_name: Callable[[bytes], str | None]) -> str:
    """The headers as JSON, without what proves who somebody is: kept deliveries are read by people, and backed up."""
    return _encode(
        {kept: value.decode("latin-1") for name, value in headers.items() if (kept := kept_name(name)) is not None}
    ).decode()
