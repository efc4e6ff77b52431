"""Events, records and topics to test with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from libs.events.codec import Record, encode
from libs.events.contracts.messages import ConfirmationAnswered
from libs.events.event import Contract, Event
from libs.events.outbox import Outgoing
from libs.events.topics import Topic

if TYPE_CHECKING:
    from libs.events.codec import Headers

NOON: Final = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def an_answer(
    customer_id: str = "anna",
    number: int = 1,
    *,
    id_: UUID | None = None,
    comment: str | None = None,
    traceparent: str | None = None,
) -> Event[ConfirmationAnswered]:
    """A small event with a key (the customer) and a number to tell the order by."""
    payload = ConfirmationAnswered(
        case_id=f"case of {customer_id}",
        customer_id=customer_id,
        round=number,
        solved=True,
        comment=comment,
        answered_at=NOON,
    )
    return Event.root(
        id_ or uuid4(), payload, subject=payload.case_id, time=NOON, source="/notify", traceparent=traceparent
    )


def a_topic(name: str = "answers", *, partitions: int = 1, consumers: tuple[str, ...] = ("test.answers",)) -> Topic:
    """A topic of answers that is not in the registry."""
    return Topic(
        name=name,
        key="customer",
        types=(ConfirmationAnswered,),
        partitions=partitions,
        retention=timedelta(days=1),
        consumers=consumers,
        producer="notify",
    )


def an_outgoing(event: Event[Contract], *, topic: str, key: str) -> Outgoing:
    """`event` as the relay sends it."""
    value, headers = encode(event)
    return Outgoing(topic, key, value, headers)


def a_record(event: Event[Contract], *, topic: str = "answers", key: str = "anna", offset: int = 0) -> Record:
    """`event` as a consumer gets it, on partition 0."""
    value, headers = encode(event)
    return Record(topic, 0, offset, key.encode(), value, headers)


def a_broken_record(
    *, topic: str = "answers", key: str = "anna", value: bytes = b"{", headers: Headers = ()
) -> Outgoing:
    """A record that is no event."""
    return Outgoing(topic, key, value, headers)
