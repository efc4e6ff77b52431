"""Examples of all events, and what their contracts say about each field."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import jsonschema
import msgspec
import msgspec.inspect
import pytest

from libs.events.codec import Record
from libs.events.generate import examples
from libs.events.topics import CONTRACTS, TOPIC_OF_TYPE

_FORMATS = jsonschema.FormatChecker(formats=())


@_FORMATS.checks("date-time", raises=ValueError)
def _is_an_instant(value: object) -> bool:
    """RFC 3339: with a zone, always."""
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@pytest.fixture(scope="session")
def validator() -> Callable[[dict[str, Any]], jsonschema.Draft202012Validator]:
    """A validator of a generated schema that knows what an instant is."""
    return lambda schema: jsonschema.Draft202012Validator(schema, format_checker=_FORMATS)


@pytest.fixture(scope="session")
def all_examples() -> dict[str, dict[str, Any]]:
    return examples()


@pytest.fixture(scope="session")
def as_record() -> Callable[[dict[str, Any]], Record]:
    """An example as Kafka delivers it."""

    def make(example: dict[str, Any]) -> Record:
        headers = example["headers"]
        payload = example["payload"]
        return Record(
            topic=TOPIC_OF_TYPE[headers["ce_type"]].name,
            partition=0,
            offset=0,
            key=example["key"].encode(),
            value=None if payload is None else json.dumps(payload, ensure_ascii=False).encode(),
            headers=tuple((name, value.encode()) for name, value in headers.items()),
        )

    return make


_JUNK: tuple[Any, ...] = (None, True, 7, 7.5, "no such value", "2026-03-02T09:00:00", [], {}, {"name": 1})


def _wrong_for(kind: msgspec.inspect.Type) -> list[Any]:
    """Values that cannot stand where `kind` is asked for."""
    return [value for value in _JUNK if not _fits(kind, value)]


def _fits(kind: msgspec.inspect.Type, value: object) -> bool:  # noqa: PLR0911 - one per kind of field
    match kind:
        case msgspec.inspect.UnionType(types=kinds):
            return any(_fits(each, value) for each in kinds)
        case msgspec.inspect.NoneType():
            return value is None
        case msgspec.inspect.BoolType():
            return isinstance(value, bool)
        case msgspec.inspect.IntType():
            return isinstance(value, int) and not isinstance(value, bool)
        case msgspec.inspect.FloatType():
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case msgspec.inspect.StrType():
            return isinstance(value, str)
        case msgspec.inspect.LiteralType() | msgspec.inspect.DateTimeType() | msgspec.inspect.StructType():
            return False
        case msgspec.inspect.VarTupleType():
            return value == []
        case _:
            raise NotImplementedError(f"a contract with {kind}: say here what does not fit it")


def _breakages(
    kind: msgspec.inspect.Type,
    value: Any,  # noqa: ANN401 - any JSON value
    place: str,
) -> Iterator[tuple[str, Any]]:
    match kind:
        case msgspec.inspect.UnionType(types=kinds) if isinstance(value, dict):
            for each in kinds:
                yield from _breakages(each, value, place)
        case msgspec.inspect.VarTupleType(item_type=item):
            yield from _broken_items(item, value, place)
        case msgspec.inspect.StructType(fields=fields):
            yield from _broken_fields(fields, value, place)


def _broken_items(item: msgspec.inspect.Type, value: list[Any], place: str) -> Iterator[tuple[str, Any]]:
    for wrong in _wrong_for(item):
        yield f"{place}/0 = {wrong!r}", [wrong]
    for number, each in enumerate(value):
        for what, inner in _breakages(item, each, f"{place}/{number}"):
            yield what, [*value[:number], inner, *value[number + 1 :]]


def _broken_fields(
    fields: tuple[msgspec.inspect.Field, ...], value: dict[str, Any], place: str
) -> Iterator[tuple[str, Any]]:
    for field in fields:
        name = field.encode_name
        if field.required:
            yield f"{place}/{name} missing", {other: v for other, v in value.items() if other != name}
        for wrong in _wrong_for(field.type):
            yield f"{place}/{name} = {wrong!r}", value | {name: wrong}
        if name in value:
            for what, inner in _breakages(field.type, value[name], f"{place}/{name}"):
                yield what, value | {name: inner}


@pytest.fixture(scope="session")
def breakages() -> Callable[[str, Any], list[tuple[str, Any]]]:
    """Each way to break one field of a payload: (what was done, the broken payload)."""

    def make(type_: str, payload: Any) -> list[tuple[str, Any]]:  # noqa: ANN401 - any JSON value
        return list(_breakages(msgspec.inspect.type_info(CONTRACTS[type_]), payload, ""))

    return make
