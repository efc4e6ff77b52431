"""Whatever is written can be read, and whatever is read is an event, nothing of ours, or undecodable: nothing else."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec.inspect
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from libs.events.codec import Record, decode, encode
from libs.events.contracts.customers import CustomerErased
from libs.events.errors import Undecodable
from libs.events.event import Contract, Event, EventId
from libs.events.generate import examples
from libs.events.topics import CONTRACTS

EXAMPLES = examples()


def values(kind: msgspec.inspect.Type) -> st.SearchStrategy[Any]:  # noqa: C901, PLR0911 - one per kind of field
    """Whatever a contract allows in a field."""
    match kind:
        case msgspec.inspect.UnionType(types=kinds):
            return st.one_of(*map(values, kinds))
        case msgspec.inspect.NoneType():
            return st.none()
        case msgspec.inspect.BoolType():
            return st.booleans()
        case msgspec.inspect.IntType():
            return st.integers(-(2**63), 2**63 - 1)
        case msgspec.inspect.FloatType():
            return st.floats(allow_nan=False, allow_infinity=False)
        case msgspec.inspect.StrType():
            return st.text()
        case msgspec.inspect.LiteralType(values=allowed):
            return st.sampled_from(allowed)
        case msgspec.inspect.DateTimeType():
            return st.datetimes(timezones=st.just(UTC))
        case msgspec.inspect.StructType(cls=struct, fields=fields):
            return st.builds(struct, **{field.name: values(field.type) for field in fields})
        case msgspec.inspect.VarTupleType(item_type=item):
            return st.lists(values(item), max_size=3).map(tuple)
        case _:
            raise NotImplementedError(f"a contract with {kind}: say here what is in it")


@st.composite
def events(draw: st.DrawFn) -> Event[Contract]:
    payload = draw(values(msgspec.inspect.type_info(CONTRACTS[draw(st.sampled_from(sorted(CONTRACTS)))])))
    subject = payload.customer_id if isinstance(payload, CustomerErased) else draw(st.text())
    return Event(
        id=EventId(draw(st.uuids())),
        type=payload.TYPE,
        source=draw(st.text()),
        subject=subject,
        time=draw(st.datetimes(timezones=st.just(UTC))),
        payload=payload,
        traceparent=draw(st.none() | st.text(min_size=1)),
    )


def delivered(event: Event[Contract]) -> Record:
    value, headers = encode(event)
    return Record("topic", 0, 0, b"key", value, headers)


@settings(deadline=None)
@given(event=events())
def test_every_event_reads_as_it_was_written(event: Event[Contract]) -> None:
    assert decode(delivered(event)) == event


ATTRIBUTES = (
    "ce_specversion", "ce_id", "ce_type", "ce_source", "ce_subject", "ce_time", "content-type", "traceparent",
)  # fmt: skip
good_headers = [tuple((name, value.encode()) for name, value in each["headers"].items()) for each in EXAMPLES.values()]
good_values = [None if each["payload"] is None else json.dumps(each["payload"]).encode() for each in EXAMPLES.values()]
hostile_text = st.sampled_from(
    [
        b"", b"\xff", b"\xed\xa0\x80", b"1.0", b"1.1", b"0" * 5000, b"9" * 5000, b"not-a-uuid",
        b"00000000-0000-0000-0000-000000000000", b"2026-03-02", b"2026-03-02T09:00:00", b"2026-02-30T00:00:00Z",
        b"0001-01-01T00:00:00+23:59", b"9999-12-31T23:59:59-23:59", b"2026-03-02T09:00:00+99:99", b"-1", b"nan",
        *(type_.encode() for type_ in CONTRACTS),
    ]
)  # fmt: skip
hostile_value = st.sampled_from(
    [
        b"", b"{", b"null", b"NaN", b"\xef\xbb\xbf{}", b"[" * 100_000, b'{"a":' * 100_000, b'"\xff"', b'"\\ud800"',
        b"1" * 5_000, b"1e400", b"{} {}", b'{"a":1,"a":2}',
    ]
)  # fmt: skip
headers = st.one_of(
    st.sampled_from(good_headers),
    st.lists(st.tuples(st.sampled_from(ATTRIBUTES) | st.text(max_size=5), hostile_text | st.binary())).map(tuple),
    # A good record with some attributes overwritten: later headers win.
    st.builds(
        lambda good, bad: (*good, *bad),
        st.sampled_from(good_headers),
        st.lists(st.tuples(st.sampled_from(ATTRIBUTES), hostile_text | st.binary()), max_size=3),
    ),
)
mutated = st.builds(
    lambda value, at, byte: value[: at % (len(value) + 1)] + byte + value[at % (len(value) + 1) + len(byte) :],
    st.sampled_from([value for value in good_values if value is not None]),
    st.integers(0, 2000),
    st.binary(max_size=3),
)


@settings(max_examples=400, deadline=None)
@given(
    headers=headers,
    value=st.one_of(st.none(), st.binary(), hostile_value, st.sampled_from(good_values), mutated),
    key=st.none() | st.binary(),
)
@example(headers=good_headers[0], value=b"[" * 1_000_000, key=None)
def test_hostile_records_are_undecodable_and_nothing_worse(
    headers: tuple[tuple[str, bytes], ...], value: bytes | None, key: bytes | None
) -> None:
    try:
        event = decode(Record("topic", 0, 0, key, value, headers))
    except Undecodable:
        return
    if event is not None:
        # What was taken can be passed on.
        again = decode(delivered(event))
        assert again is not None
        assert (again.id, again.type, again.payload) == (event.id, event.type, event.payload)


@pytest.mark.parametrize(
    "time", ["2026-03-02T09:00:00+03:00", "2026-03-02T06:00:00Z", "2026-03-02T06:00:00.000000+00:00"]
)
def test_an_instant_is_the_same_in_any_zone(time: str) -> None:
    example = EXAMPLES["case.closed.v1"]
    record_headers = tuple((name, value.encode()) for name, value in (example["headers"] | {"ce_time": time}).items())
    event = decode(Record("topic", 0, 0, None, json.dumps(example["payload"]).encode(), record_headers))
    assert event is not None
    assert event.time == datetime(2026, 3, 2, 6, tzinfo=UTC)
    assert dict(encode(event)[1])["ce_time"] == b"2026-03-02T06:00:00Z"
