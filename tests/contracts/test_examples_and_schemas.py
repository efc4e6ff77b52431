"""Every type has an example, and every way to break it is noticed, by the codec and by the schema alike."""

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from msgspec.structs import replace

from libs.events.codec import Record, decode, encode
from libs.events.contracts.customers import CustomerErased
from libs.events.errors import Undecodable
from libs.events.event import Event
from libs.events.generate import REFERENCE, differing, event_documents
from libs.events.json_schemas import event_schema
from libs.events.topics import CONTRACTS, TOPIC_OF_TYPE

Examples = dict[str, dict[str, Any]]
AsRecord = Callable[[dict[str, Any]], Record]
Validator = Callable[[dict[str, Any]], jsonschema.Draft202012Validator]
Breakages = Callable[[str, Any], list[tuple[str, Any]]]

TYPES = sorted(CONTRACTS)


def schema(type_: str) -> dict[str, Any]:
    return event_schema(CONTRACTS[type_], TOPIC_OF_TYPE[type_])


def is_refused(record: Record) -> bool:
    try:
        decode(record)
    except Undecodable:
        return True
    return False


def test_there_is_one_example_per_type(all_examples: Examples) -> None:
    assert set(all_examples) == set(CONTRACTS)
    assert all(example["headers"]["ce_type"] == type_ for type_, example in all_examples.items())


@pytest.mark.parametrize("type_", TYPES)
def test_an_example_is_the_same_after_it_was_read_and_written(
    all_examples: Examples, as_record: AsRecord, type_: str
) -> None:
    example = all_examples[type_]
    event = decode(as_record(example))
    assert event is not None
    value, headers = encode(event)
    assert {name: raw.decode() for name, raw in headers} == example["headers"]
    assert (None if value is None else json.loads(value)) == example["payload"]


@pytest.mark.parametrize("type_", TYPES)
def test_an_example_obeys_its_schema(all_examples: Examples, validator: Validator, type_: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(type_))
    validator(schema(type_)).validate(all_examples[type_]["payload"])


@pytest.mark.parametrize("type_", TYPES)
def test_every_broken_field_is_refused(
    all_examples: Examples, as_record: AsRecord, validator: Validator, breakages: Breakages, type_: str
) -> None:
    example = all_examples[type_]
    if example["payload"] is None:
        return
    broken = breakages(type_, example["payload"])
    assert len(broken) > len(example["payload"])
    checker = validator(schema(type_))
    missed_by_codec = [what for what, payload in broken if not is_refused(as_record(example | {"payload": payload}))]
    missed_by_schema = [what for what, payload in broken if checker.is_valid(payload)]
    assert (missed_by_codec, missed_by_schema) == ([], [])


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("payload", [[], "text", 7, True])
def test_a_payload_that_is_no_object_is_refused(
    all_examples: Examples, as_record: AsRecord, validator: Validator, type_: str, payload: object
) -> None:
    assert is_refused(as_record(all_examples[type_] | {"payload": payload}))
    assert not validator(schema(type_)).is_valid(payload)


@pytest.mark.parametrize("type_", TYPES)
def test_a_field_from_the_future_is_no_reason_to_refuse(
    all_examples: Examples, as_record: AsRecord, validator: Validator, type_: str
) -> None:
    example = all_examples[type_]
    if example["payload"] is None:
        return
    later = example["payload"] | {"added_later": {"nested": [1]}}
    assert decode(as_record(example | {"payload": later})) == decode(as_record(example))
    assert validator(schema(type_)).is_valid(later)


@pytest.mark.parametrize("name", ["ce_id", "ce_type", "ce_source", "ce_time", "ce_specversion"])
@pytest.mark.parametrize("type_", TYPES)
def test_a_record_without_an_attribute_is_refused(
    all_examples: Examples, as_record: AsRecord, type_: str, name: str
) -> None:
    headers = {other: value for other, value in all_examples[type_]["headers"].items() if other != name}
    record = as_record(all_examples[type_])
    without = replace(record, headers=tuple((other, value.encode()) for other, value in headers.items()))
    assert is_refused(without)


def test_an_erasure_is_the_only_tombstone(all_examples: Examples, as_record: AsRecord) -> None:
    for type_, example in all_examples.items():
        empty = replace(as_record(example), value=None)
        assert is_refused(empty) is (type_ != CustomerErased.TYPE)
        assert (encode(decoded(as_record(example)))[0] is None) is (type_ == CustomerErased.TYPE)
    erasure = as_record(all_examples[CustomerErased.TYPE])
    assert is_refused(replace(erasure, value=b"{}"))
    assert decoded(erasure).payload == CustomerErased(customer_id="crm-20417")


def decoded(record: Record) -> Event[Any]:
    event = decode(record)
    assert event is not None
    return event


def test_the_committed_documents_are_those_of_the_contracts() -> None:
    expected = event_documents()
    found = {name: (REFERENCE / name).read_text() for name in expected if (REFERENCE / name).exists()}
    assert differing(found, expected) == []
    assert {f"schemas/{path.name}" for path in (REFERENCE / "schemas").iterdir()} == expected.keys() - {"asyncapi.json"}
