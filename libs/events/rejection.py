"""A record that is set aside, and the dead letter that says why and whence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from libs.events.outbox import Outgoing

if TYPE_CHECKING:
    from datetime import datetime

    from libs.events.codec import Record

_REASON_LENGTH: Final = 2_000


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that is set aside, with why."""

    record: Record
    error: Exception
    attempts: int


def dead_letter(rejected: Rejected, *, topic: str, consumer: str, now: datetime) -> Outgoing:
    """The record as it stands on `topic`: its own bytes and headers, then ours."""
    record = rejected.record
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
