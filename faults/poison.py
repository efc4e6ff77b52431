"""Records that no service can handle, put on the topics on purpose, and marked so that the ledger knows them again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from faults.streams import Told
from libs.events.topics import TOPICS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from libs.events.topics import Topic

MARK: Final = "faults-mark"
POISON: Final = b"poison"
"""Every consumer must set it aside."""
UNKNOWN: Final = b"unknown"
"""Of a type that nobody knows: every consumer must pass over it."""
_TOPICS: Final[Mapping[str, Topic]] = {topic.name: topic for topic in TOPICS}
_BODIES: Final = (
    b"",
    b"{",
    b'{"half": ',
    b"\xff\xfe\x00not utf-8",
    b"[" * 5000,
    b"{}",
    b'{"response_id": 17}',
    b"null",
    b'"\\ud800"',
)


def poison(random: Random, topic: str) -> Told:
    """A record that breaks its contract in one way or another."""
    headers = _headers(random, _TOPICS[topic].types[0].TYPE, POISON)
    match random.randrange(4):
        case 0:
            del headers[random.choice(("ce_id", "ce_type", "ce_source", "ce_time", "ce_specversion"))]
        case 1:
            headers["ce_time"] = random.choice((b"yesterday", b"2026-01-01T00:00:00", b"\xff"))
        case 2:
            headers["ce_id"] = b"not-a-uuid"
        case _:
            pass
    return Told(topic, random.randrange(_TOPICS[topic].partitions), 0, b"poison", random.choice(_BODIES), headers)


def unknown(random: Random, topic: str) -> Told:
    """An event of a newer type."""
    headers = _headers(random, "survey.response.imagined.v9", UNKNOWN)
    return Told(topic, random.randrange(_TOPICS[topic].partitions), 0, b"unknown", b'{"of": "the future"}', headers)


def mark_of(record: Told) -> bytes:
    """How a record is marked; empty for those of the services."""
    return record.headers.get(MARK, b"")


def _headers(random: Random, type_: str, mark: bytes) -> dict[str, bytes]:
    return {
        "ce_specversion": b"1.0",
        "ce_id": str(UUID(int=random.getrandbits(128), version=4)).encode(),
        "ce_type": type_.encode(),
        "ce_source": b"/faults",
        "ce_subject": b"nothing",
        "ce_time": datetime.now(UTC).isoformat().encode(),
        "content-type": b"application/json",
        MARK: mark,
    }
