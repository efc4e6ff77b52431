"""How times are said to people: in their language and zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.dates import format_date, format_datetime, get_timezone_gmt

if TYPE_CHECKING:
    from libs.events.contracts.customers import Language

LANGUAGES: Final[tuple[Language, ...]] = ("ru", "en")
LOCALES: Final[dict[Language, str]] = {"ru": "ru_RU", "en": "en_GB"}
"""Of Babel."""
_DAY: Final[dict[Language, str]] = {"ru": "d MMMM", "en": "d MMMM"}
_DAY_AND_YEAR: Final[dict[Language, str]] = {"ru": "d MMMM y 'года'", "en": "d MMMM y"}
_SHORT: Final[dict[Language, str]] = {"ru": "d MMMM, HH:mm", "en": "d MMMM, HH:mm"}
_MOMENT: Final[dict[Language, str]] = {"ru": "EEEE, d MMMM, HH:mm", "en": "EEEE, d MMMM, HH:mm"}


@lru_cache(maxsize=1024)
def zone(name: str | None, otherwise: str) -> tzinfo:
    """The zone of that name; the company's where it is unknown."""
    for each in (name, otherwise):
        try:
            return ZoneInfo(each or otherwise)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # a name may also be a folder or a path
            continue
    return UTC


def day(moment: datetime, language: Language, where: tzinfo, *, now: datetime) -> str:
    """A date as one says it ("3 March"), with its year where that is another one."""
    local = moment.astimezone(where)
    return _said_day(local.date(), language, with_year=local.year != now.astimezone(where).year)


# Many mails name the same days and moments, and saying one costs as much as sending a mail.
@lru_cache(maxsize=4096)
def _said_day(date: date, language: Language, *, with_year: bool) -> str:
    pattern = _DAY_AND_YEAR if with_year else _DAY
    return format_date(date, pattern[language], locale=LOCALES[language])


@lru_cache(maxsize=4096)
def at(moment: datetime, language: Language, where: tzinfo) -> str:
    """A moment as one says it, with its zone ("Tuesday, 25 November, 14:30 (GMT+3)")."""
    local = moment.astimezone(where)
    said = format_datetime(local, _MOMENT[language], tzinfo=where, locale=LOCALES[language])
    offset = get_timezone_gmt(local, "iso8601_short", locale=LOCALES[language]).replace("Z", "")
    hours, minutes = offset[:3], offset[3:]
    shown = f"{hours[:1]}{int(hours[1:])}" if offset else ""
    return f"{said} (GMT{shown}{':' + minutes if minutes and minutes != '00' else ''})"


@lru_cache(maxsize=4096)
def moment_in_short(moment: datetime, language: Language, where: tzinfo) -> str:
    """A moment for a subject line ("25 November, 14:30")."""
    return format_datetime(moment, _SHORT[language], tzinfo=where, locale=LOCALES[language])


def weekday(moment: datetime, language: Language, where: tzinfo) -> str:
    """The day of the week ("Tuesday")."""
    return format_date(moment.astimezone(where).date(), "EEEE", locale=LOCALES[language]).capitalize()


def clock_time(moment: datetime, where: tzinfo) -> str:
    """The time of the day ("14:30")."""
    return moment.astimezone(where).strftime("%H:%M")
