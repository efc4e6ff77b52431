"""What people enter about deadlines and calendars, and the bodies that casework takes: texts here, values there."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

HOURS: Final = (
    "first_contact_hours",
    "resolution_hours",
    "reopened_first_contact_hours",
    "reopened_resolution_hours",
    "management_hours",
    "executive_hours",
)
DAYS: Final = ("confirmation_days", "longest_wait_days")
COUNTS: Final = ("unanswered_attempts",)
POLICY: Final = (*HOURS, *DAYS, *COUNTS, "warnings", "calendar_id")
LIGHT: Final = "~light"
"""The program under which casework keeps the policies of light cases; no survey has it."""
_MAY_BE_NONE: Final = ("longest_wait_days", "unanswered_attempts")
_MOST_ATTEMPTS: Final = 100
WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
CALENDAR: Final = ("name", "zone", *WEEKDAYS, "holidays", "special_days")
_MOST_HOURS: Final = 24 * 366
_MOST_DAYS: Final = 366
_LONGEST_RANGE: Final = 400
_WHOLE: Final = re.compile(r"[0-9]{1,5}")
_SHIFT: Final = re.compile(r"([0-9]{1,2}):([0-9]{2})\s*[-\N{EN DASH}]\s*([0-9]{1,2}):([0-9]{2})")
_APART: Final = re.compile(r"[\n,;]+")


class WrongEntryError(ValueError):
    """Fields that cannot be so."""

    def __init__(self, fields: Iterable[str]) -> None:
        super().__init__()
        self.fields: Final = frozenset(fields)


def policy_of(entered: Mapping[str, str]) -> dict[str, object]:
    """A policy as casework takes it; WrongEntryError names what cannot be so."""
    found: dict[str, object] = {"calendar_id": entered["calendar_id"] or None}
    wrong: set[str] = set()
    for names, most in ((HOURS, _MOST_HOURS), (DAYS, _MOST_DAYS), (COUNTS, _MOST_ATTEMPTS)):
        for name in names:
            written = entered[name]
            if _WHOLE.fullmatch(written) and (0 if name in _MAY_BE_NONE else 1) <= int(written) <= most:
                found[name] = int(written)
            else:
                wrong.add(name)
    shares = [part.strip().removesuffix("%").strip() for part in _APART.split(entered["warnings"]) if part.strip()]
    if shares and all(_WHOLE.fullmatch(part) and 0 < int(part) < 100 for part in shares):  # noqa: PLR2004 - percent
        found["warnings"] = sorted({int(part) / 100 for part in shares})
    else:
        wrong.add("warnings")
    if wrong:
        raise WrongEntryError(wrong)
    return found


def entered_policy(stored: Mapping[str, Any]) -> dict[str, str]:
    """The other way round: what a form about this policy shows."""
    shown = {name: str(stored[name]) for name in (*HOURS, *DAYS, *COUNTS)}
    shares = ", ".join(f"{100 * share:.0f}" for share in stored["warnings"])
    return shown | {"warnings": shares, "calendar_id": stored["calendar_id"] or ""}


def calendar_of(entered: Mapping[str, str]) -> dict[str, object]:
    """A calendar as casework takes it; WrongEntryError names what cannot be so."""
    wrong = {name for name in ("name", "zone") if not entered[name]}
    week: dict[str, object] = {}
    for day in WEEKDAYS:
        try:
            week[day] = shifts_in(entered[day])
        except ValueError:
            wrong.add(day)
    holidays: list[str] = []
    special: list[dict[str, object]] = []
    try:
        holidays = days_in(entered["holidays"])
    except ValueError:
        wrong.add("holidays")
    try:
        special = [_special(line) for line in entered["special_days"].splitlines() if line.strip()]
    except ValueError:
        wrong.add("special_days")
    if wrong:
        raise WrongEntryError(wrong)
    body = {"name": entered["name"], "zone": entered["zone"]}
    return {**body, "week": week, "holidays": holidays, "special_days": special}


def entered_calendar(stored: Mapping[str, Any]) -> dict[str, str]:
    """The other way round: what a form about this calendar shows."""
    week = {day: written(stored["week"].get(day, ())) for day in WEEKDAYS}
    special = "\n".join(f"{each['date']} {written(each['hours'])}".strip() for each in stored["special_days"])
    return {
        "name": stored["name"],
        "zone": stored["zone"],
        **week,
        "holidays": "\n".join(spans(stored["holidays"])),
        "special_days": special,
    }


def shifts_in(text: str) -> list[dict[str, str]]:
    """`09:00-13:00, 14:00-18:00` as from and to; nothing for a day on which nobody works."""
    found = []
    for part in (each.strip() for each in _APART.split(text)):
        if not part:
            continue
        match = _SHIFT.fullmatch(part)
        if match is None:
            raise ValueError(part)
        begin, begin_minute, end, end_minute = match.groups()
        found.append({"start": f"{int(begin):02}:{begin_minute}", "end": f"{int(end):02}:{end_minute}"})
    return found


def written(hours: Iterable[Mapping[str, str]]) -> str:
    """The hours of a day, as `shifts_in` reads them."""
    return ", ".join(f"{each['start']}-{each['end']}" for each in hours)


def days_in(text: str) -> list[str]:
    """Dates, one a line, and spans of them as `2027-01-01..2027-01-08`; each once, in their order."""
    found: set[date] = set()
    for part in (each.strip() for each in _APART.split(text)):
        if not part:
            continue
        first, dots, last = part.partition("..")
        begin = date.fromisoformat(first.strip())
        end = date.fromisoformat(last.strip()) if dots else begin
        if not timedelta() <= end - begin <= timedelta(days=_LONGEST_RANGE):
            raise ValueError(part)
        found |= {begin + timedelta(days=day) for day in range((end - begin).days + 1)}
    return [day.isoformat() for day in sorted(found)]


def spans(days: Sequence[str]) -> list[str]:
    """Dates as `days_in` reads them, those that follow each other as one span."""
    found: list[list[date]] = []
    for day in sorted(date.fromisoformat(each) for each in days):
        if found and day - found[-1][-1] == timedelta(days=1):
            found[-1][1:] = [day]
        else:
            found.append([day])
    return ["..".join(day.isoformat() for day in span) for span in found]


def _special(line: str) -> dict[str, object]:
    day, _, hours = line.strip().partition(" ")
    return {"date": date.fromisoformat(day).isoformat(), "hours": shifts_in(hours)}
