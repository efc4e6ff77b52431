"""A record that is set aside, and the dead letter that says why and whence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from libs.events.codec import Record
from libs.events.outbox import Outgoing

if TYPE_CHECKING:
    from datetime import datetime

MAX_BYTES: Final = 2_000_000
"""Dead-letter topics take 2 MiB (see `kafka.create_topics`), with what Kafka itself adds to a record."""
_REASON_LENGTH: Final = 2_000
_PER_HEADER: Final = 10
"""At most, what the lengths of a header's name and value take."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that is set aside, with why."""

    record: Record
    error: Exception
    attempts: int


def dead_letter(rejected: Rejected, *, topic: str, consumer: str, now: datetime) -> Outgoing:
    """The record as it stands on `topic`: its own bytes and headers, then ours.

    Without its own where they are more than a dead-letter topic takes, as a record that was sent compressed can be: it
    would hold up the outbox, and all that stands behind it. Then the letter says where the record stands.
    """
    letter = _letter(rejected, rejected.record, topic=topic, consumer=consumer, now=now)
    size = _size(letter)
    if size <= MAX_BYTES:
        return letter
    record = rejected.record
    left = Record(record.topic, record.partition, record.offset, None, None, (("dlq_left_out", str(size).encode()),))
    return _letter(rejected, left, topic=topic, consumer=consumer, now=now)


def _letter(rejected: Rejected, record: Record, *, topic: str, consumer: str, now: datetime) -> Outgoing:
    reason = f"{type(rejected.error).__name__}: {rejected.error}"[:_REASON_LENGTH]
    return Outgoing(
        topic,
        (record.key or b"").decode("utf-8", "replace").replace("\x00", "\ufffd"),
        record.value,
        (
            *record.headers,
            ("dlq_reason", reason.encode("utf-8", "replace")),
            ("dlq_consumer", consumer.encode()),
            ("dlq_topic", record.topic.encode()),
            ("dlq_partition", str(record.partition).encode()),
            ("dlq_offset", str(record.offset).encode()),
            ("dlq_key", record.key or b""),
            ("dlq_attempts", str(rejected.attempts).encode()),
            ("dlq_time", now.isoformat().encode()),
        ),
    )


def _size(letter: Outgoing) -> int:
    headers = sum(len(name.encode()) + len(value) + _PER_HEADER for name, value in letter.headers)
    return len(letter.key.encode()) + len(letter.value or b"") + headers
