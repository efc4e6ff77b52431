"""Times as people's files have them: with the day or the month first, or without an hour, to ISO 8601."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

Times = Literal["iso", "day-first", "month-first"]

_NUMBERS: Final = re.compile(
    r"(?P<first>[0-9]{1,2})(?P<mark>[./-])(?P<second>[0-9]{1,2})(?P=mark)(?P<year>[0-9]{4})"
    r"(?:,?[ T]+(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<rest>[0-9]{2}(?:\.[0-9]{1,6})?))?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?(?P<zone> ?(?:Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2}))?)?"
)
_ISO_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MONTHS: Final = 12
_NOON: Final = 12


def order_of(values: Iterable[str]) -> Times | None:
    """Which order the written times have; None where it could be either."""
    found: Times | None = "iso"
    for value in values:
        written = _NUMBERS.fullmatch(value.strip())
        if written is None:
            continue
        if written["mark"] == "." or int(written["first"]) > _MONTHS:
            return "day-first"
        if int(written["second"]) > _MONTHS or written["half"]:
            return "month-first"
        found = None
    return found


def as_iso(value: object, times: Times) -> object:
    """The same moment as ISO 8601, a day alone at its first minute; what is written otherwise stays as it is."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if _ISO_DAY.fullmatch(text):
        return f"{text}T00:00"
    written = None if times == "iso" else _NUMBERS.fullmatch(text)
    if written is None:
        return text
    day, month = (
        (written["first"], written["second"]) if times == "day-first" else (written["second"], written["first"])
    )
    hour = int(written["hour"] or 0)
    if written["half"]:
        hour = hour % _NOON + (_NOON if written["half"] in "pP" else 0)
    zone = (written["zone"] or "").strip().replace("UTC", "Z").replace("GMT", "Z")
    rest = written["rest"] or "00"
    return f"{written['year']}-{int(month):02}-{int(day):02}T{hour:02}:{written['minute'] or '00'}:{rest}{zone}"
