"""Events to Kafka records and back: CloudEvents 1.0, binary content mode, JSON payloads.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.events.contracts.customers import CustomerErased
from libs.events.errors import Undecodable
from libs.events.event import Contract, Event, EventId
from libs.events.topics import CONTRACTS

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One record as Kafka delivered it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers


_encode = msgspec.json.Encoder().encode
_DECODERS: Final[dict[str, msgspec.json.Decoder[Contract]]] = {
    type_: msgspec.json.Decoder(contract) for type_, contract in CONTRACTS.items()
}
_REQUIRED: Final = ("ce_id", "ce_type", "ce_source", "ce_time", "ce_specversion")
_READ: Final = frozenset({*_REQUIRED, "ce_subject", "traceparent"})
"""Headers of others are none of our business, whatever bytes they are."""


def encode(event: Event[Contract]) -> tuple[bytes | None, Headers]:
    """The value and the headers of the record that carries `event`; an erasure is a tombstone, without a value."""
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", str(event.id).encode()),
        ("ce_type", event.type.encode()),
        ("ce_source", event.source.encode()),
        ("ce_subject", event.subject.encode()),
        ("ce_time", event.time.astimezone(UTC).isoformat().replace("+00:00", "Z").encode()),
        ("content-type", b"application/json"),
    ]
    if event.traceparent is not None:
        headers.append(("traceparent", event.traceparent.encode()))
    value = None if isinstance(event.payload, CustomerErased) else _encode(event.payload)
    return value, tuple(headers)


def type_of(record: Record) -> str | None:
    """The event type that the record names, or None."""
    for name, value in record.headers:
        if name == "ce_type":
            return value.decode("utf-8", "replace")
    return None


def id_of(record: Record) -> EventId | None:
    """The event's id that the record names, or None; nothing else of it is looked at."""
    for name, value in record.headers:
        if name == "ce_id":
            try:
                return EventId(UUID(value.decode()))
            except ValueError:
                return None
    return None


def decode(record: Record) -> Event[Any] | None:
    """The event in `record`, or None where its type is not one of ours.

    Raises Undecodable where an attribute is missing or wrong, or the payload breaks its contract.
    """
    try:
        attributes = _attributes(record)
        type_ = attributes["ce_type"]
        decoder = _DECODERS.get(type_)
        if decoder is None:
            return None
        time = datetime.fromisoformat(attributes["ce_time"])
        if time.tzinfo is None:
            raise Undecodable("ce_time has no zone")
        subject = attributes.get("ce_subject", "")
        payload: Contract
        if type_ == CustomerErased.TYPE:
            if record.value is not None:
                raise Undecodable("an erasure is a tombstone and has no value")
            payload = CustomerErased(customer_id=subject)
        elif record.value is None:
            raise Undecodable(f"no value: only {CustomerErased.TYPE} is a tombstone")
        else:
            payload = decoder.decode(record.value)
        return Event(
            id=EventId(UUID(attributes["ce_id"])),
            type=type_,
            source=attributes["ce_source"],
            subject=subject,
            time=time,
            payload=payload,
            traceparent=attributes.get("traceparent"),
        )
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        # msgspec lets deep nesting and broken UTF-8 out as the interpreter's own errors.
        raise Undecodable(f"{type(error).__name__}: {error}") from error


def _attributes(record: Record) -> dict[str, str]:
    attributes = {name: raw.decode() for name, raw in record.headers if name in _READ}
    missing = [name for name in _REQUIRED if name not in attributes]
    if missing:
        raise Undecodable(f"not a CloudEvent: without {', '.join(missing)}")
    if attributes["ce_specversion"] != "1.0":
        raise Undecodable(f"CloudEvents version {attributes['ce_specversion']}, not 1.0")
    return attributes
