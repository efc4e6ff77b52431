"""An event: one payload that obeys a contract, with the CloudEvents attributes that say what, whence and when."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha1
from typing import Annotated, ClassVar, Final, Generic, NewType, TypeVar
from uuid import UUID

import msgspec

EventId = NewType("EventId", UUID)

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""A moment with its zone; a naive time breaks the contract."""


class Contract(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of every payload. Subclasses name their `TYPE` (with its version) as a class variable.

    Unknown fields are ignored when read, so that a field can be added without breaking older readers.
    """

    TYPE: ClassVar[str]


PayloadT_co = TypeVar("PayloadT_co", bound=Contract, covariant=True)


_VERSION: Final = tuple(bytes((number & 0x0F | 0x50,)) for number in range(256))
_VARIANT: Final = tuple(bytes((number & 0x3F | 0x80,)) for number in range(256))


def named(namespace: UUID, name: str) -> UUID:
    """The same as `uuid.uuid5`, in a fraction of its time; of the class of `namespace`."""
    digest = sha1(namespace.bytes + name.encode(), usedforsecurity=False).digest()
    number = digest[:6] + _VERSION[digest[6]] + digest[7:8] + _VARIANT[digest[8]] + digest[9:16]
    # The driver's class takes the bytes as its first argument.
    return UUID(bytes=number) if type(namespace) is UUID else type(namespace)(number)  # type: ignore[arg-type]


def derived_id(cause: UUID, type_: str, part: str = "") -> EventId:
    """The id of an event that follows from `cause`: the same cause always gives the same id.

    `part` tells several events of one type and one cause apart (for example the message per recipient).
    """
    return EventId(named(cause, f"{type_}/{part}" if part else type_))


class Event(msgspec.Struct, Generic[PayloadT_co], frozen=True, gc=False):
    """One fact. `time` is when it happened (aware, UTC), `subject` the id of what it is about."""

    id: EventId
    type: str
    source: str
    subject: str
    time: datetime
    payload: PayloadT_co
    traceparent: str | None = None

    @classmethod
    def root(
        cls,
        id_: UUID,
        payload: PayloadT_co,  # type: ignore[misc]  # a constructor may take what it holds
        *,
        subject: str,
        time: datetime,
        source: str,
        traceparent: str | None = None,
    ) -> Event[PayloadT_co]:
        """An event whose id the caller knows, because it starts a chain."""
        return cls(EventId(id_), payload.TYPE, source, subject, time, payload, traceparent)

    @classmethod
    def caused_by(
        cls,
        cause: Event[Contract],
        payload: PayloadT_co,  # type: ignore[misc]  # a constructor may take what it holds
        *,
        subject: str,
        time: datetime,
        source: str,
        part: str = "",
    ) -> Event[PayloadT_co]:
        """An event that follows from another one: same trace, and an id that follows from the cause's."""
        id_ = derived_id(cause.id, payload.TYPE, part)
        return cls(id_, payload.TYPE, source, subject, time, payload, cause.traceparent)

    @classmethod
    def caused_by_command(
        cls,
        command_id: UUID,
        payload: PayloadT_co,  # type: ignore[misc]  # a constructor may take what it holds
        *,
        subject: str,
        time: datetime,
        source: str,
        part: str = "",
        traceparent: str | None = None,
    ) -> Event[PayloadT_co]:
        """An event that follows from a person's or a clock's command, known by the command's id."""
        id_ = derived_id(command_id, payload.TYPE, part)
        return cls(id_, payload.TYPE, source, subject, time, payload, traceparent)
