"""Lists by opaque cursor: `?limit=&cursor=` in, `{items, next_cursor}` out.

A cursor is the position after the last item of a page (the values it is ordered by), so that paging stays right
and equally fast however deep it goes and whatever is inserted meanwhile.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Final, Generic, TypeVar

import msgspec
from fastapi import Query
from pydantic import BaseModel

from libs.webapi.problem import Problem

MAX_LIMIT: Final = 200
_LONGEST_CURSOR: Final = 1024
_INT64: Final = 2**63

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="At most so many items.")]
Cursor = Annotated[
    str | None,
    Query(max_length=_LONGEST_CURSOR, description="`next_cursor` of the page before; absent for the first."),
]

ItemT = TypeVar("ItemT")
PositionT = TypeVar("PositionT")


class Page(BaseModel, Generic[ItemT]):
    """One page of a list. `next_cursor` is null on the last page."""

    items: list[ItemT]
    next_cursor: str | None = None


def encode_cursor(position: object) -> str:
    """The cursor of a position: a tuple of strings, integers, aware datetimes, UUIDs or None."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).rstrip(b"=").decode()


def decode_cursor(cursor: str, position: type[PositionT]) -> PositionT:
    """The position in a cursor, for example `decode_cursor(cursor, tuple[datetime, UUID])`; a 422 otherwise.

    What comes back is safe to bind: a cursor that somebody made up must not reach the database as an error.
    """
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        found = msgspec.json.decode(raw, type=position)
    except (UnicodeError, binascii.Error, msgspec.MsgspecError, RecursionError) as error:
        raise _invalid_cursor() from error
    values = found if isinstance(found, tuple) else (found,)
    if not all(_bindable(value) for value in values):
        raise _invalid_cursor()
    return found


def _bindable(value: object) -> bool:
    match value:
        case str():
            return "\0" not in value
        case int():
            return -_INT64 <= value < _INT64
        case datetime():
            return value.tzinfo is not None and 1 < value.year < 9999  # noqa: PLR2004 - room for any zone
        case _:
            return True


def _invalid_cursor() -> Problem:
    return Problem(
        422,
        "invalid-cursor",
        "The cursor is not valid",
        errors=[{"pointer": "/cursor", "in": "query", "detail": "is not a cursor of this list"}],
    )
