"""The document of all streams says what the registry says, in the shape that AsyncAPI 3.0 asks for."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from libs.events.asyncapi import asyncapi
from libs.events.topics import CONTRACTS, DEAD_LETTER_RETENTION, DECISIONS, TOPICS

Document = dict[str, Any]


@pytest.fixture(scope="module")
def document(all_examples: dict[str, dict[str, Any]]) -> Document:
    return asyncapi(TOPICS, all_examples)


def references(value: object) -> Iterator[str]:
    match value:
        case {"$ref": str(reference)}:
            yield reference
        case dict():
            for each in value.values():
                yield from references(each)
        case list():
            for each in value:
                yield from references(each)


def resolved(document: Document, reference: str) -> Any:  # noqa: ANN401 - any part of the document
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_it_has_the_shape_of_asyncapi_3(document: Document) -> None:
    assert document["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= document["info"].keys()
    assert document.keys() <= {
        "asyncapi", "id", "info", "servers", "defaultContentType", "channels", "operations", "components",
    }  # fmt: skip
    for server in document["servers"].values():
        assert {"host", "protocol"} <= server.keys()
    names = [*document["channels"], *document["operations"]]
    names += [name for part in document["components"].values() for name in part]
    assert all(re.fullmatch(r"[\w.\-]+", name) for name in names)


def test_every_reference_leads_somewhere(document: Document) -> None:
    found = set(references(document))
    assert len(found) > len(CONTRACTS)
    for reference in found:
        assert resolved(document, reference) is not None


def test_the_channels_are_the_topics_and_their_dead_letters(document: Document) -> None:
    expected = {topic.name: [contract.TYPE for contract in topic.types] for topic in TOPICS}
    for topic in TOPICS:
        expected |= {topic.dead_letters(consumer): ["dead-letter"] for consumer in topic.consumers}
        expected |= {topic.replays(consumer): ["replay"] for consumer in topic.consumers}
    expected[DECISIONS] = ["decision"]
    assert {name: list(channel["messages"]) for name, channel in document["channels"].items()} == expected
    assert all(channel["address"] == name for name, channel in document["channels"].items())


def test_the_kafka_bindings_are_what_the_topics_are_created_with(document: Document) -> None:
    for topic in TOPICS:
        binding = document["channels"][topic.name]["bindings"]["kafka"]
        assert (binding["topic"], binding["partitions"]) == (topic.name, topic.partitions)
        if topic.retention is None:
            assert binding["topicConfiguration"] == {"cleanup.policy": ["compact"]}
        else:
            milliseconds = topic.retention.total_seconds() * 1000
            assert binding["topicConfiguration"] == {"cleanup.policy": ["delete"], "retention.ms": milliseconds}
        for consumer in topic.consumers:
            for name in (topic.dead_letters(consumer), topic.replays(consumer)):
                dead = document["channels"][name]["bindings"]["kafka"]
                assert dead["partitions"] == 1
                assert dead["topicConfiguration"]["retention.ms"] == DEAD_LETTER_RETENTION.total_seconds() * 1000
    decisions = document["channels"][DECISIONS]["bindings"]["kafka"]
    assert decisions["topicConfiguration"]["cleanup.policy"] == ["compact", "delete"]


def test_the_operations_are_who_sends_and_who_receives(document: Document) -> None:
    said = {
        (operation["action"], operation["channel"]["$ref"].removeprefix("#/channels/"), name.split(".sends.")[0])
        for name, operation in document["operations"].items()
        if operation["action"] == "send" and ".sends." in name
    }
    assert said == {("send", topic.name, topic.producer) for topic in TOPICS}
    received = {
        (operation["bindings"]["kafka"]["groupId"]["const"], operation["channel"]["$ref"].removeprefix("#/channels/"))
        for operation in document["operations"].values()
        if operation["action"] == "receive"
    }
    assert received == {
        (consumer, name)
        for topic in TOPICS
        for consumer in topic.consumers
        for name in (topic.name, topic.replays(consumer))
    }
    for operation in document["operations"].values():
        channel = operation["channel"]["$ref"]
        assert all(message["$ref"].startswith(f"{channel}/messages/") for message in operation["messages"])


def test_every_message_has_an_example_that_obeys_its_headers_and_payload(document: Document) -> None:
    messages = document["components"]["messages"]
    assert messages.keys() == CONTRACTS.keys() | {"dead-letter", "replay", "decision"}
    for type_ in CONTRACTS:
        message = messages[type_]
        assert message["name"] == type_
        assert message["bindings"]["kafka"]["key"]["type"] == "string"
        (example,) = message["examples"]
        for part in ("headers", "payload"):
            schema = {"components": document["components"], "allOf": [message[part]]}
            jsonschema.Draft202012Validator(schema).validate(example[part])
