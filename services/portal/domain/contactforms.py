"""What people enter about when customers may be called, and the body that casework takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from services.portal.domain.policyforms import WEEKDAYS, WrongEntryError, shifts_in, written

if TYPE_CHECKING:
    from collections.abc import Mapping

MINUTES: Final = ("pause_minutes", "early_minutes", "grace_minutes", "climbs_after_minutes")
CONTACT: Final = ("zone", *WEEKDAYS, *MINUTES)
_WHOLE: Final = re.compile(r"[0-9]{1,4}")
_A_DAY: Final = 24 * 60
_AN_HOUR: Final = 60


def contact_rules_of(entered: Mapping[str, str]) -> dict[str, object]:
    """The rules as casework takes them; WrongEntryError names what cannot be so, `week` for the week as a whole."""
    wrong: set[str] = set()
    body: dict[str, object] = {"zone": entered["zone"]}
    try:
        ZoneInfo(entered["zone"])
    except (OSError, KeyError, ValueError):  # a folder of zones; what is none; what is not even a path
        wrong.add("zone")
    week: dict[str, list[dict[str, str]]] = {}
    for day in WEEKDAYS:
        try:
            week[day] = _checked(shifts_in(entered[day]))
        except ValueError:
            wrong.add(day)
    longest = max((_minutes(each["end"]) - _minutes(each["start"]) for day in week.values() for each in day), default=0)
    if not wrong & set(WEEKDAYS) and longest < _AN_HOUR:
        wrong.add("week")
    for name in MINUTES:
        if _WHOLE.fullmatch(entered[name]) and int(entered[name]) <= _A_DAY:
            body[name] = int(entered[name])
        else:
            wrong.add(name)
    if wrong:
        raise WrongEntryError(wrong)
    return body | {"week": {day: hours for day, hours in week.items() if hours}}


def entered_contact_rules(stored: Mapping[str, Any]) -> dict[str, str]:
    """The other way round: what a form about these rules shows."""
    week = {day: written(stored["week"].get(day, ())) for day in WEEKDAYS}
    return {"zone": stored["zone"], **week, **{name: str(stored[name]) for name in MINUTES}}


def _checked(shifts: list[dict[str, str]]) -> list[dict[str, str]]:
    """The hours of a day, if they follow one another within it."""
    before = 0
    for each in shifts:
        start, end = _minutes(each["start"]), _minutes(each["end"])
        if not before <= start < end <= _A_DAY:
            raise ValueError(each)
        before = end
    return shifts


def _minutes(at: str) -> int:
    hours, _, minutes = at.partition(":")
    if int(minutes) >= _AN_HOUR:
        raise ValueError(at)
    return _AN_HOUR * int(hours) + int(minutes)
