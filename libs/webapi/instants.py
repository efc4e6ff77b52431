"""Instants in requests: written out as RFC 3339 has them, with their offset, and such as can be stored."""

from datetime import datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

_EARLIEST_YEAR: Final = 1900
_LATEST_YEAR: Final = 9000


def _written_out(value: object) -> object:
    # Pydantic would take a number, too, and guess whether it counts seconds or milliseconds. What is stored is one.
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or value.replace(".", "").lstrip("+-").isdecimal():
        raise ValueError("an instant as in RFC 3339, with its offset")
    return value


def _storable(instant: datetime) -> datetime:
    # At the ends of the calendar, turning to UTC overflows.
    if not _EARLIEST_YEAR <= instant.year <= _LATEST_YEAR:
        raise ValueError(f"a year from {_EARLIEST_YEAR} to {_LATEST_YEAR}")
    return instant


Instant = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_storable)]
