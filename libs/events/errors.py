"""The errors of the messaging world, grouped by what the caller can do about them.

EventsError
├── PermanentError        this record can never be handled: set it aside at once
│   ├── Undecodable       the bytes are no event, or break their contract
│   └── Lethal            each process that took the record in hand ended
├── Unavailable           database or broker away: wait, lose nothing, come back
└── TooManyDeadLetters    a bug or a bad deploy: stop before the topic is drained
"""

from __future__ import annotations

import asyncpg
import sqlalchemy.exc


class EventsError(Exception):
    """Base of all errors that this package raises."""


class PermanentError(EventsError):
    """Raised by a handler for a record that no retry can help."""


class Undecodable(PermanentError):
    """The record is no CloudEvent, or its payload breaks its contract."""


class Lethal(PermanentError):
    """The process ended each time it had this record in hand."""

    def __init__(self, deaths: int) -> None:
        super().__init__(f"the process ended {deaths} times with this record in hand, without a word")
        self.deaths = deaths


class Unavailable(EventsError):
    """The database or the broker is away; nothing was decided about the records in hand."""


class TooManyDeadLetters(EventsError):
    """More records in a row failed than the consumer may set aside."""

    def __init__(self, consumer: str, limit: int) -> None:
        super().__init__(f"{consumer} stopped: {limit} dead letters in a row; a deploy or a contract is wrong")
        self.consumer = consumer
        self.limit = limit


_UNAVAILABLE_CLASSES = ("08", "53", "57P", "58")
"""SQLSTATE: connection lost, resources exhausted, server going down or coming up, I/O error."""
_CONTENTION = frozenset({"40001", "40P01", "55P03", "25006"})
"""Serialization failure, deadlock, lock not available, read-only after a failover: the same work succeeds later."""
_LOST = (ConnectionError, TimeoutError)
"""Not every OSError: a file that a handler does not find is the record's fault or a bug. What goes wrong while a
connection is being made is Unavailable already (see `Database.connection`)."""


def is_unavailable(error: BaseException) -> bool:
    """Whether `error`, or what caused it, says that the infrastructure and not the record is at fault."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, (Unavailable, *_LOST)):
            return True
        if isinstance(seen, sqlalchemy.exc.DBAPIError) and seen.connection_invalidated:
            return True
        # The driver's InterfaceError is also what it says to wrong calls, which no waiting makes right.
        if isinstance(seen, asyncpg.InterfaceError) and "closed" in str(seen):
            return True
        # What it says where the server has ended an idle connection: its last word is read, the line's end is not.
        if isinstance(seen, asyncpg.InternalClientError) and "another operation" in str(seen):
            return True
        state = getattr(seen, "sqlstate", None)
        if isinstance(state, str) and (state.startswith(_UNAVAILABLE_CLASSES) or state in _CONTENTION):
            return True
        seen = seen.__cause__
    return False
