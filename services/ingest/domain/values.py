"""Values of a payload as the domain needs them: a score is a whole number of its scale, a time has its zone.

Vendors send strings for numbers, numbers for strings, and times without zones. Here a value either is what it has to be
or the payload is not understood, with a reason that names the place and never repeats what the customer wrote.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from services.ingest.domain.reasons import because

if TYPE_CHECKING:
    from datetime import tzinfo

    from services.ingest.domain.reasons import Reason, Where

LONGEST_COMMENT: Final = 20_000
"""Characters of a comment that travel in an event, for a record must fit through the broker. The delivery keeps all."""
LONGEST_ID: Final = 200

_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}")
_WHOLE_NUMBER: Final = re.compile(r"-?[0-9]{1,9}(?:\.0+)?")
_UNIX_TEXT: Final = re.compile(r"[0-9]{9,11}")
_SPACE_BEFORE_OFFSET: Final = re.compile(r" (?:UTC|GMT|([+-][0-9]{2}:?[0-9]{2}))$")
_EARLIEST_UNIX: Final = 0
_LATEST_UNIX: Final = 32_503_680_000  # the year 3000: milliseconds taken for seconds are beyond it
_SHORTEST_TIME: Final = 16
_LONGEST_TIME: Final = 40
_TELLABLE: Final = 1_000_000
_AHEAD: Final = timedelta(days=1)


class Unclear(Exception):
    """The payload does not mean what it has to. `reason` says where and why, for operators; `field` is one of ours."""

    def __init__(self, reason: Reason, field: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field


def score_of(value: object, where: Where, *, lowest: int, highest: int, as_text: bool = False) -> int | None:
    """The score, or None where it is missing: a missing score has no class, and is not an error.

    With `as_text` a whole number may also come as text, as from a form.
    """
    if value is None:
        return None
    if as_text and isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        if _WHOLE_NUMBER.fullmatch(text) is None:
            raise Unclear(because("text-no-whole-number", where=where))
        value = int(text.partition(".")[0])
    if isinstance(value, bool):
        raise Unclear(because("no-number", where=where, kind=kind_of(value)))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, float):
        raise Unclear(because("no-whole-number", where=where))
    if not isinstance(value, int):
        raise Unclear(because("no-number", where=where, kind=kind_of(value)))
    if not lowest <= value <= highest:
        raise Unclear(_off_scale(value, where, lowest, highest))
    return value


def _off_scale(value: int, where: Where, lowest: int, highest: int) -> Reason:
    if abs(value) < _TELLABLE:
        return because("off-scale", where=where, value=value, lowest=lowest, highest=highest)
    return because("far-off-scale", where=where, lowest=lowest, highest=highest)


def id_of(value: object, where: Where) -> str | None:
    """An id or a short name: text, or a whole number written as text. None where it is missing."""
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise Unclear(because("no-text", where=where, kind=kind_of(value)))
    text = value.strip()
    if len(text) > LONGEST_ID:
        raise Unclear(because("too-long", where=where, most=LONGEST_ID))
    return text or None


def comment_of(value: object, where: Where) -> str | None:
    """What the customer wrote, without the blanks around it; None where that is nothing."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise Unclear(because("no-text", where=where, kind=kind_of(value)))
    return value.strip()[:LONGEST_COMMENT] or None


def language_of(value: object, _where: Where) -> str | None:
    """A language tag, or None: nobody's answer waits because of an odd language."""
    if not isinstance(value, str) or value == "default" or _LANGUAGE.fullmatch(value) is None:
        return None
    return value.replace("_", "-")


def time_of(value: object, where: Where, zone: tzinfo) -> datetime | None:
    """A moment in UTC from RFC 3339 or unix seconds; a time without a zone is read in the source's `zone`.

    Also as Ruby and others write it, "2016-08-04 13:57:31 -0700" or "… UTC", and unix seconds as text.
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise Unclear(because("no-time-kind", where=where, kind=kind_of(value)))
    if isinstance(value, str):
        if value[4:5] == "-" or _UNIX_TEXT.fullmatch(value) is None:
            return _written_time(value, zone, where)
        value = int(value)
    if not _EARLIEST_UNIX < value < _LATEST_UNIX:
        raise Unclear(because("no-unix-time", where=where))
    return datetime.fromtimestamp(value, UTC)


def plausible(answered_at: datetime, received_at: datetime) -> None:
    """Refuse an answer from the future: the clock of its case would not run. Clocks may differ, but not by a day."""
    if answered_at - received_at > _AHEAD:
        raise Unclear(because("future"), "answered_at")


def kind_of(value: object) -> str:
    """What a JSON value is; one of `reasons.KINDS`."""
    match value:
        case None:
            return "null"
        case bool():
            return "truth"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list():
            return "list"
        case _:
            return "object"


def _written_time(value: str, zone: tzinfo, where: Where) -> datetime:
    if not _SHORTEST_TIME <= len(value) <= _LONGEST_TIME:
        raise Unclear(because("no-time", where=where))
    try:
        time = datetime.fromisoformat(_SPACE_BEFORE_OFFSET.sub(_offset, value) if " " in value else value)
        if time.tzinfo is None:
            time = time.replace(tzinfo=zone)
        return time if time.tzinfo is UTC else time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Unclear(because("no-time", where=where)) from error


def _offset(ending: re.Match[str]) -> str:
    return ending[1] or "+00:00"
