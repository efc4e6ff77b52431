"""One dead letter: a record that its consumer set aside, as people see it, with what was decided about it.

    set aside by a consumer ──▶ open ──replay──▶ replayed, with who and when ──fails again──▶ a new dead letter
                                  └─────drop───▶ dropped, with who, when and why

A dead letter is known by its place on its dead-letter topic, which never changes: `casework.scores:17`. Where a
consumer reads several topics the id names the topic too: `portal.events@survey.scores:17`; that longer form is
understood for all of them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

import msgspec

from libs.events.errors import EventsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from libs.events.codec import Headers, Record
    from libs.events.topics import Topic

PARTITION: Final = 0
"""Topics of dead letters, of replays and of decisions have one partition."""
_ADDED: Final = "dlq_"
_REPLAYED: Final = ("replay_of", "replayed_at", "replayed_by")
_LONGEST_OFFSET: Final = 18
_UNKNOWN_TIME: Final = datetime.fromtimestamp(0, UTC)
"""Of a record on a dead-letter topic that no consumer of ours put there."""


class NoSuchLetter(EventsError):
    """There is no dead letter with this id, or not any more."""


class Outcome(StrEnum):
    """What was decided."""

    REPLAYED = "replayed"
    DROPPED = "dropped"


class State(StrEnum):
    """What a list can be asked for."""

    OPEN = "open"
    REPLAYED = "replayed"
    DROPPED = "dropped"


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a dead letter, and who answers for it."""

    outcome: Outcome
    at: datetime
    by: str
    reason: str = ""
    set_aside_at: datetime
    """Tells a letter from another one at the same place, where somebody has made the topic anew."""


@dataclass(frozen=True, slots=True)
class Queue:
    """The dead letters of one consumer from one topic. `name` is as short as it can be told from all others."""

    name: str
    topic: str
    consumer: str
    dead_letters: str
    replays: str


@dataclass(frozen=True, slots=True)
class LetterId:
    """Which dead letter."""

    queue: Queue
    offset: int

    def __str__(self) -> str:
        return f"{self.queue.name}:{self.offset}"

    @property
    def place(self) -> str:
        """The key of its decision."""
        return str(Place(self.queue.dead_letters, PARTITION, self.offset))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A record that was set aside. `headers` are its own, without what was said about it."""

    id: LetterId
    set_aside_at: datetime
    reason: str
    attempts: int
    failed_at: Place | None
    """Where the consumer met it: on its topic, or among its replays."""
    origin: Place | None
    """Where it stood first, however often it was replayed since."""
    key: bytes
    headers: Headers
    value: bytes | None
    """None of an erasure, and in lists, which do without."""
    size: int | None
    """Of the value; None of an erasure."""
    decision: Decision | None = None

    @property
    def state(self) -> State:
        """Whether something was decided, and what."""
        return State.OPEN if self.decision is None else State(self.decision.outcome)

    @property
    def headline(self) -> str:
        """The first line of the reason."""
        return self.reason.partition("\n")[0]

    @property
    def type(self) -> str:
        """The event type that the record names; empty where it names none."""
        return self.said("ce_type")

    @property
    def subject(self) -> str:
        """What the record says that it is about."""
        return self.said("ce_subject")

    @property
    def key_text(self) -> str:
        """The key for people."""
        return self.key.decode("utf-8", "replace")

    def said(self, header: str) -> str:
        """The text of one of the record's own headers; empty where it is missing."""
        return next((raw.decode("utf-8", "replace") for name, raw in self.headers if name == header), "")

    def replay_headers(self, *, at: datetime, by: str) -> Headers:
        """The record's own headers, and that this is a replay: of what, when, by whom."""
        own = tuple((name, raw) for name, raw in self.headers if name not in _REPLAYED)
        origin = str(self.origin) if self.origin is not None else self.id.place
        return (
            *own,
            ("replay_of", origin.encode()),
            ("replayed_at", at.isoformat().encode()),
            ("replayed_by", by.encode("utf-8", "replace")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which dead letters; everything that is open, unless more is said."""

    consumer: str | None = None
    topic: str | None = None
    type_like: str = "*"
    since: datetime | None = None
    state: State | None = State.OPEN
    """None: in whatever state."""

    def of(self, queue: Queue) -> bool:
        """Whether letters of this queue can be among them."""
        return self.consumer in (None, queue.consumer) and self.topic in (None, queue.topic)

    @property
    def by_place(self) -> bool:
        """Whether the state alone decides, so that letters can be counted without being read."""
        return self.type_like == "*" and self.since is None

    def includes(self, letter: DeadLetter) -> bool:
        """Whether this letter is one of them; the version of its type may be left out."""
        if self.state not in (None, letter.state) or (self.since is not None and letter.set_aside_at < self.since):
            return False
        return any(fnmatchcase(each, self.type_like) for each in (letter.type, letter.type.rpartition(".v")[0]))


def queues_of(topics: Sequence[Topic]) -> tuple[Queue, ...]:
    """The queues of all consumers, in the registry's order."""
    reads = Counter(consumer for topic in topics for consumer in topic.consumers)
    return tuple(
        Queue(
            consumer if reads[consumer] == 1 else f"{consumer}@{topic.name}",
            topic.name,
            consumer,
            topic.dead_letters(consumer),
            topic.replays(consumer),
        )
        for topic in topics
        for consumer in topic.consumers
    )


def parse_id(written: str, queues: Sequence[Queue]) -> LetterId:
    """The id that somebody wrote; raises NoSuchLetter, with what it may have been meant for."""
    name, colon, offset = written.strip().rpartition(":")
    if not colon or not (offset.isascii() and offset.isdecimal() and len(offset) <= _LONGEST_OFFSET):
        raise NoSuchLetter(f"{written} is no id of a dead letter: they look like {queues[0].name}:17")
    for queue in queues:
        if name in (queue.name, f"{queue.consumer}@{queue.topic}"):
            return LetterId(queue, int(offset))
    meant = [f"{queue.name}:{offset}" for queue in queues if queue.consumer == name]
    if meant:
        raise NoSuchLetter(f"{name} reads several topics: is {' or '.join(meant)} meant?")
    raise NoSuchLetter(f"There is no consumer {name}: {', '.join(queue.name for queue in queues)}")


def letter_of(queue: Queue, record: Record, decision: Decision | None) -> DeadLetter:
    """Read a record of a dead-letter topic, also one that nobody of ours has written."""
    # Said last, so that nothing of the record itself can pass for it.
    added = {name: raw.decode("utf-8", "replace") for name, raw in record.headers if name.startswith(_ADDED)}
    raw_key = next((raw for name, raw in reversed(record.headers) if name == "dlq_key"), record.key or b"")
    set_aside_at = _time(added.get("dlq_time", ""))
    failed_at = _place(added)
    origin = failed_at
    if failed_at is not None and failed_at.topic == queue.replays:
        replay_of = next((raw for name, raw in reversed(record.headers) if name == "replay_of"), b"")
        origin = _written_place(replay_of.decode("utf-8", "replace"))
    return DeadLetter(
        id=LetterId(queue, record.offset),
        set_aside_at=set_aside_at,
        reason=added.get("dlq_reason", ""),
        attempts=_number(added.get("dlq_attempts", "")) or 0,
        failed_at=failed_at,
        origin=origin,
        key=raw_key,
        headers=tuple((name, raw) for name, raw in record.headers if not name.startswith(_ADDED)),
        value=record.value,
        size=None if record.value is None else len(record.value),
        decision=decision if decision is not None and decision.set_aside_at == set_aside_at else None,
    )


def _time(written: str) -> datetime:
    try:
        time = datetime.fromisoformat(written)
    except ValueError:
        return _UNKNOWN_TIME
    return time if time.tzinfo is not None else _UNKNOWN_TIME


def _number(written: str) -> int | None:
    return int(written) if written.isascii() and written.isdecimal() and len(written) <= _LONGEST_OFFSET else None


def _place(added: dict[str, str]) -> Place | None:
    partition, offset = (_number(added.get(f"dlq_{name}", "")) for name in ("partition", "offset"))
    topic = added.get("dlq_topic")
    return None if not topic or partition is None or offset is None else Place(topic, partition, offset)


def _written_place(written: str) -> Place | None:
    topic, _, rest = written.partition("/")
    partition, _, offset = rest.partition("/")
    return _place({"dlq_topic": topic, "dlq_partition": partition, "dlq_offset": offset})
