"""JSON Schemas of the events, and which changes of a schema its readers would not survive.

Readers run code that is older or newer than the writer's, and topics keep what was written long ago. So within a type

    allowed     a new field with a default, another description, a further value of a closed set (readers go first)
    refused     a type or field removed, a field's type changed, a field newly required, a value of a closed set
                removed, the type moved to another topic or key

and what is refused is published as a new type beside the old one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import msgspec

from libs.events.contracts.customers import CustomerErased

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from libs.events.event import Contract
    from libs.events.topics import Topic

    Schema = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
ADVICE: Final = "publish a new type beside the old one"
_REF: Final = "#/$defs/"
_PROSE: Final = frozenset({"title", "description", "default", "examples"})


def payload_schema(contract: type[Contract], ref_template: str) -> tuple[Schema, dict[str, Schema]]:
    """The schema of a payload and of the structures in it, which it refers to by `ref_template`."""
    if contract is CustomerErased:
        # On the topic an erasure is a tombstone: a null value, the customer in key and subject.
        return {"type": "null", "description": contract.__doc__ or ""}, {}
    (schema,), definitions = msgspec.json.schema_components([contract], ref_template=ref_template)
    return schema, definitions


def event_schema(contract: type[Contract], topic: Topic) -> Schema:
    """The document that describes the payloads of one event type."""
    schema, definitions = payload_schema(contract, _REF + "{name}")
    document: Schema = {
        "$schema": DIALECT,
        "$id": f"urn:otklik:event:{contract.TYPE}",
        "title": contract.TYPE,
        "x-topic": topic.name,
        "x-key": topic.key,
        **schema,
    }
    if definitions:
        document["$defs"] = definitions
    return document


def incompatible_changes(old: Schema, new: Schema) -> list[str]:
    """What readers of the old schema, or of events written by it, would not survive; each with its place."""
    moved = [f"{name} changed" for name in ("x-topic", "x-key") if old.get(name) != new.get(name)]
    return moved + list(_changes(_inlined(old, old), _inlined(new, new), ""))


def _inlined(schema: Any, document: Schema) -> Any:  # noqa: ANN401 - any JSON value
    """The schema without references and without prose."""
    if isinstance(schema, list):
        return [_inlined(each, document) for each in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return _inlined(document["$defs"][reference.removeprefix(_REF)], document)
    return {
        name: {field: _inlined(each, document) for field, each in value.items()}
        if name == "properties"
        else _inlined(value, document)
        for name, value in schema.items()
        if name not in _PROSE and not name.startswith(("$", "x-"))
    }


def _changes(old: Schema, new: Schema, place: str) -> Iterator[str]:
    match old, new:
        case {"properties": dict()}, {"properties": dict()}:
            yield from _changes_of_object(old, new, place)
        case {"enum": list(before)}, {"enum": list(after)}:
            gone = [value for value in before if value not in after]
            if gone:
                yield f"{place or '/'}: without {', '.join(map(str, gone))}"
        case {"type": "array", "items": dict(before)}, {"type": "array", "items": dict(after)}:
            yield from _changes(before, after, f"{place}/*")
        case {"anyOf": list(before)}, {"anyOf": list(after)}:
            yield from _changes_of_choice(before, after, place)
        case _:
            if old != new:
                yield f"{place or '/'}: its type changed"


def _changes_of_object(old: Schema, new: Schema, place: str) -> Iterator[str]:
    before: Mapping[str, Schema] = old["properties"]
    after: Mapping[str, Schema] = new["properties"]
    for name, schema in before.items():
        if name in after:
            yield from _changes(schema, after[name], f"{place}/{name}")
        else:
            yield f"{place}/{name}: removed"
    for name in new.get("required", []):
        if name not in old.get("required", []):
            yield f"{place}/{name}: newly required"


def _changes_of_choice(before: list[Schema], after: list[Schema], place: str) -> Iterator[str]:
    """One alternative beside null is compared with its successor; any other choice must stay what it is."""
    old, new = ([each for each in choice if each != {"type": "null"}] for choice in (before, after))
    if len(old) == len(new) == 1 and len(before) == len(after):
        yield from _changes(old[0], new[0], place)
    elif sorted(map(json.dumps, before)) != sorted(map(json.dumps, after)):
        yield f"{place or '/'}: its type changed"
