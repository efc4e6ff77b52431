"""Events on topics: made beforehand, written quickly, and how far a consumer group is with them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

import msgspec
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from libs.events.codec import encode
from libs.events.contracts.responses import Instrument, ResponseReceived
from libs.events.contracts.scores import ResponseScored
from libs.events.event import Event, derived_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from libs.events.codec import Headers
    from libs.events.event import Contract

_NAMESPACE: Final = UUID("0d2f2d0e-6d8a-4f2b-9d5d-3b8d2f1f7c11")
_ASKED: Final = Instrument(
    metric="nps",
    question="Насколько вероятно, что вы порекомендуете нас коллегам?",
    scale_min=0,
    scale_max=10,
    kind="transactional",
    channel="email",
)
_COMMENT: Final = (
    "Заявку закрыли только с третьего раза, каждый раз приходилось объяснять всё сначала. "
    "Инженер, который наконец приехал, разобрался за час."
)
_NOON: Final = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
_PROMOTER, _PASSIVE = 9, 7
_BOUND_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Made:
    """A record that waits to be written."""

    key: str
    value: bytes
    headers: Headers


def customer_of(number: int) -> str:
    """Who gave the answer with this number."""
    return f"customer-{number:06}"


def received(numbers: Iterable[int]) -> list[Event[ResponseReceived]]:
    """First answers of as many customers: half of them with a comment, scores from 0 to 10."""
    return [_received(number) for number in numbers]


def _received(number: int) -> Event[ResponseReceived]:
    id_ = uuid5(_NAMESPACE, str(number))
    at = _NOON + timedelta(seconds=number)
    payload = ResponseReceived(
        response_id=str(id_),
        revision=1,
        source="bench",
        vendor_response_id=f"vendor-{number}",
        program="support",
        touchpoint="ticket-closed",
        instrument=_ASKED,
        score=number % 11,
        comment=_COMMENT if number % 2 else None,
        customer_id=customer_of(number),
        language="ru",
        answered_at=at,
        received_at=at + timedelta(seconds=1),
    )
    trace = f"00-{id_.hex}-{id_.hex[:16]}-01"
    return Event.root(
        derived_id(id_, payload.TYPE), payload, subject=str(id_), time=at, source="/ingest", traceparent=trace
    )


def scored(numbers: Iterable[int]) -> list[Event[ResponseScored]]:
    """What scoring makes of such answers."""
    return [_scored(answer) for answer in received(numbers)]


def _scored(answer: Event[ResponseReceived]) -> Event[ResponseScored]:
    said = answer.payload
    assert said.score is not None  # noqa: S101 - all of ours have one
    payload = ResponseScored(
        response_id=said.response_id,
        revision=1,
        program=said.program,
        touchpoint=said.touchpoint,
        kind=said.instrument.kind,
        metric=said.instrument.metric,
        score=said.score,
        nps_class="promoter" if said.score >= _PROMOTER else "passive" if said.score >= _PASSIVE else "detractor",
        comment=said.comment,
        customer_id=said.customer_id,
        account_id=None,
        tier="standard",
        tier_reason="default",
        language=said.language,
        instrument_id=str(_NAMESPACE),
        instrument_version=1,
        answered_at=said.answered_at,
    )
    return Event.caused_by(answer, payload, subject=said.response_id, time=answer.time, source="/scoring")


def as_records(events: Iterable[Event[Contract]]) -> list[Made]:
    """Events as they are written, under their customers' keys."""
    made = []
    for event in events:
        value, headers = encode(event)
        key: str = getattr(event.payload, "customer_id", None) or event.subject
        made.append(Made(key, value or b"", headers))
    return made


def write_file(path: Path, records: Sequence[Made]) -> None:
    """Leave records for a floor: MessagePack, a list of [key, value, [[name, value], ...]]."""
    path.write_bytes(msgspec.msgpack.encode([(each.key.encode(), each.value, each.headers) for each in records]))


def fill(bootstrap_servers: str, topic: str, records: Iterable[Made]) -> None:
    """Write records, by key as the product does; return when all are acknowledged."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 20,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    for each in records:
        producer.produce(topic, each.value, each.key.encode(), headers=list(each.headers))
    if producer.flush(_BOUND_S):
        raise RuntimeError(f"{topic} could not be filled")


class Group:
    """The offsets of a consumer group on one topic, from outside: this is no member."""

    def __init__(self, bootstrap_servers: str, group: str, topic: str) -> None:
        self._client = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": group, "log_level": 0})
        described = self._client.list_topics(topic, timeout=_BOUND_S).topics[topic]
        self._partitions = [TopicPartition(topic, number) for number in sorted(described.partitions)]

    def ends(self) -> list[int]:
        """Where each partition ends."""
        return [self._end(place) for place in self._partitions]

    def _end(self, place: TopicPartition) -> int:
        deadline = time.monotonic() + _BOUND_S
        while True:
            try:
                _, end = self._client.get_watermark_offsets(place, timeout=5)
            except KafkaException:
                # A topic that was made a moment ago has no leader yet.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return int(end)

    def put(self, offsets: Sequence[int]) -> None:
        """Let the group, which has no members now, read from these places on."""
        places = [
            TopicPartition(place.topic, place.partition, offset)
            for place, offset in zip(self._partitions, offsets, strict=True)
        ]
        self._client.commit(offsets=places, asynchronous=False)

    def done(self) -> list[int]:
        """The next offset that the group reads of each partition."""
        return [place.offset for place in self._client.committed(self._partitions, timeout=_BOUND_S)]
