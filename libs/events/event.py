"""An event: one payload that obeys a contract, with the CloudEvents attributes that say what, whence and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, NewType, TypeVar
from uuid import UUID, uuid5

import msgspec

if TYPE_CHECKING:
    from datetime import datetime

EventId = NewType("EventId", UUID)


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every payload. Subclasses name their `TYPE` (with its version) as a class variable.

    Unknown fields are ignored when read, so that a field can be added without breaking older readers.
    """

    TYPE: ClassVar[str]


PayloadT_co = TypeVar("PayloadT_co", bound=Contract, covariant=True)


@dataclass(frozen=True, slots=True)
class Event(Generic[PayloadT_co]):
    """One fact. `time` is when it happened (aware, UTC), `subject` the id of what it is about."""

    id: EventId
    type: str
    source: str
    subject: str
    time: datetime
    payload: PayloadT_co
    traceparent: str | None = None


def derived_id(cause: UUID, type_: str, part: str = "") -> EventId:
    """The id of an event that follows from `cause`: the same cause always gives the same id.

    `part` tells several events of one type and one cause apart (for example the message per recipient).
    """
    return EventId(uuid5(cause, f"{type_}/{part}" if part else type_))
