"""Events to Kafka records and back: CloudEvents 1.0, binary content mode, JSON payloads.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import msgspec

from libs.events.contracts.customers import CustomerErased
from libs.events.errors import Undecodable
from libs.events.event import Contract, Event, EventId
from libs.events.ids import parse
from libs.events.topics import CONTRACTS

Headers = tuple[tuple[str, bytes], ...]


class Record(msgspec.Struct, frozen=True, gc=False):
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
_REQUIRED: Final = frozenset({"ce_id", "ce_type", "ce_source", "ce_time", "ce_specversion"})
_SPECVERSION: Final = ("ce_specversion", b"1.0")
_CONTENT_TYPE: Final = ("content-type", b"application/json")


def encode(event: Event[Contract]) -> tuple[bytes | None, Headers]:
    """The value and the headers of the record that carries `event`; an erasure is a tombstone, without a value."""
    headers: Headers = (
        _SPECVERSION,
        ("ce_id", str(event.id).encode()),
        _attribute("ce_type", event.type),
        _attribute("ce_source", event.source),
        ("ce_subject", event.subject.encode()),
        _time(event.time),
        _CONTENT_TYPE,
    )
    if event.traceparent is not None:
        headers = (*headers, ("traceparent", event.traceparent.encode()))
    value = None if isinstance(event.payload, CustomerErased) else _encode(event.payload)
    return value, headers


@lru_cache
def _attribute(name: str, value: str) -> tuple[str, bytes]:
    """An attribute that has few values."""
    return name, value.encode()


@lru_cache
def _time(time: datetime) -> tuple[str, bytes]:
    """The time of an event; those that one transaction emits have the same one."""
    return "ce_time", time.astimezone(UTC).isoformat().replace("+00:00", "Z").encode()


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
                return EventId(parse(value.decode()))
            except ValueError:
                return None
    return None


def decode(record: Record) -> Event[Any] | None:
    """The event in `record`, or None where its type is not one of ours.

    Raises Undecodable where an attribute is missing or wrong, or the payload breaks its contract.
    """
    try:
        attributes = dict(record.headers)
        try:
            version, type_ = attributes["ce_specversion"], attributes["ce_type"].decode()
            written, source, id_ = attributes["ce_time"], attributes["ce_source"], attributes["ce_id"]
        except KeyError:
            raise Undecodable(f"not a CloudEvent: without {', '.join(sorted(_REQUIRED - attributes.keys()))}") from None
        if version != b"1.0":
            raise Undecodable(f"CloudEvents version {version.decode()}, not 1.0")
        decoder = _DECODERS.get(type_)
        if decoder is None:
            return None
        time = datetime.fromisoformat(written.decode())
        if time.tzinfo is None:
            raise Undecodable("ce_time has no zone")
        subject = attributes.get("ce_subject", b"").decode()
        trace = attributes.get("traceparent")
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
            EventId(parse(id_.decode())),
            type_,
            source.decode(),
            subject,
            time,
            payload,
            None if trace is None else trace.decode(),
        )
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        # msgspec lets deep nesting and broken UTF-8 out as the interpreter's own errors.
        raise Undecodable(f"{type(error).__name__}: {error}") from error
