"""The AsyncAPI 3.0 document of all event streams, from the registry of topics.

https://www.asyncapi.com/docs/reference/specification/v3.0.0
https://github.com/asyncapi/bindings/tree/master/kafka
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from libs.events.json_schemas import payload_schema
from libs.events.topics import DEAD_LETTER_RETENTION, DECISIONS, INBOX_RETENTION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from libs.events.event import Contract
    from libs.events.topics import Topic

_BINDING: Final = "0.5.0"
_TEXT: Final = {"type": "string"}
_CLOUD_EVENT: Final[dict[str, Any]] = {
    "type": "object",
    "description": "CloudEvents 1.0 in binary content mode.",
    "properties": {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {
            "type": "string",
            "format": "uuid",
            "description": "Follows from its cause: the same fact, the same id.",
        },
        "ce_type": _TEXT,
        "ce_source": {"type": "string", "format": "uri-reference"},
        "ce_subject": {"type": "string", "description": "The id of what the event is about."},
        "ce_time": {"type": "string", "format": "date-time"},
        "content-type": {"const": "application/json"},
        "traceparent": {"type": "string", "description": "W3C trace context."},
    },
    "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time"],
}
_DEAD_LETTER: Final[dict[str, Any]] = {
    "type": "object",
    "description": "The record's own headers, and why and whence it was set aside.",
    "properties": {
        "dlq_reason": _TEXT,
        "dlq_consumer": _TEXT,
        "dlq_topic": _TEXT,
        "dlq_partition": {"type": "string", "pattern": "^[0-9]+$"},
        "dlq_offset": {"type": "string", "pattern": "^[0-9]+$"},
        "dlq_attempts": {"type": "string", "pattern": "^[0-9]+$"},
        "dlq_key": {"type": "string", "description": "The record's own key, byte for byte."},
        "dlq_time": {"type": "string", "format": "date-time"},
    },
    "required": ["dlq_reason", "dlq_consumer", "dlq_topic", "dlq_partition", "dlq_offset", "dlq_attempts", "dlq_time"],
}
_REPLAY: Final[dict[str, Any]] = {
    "description": "The event as it was, and that this is a replay.",
    "allOf": [
        {"$ref": "#/components/schemas/CloudEvent"},
        {
            "type": "object",
            "properties": {
                "replay_of": {"type": "string", "description": "topic/partition/offset where the record stood first."},
                "replayed_at": {"type": "string", "format": "date-time"},
                "replayed_by": _TEXT,
            },
        },
    ],
}
_DECISION: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "outcome": {"enum": ["replayed", "dropped"]},
        "at": {"type": "string", "format": "date-time"},
        "by": _TEXT,
        "reason": _TEXT,
        "set_aside_at": {"type": "string", "format": "date-time", "description": "The dead letter's own dlq_time."},
    },
    "required": ["outcome", "at", "by", "set_aside_at"],
}


def asyncapi(topics: Sequence[Topic], examples: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The document; `examples` holds one record per event type."""
    schemas: dict[str, Any] = {
        "CloudEvent": _CLOUD_EVENT,
        "DeadLetter": _DEAD_LETTER,
        "Decision": _DECISION,
        "Replay": _REPLAY,
    }
    messages: dict[str, Any] = {}
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for topic in topics:
        for contract in topic.types:
            payload, definitions = payload_schema(contract, "#/components/schemas/{name}")
            schemas |= definitions
            messages[contract.TYPE] = _message(contract, topic, payload, examples[contract.TYPE])
        channels[topic.name] = _channel(topic)
        operations[f"{topic.producer}.sends.{topic.name}"] = _operation("send", topic.name, topic)
        for consumer in topic.consumers:
            operations[f"{consumer}.receives.{topic.name}"] = _operation("receive", topic.name, topic, group=consumer)
            name = topic.dead_letters(consumer)
            channels[name] = _dead_letter_channel(topic, consumer)
            operations[f"{consumer}.sets-aside.{topic.name}"] = _operation("send", name, "dead-letter")
            again = topic.replays(consumer)
            channels[again] = _replay_channel(topic, consumer)
            operations[f"operators.replay.{again}"] = _operation("send", again, "replay")
            operations[f"{consumer}.receives.{again}"] = _operation("receive", again, "replay", group=consumer)
    channels[DECISIONS] = _decisions_channel()
    operations[f"operators.decide.{DECISIONS}"] = _operation("send", DECISIONS, "decision")
    messages["dead-letter"] = {
        "name": "dead-letter",
        "title": "A record that its consumer could not handle",
        "summary": "The record's original bytes, with why and whence in the headers.",
        "contentType": "application/octet-stream",
        "headers": {"$ref": "#/components/schemas/DeadLetter"},
        "payload": {},
    }
    messages["replay"] = {
        "name": "replay",
        "title": "A record that was set aside, once more",
        "summary": "The record's original key, bytes and headers, for the one consumer that could not handle it.",
        "contentType": "application/octet-stream",
        "headers": {"$ref": "#/components/schemas/Replay"},
        "payload": {},
    }
    messages["decision"] = {
        "name": "decision",
        "title": "What was decided about a dead letter",
        "summary": "Replayed or dropped, when, by whom and why.",
        "contentType": "application/json",
        "payload": {"$ref": "#/components/schemas/Decision"},
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Otklik event streams",
            "version": "1",
            "description": (
                "The version of an event is in its type; a breaking change is a new type published beside the old one. "
                "Records may be delivered more than once and carry the id by which that is known. "
                "Order holds per key."
            ),
        },
        "servers": {
            "local": {
                "host": "127.0.0.1:9092",
                "protocol": "kafka",
                "description": "The local stack; elsewhere what OTKLIK_KAFKA_BOOTSTRAP_SERVERS says.",
            }
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": dict(sorted(schemas.items()))},
    }


def _message(
    contract: type[Contract], topic: Topic, payload: dict[str, Any], example: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "name": contract.TYPE,
        "title": contract.TYPE,
        "summary": (contract.__doc__ or "").strip().splitlines()[0],
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/CloudEvent"},
        "payload": payload,
        "bindings": {"kafka": {"key": {"type": "string", "description": topic.key}, "bindingVersion": _BINDING}},
        "examples": [{"headers": example["headers"], "payload": example["payload"]}],
    }


def _channel(topic: Topic) -> dict[str, Any]:
    kept = "the latest record of each key" if topic.retention is None else f"{topic.retention.days} days"
    return {
        "address": topic.name,
        "description": f"Written by {topic.producer}. Key: {topic.key}. Kept: {kept}.",
        "messages": {contract.TYPE: {"$ref": f"#/components/messages/{contract.TYPE}"} for contract in topic.types},
        "bindings": {"kafka": _topic_binding(topic.name, topic.partitions, topic.retention)},
    }


def _dead_letter_channel(topic: Topic, consumer: str) -> dict[str, Any]:
    return {
        "address": topic.dead_letters(consumer),
        "description": f"What {consumer} could not handle of {topic.name}. Kept: {DEAD_LETTER_RETENTION.days} days.",
        "messages": {"dead-letter": {"$ref": "#/components/messages/dead-letter"}},
        "bindings": {"kafka": _topic_binding(topic.dead_letters(consumer), 1, DEAD_LETTER_RETENTION)},
    }


def _replay_channel(topic: Topic, consumer: str) -> dict[str, Any]:
    return {
        "address": topic.replays(consumer),
        "description": (
            f"What operators give to {consumer}, and to nobody else, once more of {topic.name}. "
            f"It comes after newer records of its key. Kept: {DEAD_LETTER_RETENTION.days} days."
        ),
        "messages": {"replay": {"$ref": "#/components/messages/replay"}},
        "bindings": {"kafka": _topic_binding(topic.replays(consumer), 1, DEAD_LETTER_RETENTION)},
    }


def _decisions_channel() -> dict[str, Any]:
    binding = _topic_binding(DECISIONS, 1, INBOX_RETENTION)
    binding["topicConfiguration"]["cleanup.policy"] = ["compact", "delete"]
    return {
        "address": DECISIONS,
        "description": (
            "What became of dead letters, by their topic/partition/offset. "
            f"Kept: the latest of each, {INBOX_RETENTION.days} days."
        ),
        "messages": {"decision": {"$ref": "#/components/messages/decision"}},
        "bindings": {"kafka": binding},
    }


def _topic_binding(name: str, partitions: int, retention: timedelta | None) -> dict[str, Any]:
    configuration: dict[str, Any] = {"cleanup.policy": ["compact" if retention is None else "delete"]}
    if retention is not None:
        configuration["retention.ms"] = int(retention.total_seconds()) * 1000
    return {
        "topic": name,
        "partitions": partitions,
        "topicConfiguration": configuration,
        "bindingVersion": _BINDING,
    }


def _operation(action: str, channel: str, carries: Topic | str, *, group: str | None = None) -> dict[str, Any]:
    types = [carries] if isinstance(carries, str) else [contract.TYPE for contract in carries.types]
    # References into a JSON pointer: neither topics nor types have a character that would have to be escaped.
    operation: dict[str, Any] = {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in types],
    }
    if group is not None:
        operation["bindings"] = {"kafka": {"groupId": {"const": group}, "bindingVersion": _BINDING}}
    return operation
