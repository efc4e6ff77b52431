"""What people enter about a colleague, and the body that casework takes: texts here, values there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from services.portal.domain.casefile import instant_in
from services.portal.domain.groupforms import listed
from services.portal.domain.policyforms import WrongEntryError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from zoneinfo import ZoneInfo

AGENT: Final = (
    "name",
    "email",
    "language",
    "role",
    "seniority",
    "capacity",
    "team_id",
    "department_id",
    "calendar_id",
    "languages",
    "programs",
    "touchpoints",
    "themes",
    "absences",
    "disabled",
)
ROLES: Final = ("agent", "manager", "executive")
_LISTS: Final = ("languages", "programs", "touchpoints", "themes")
_WHOLE: Final = re.compile(r"[0-9]{1,5}")
_MOST: Final = 10_000


def agent_of(entered: Mapping[str, str], zone: ZoneInfo) -> dict[str, object]:
    """A colleague as casework takes them; WrongEntryError names what cannot be so."""
    wrong = {name for name in ("name", "email") if not entered[name]}
    body: dict[str, object] = {name: entered[name] for name in ("name", "email", "language", "role")}
    if entered["role"] not in ROLES:
        wrong.add("role")
    for name, least, most in (("seniority", 1, 3), ("capacity", 0, _MOST)):
        written = entered[name]
        if _WHOLE.fullmatch(written) and least <= int(written) <= most:
            body[name] = int(written)
        else:
            wrong.add(name)
    for name in ("team_id", "department_id", "calendar_id"):
        body[name] = entered[name] or None
    for name in _LISTS:
        body[name] = listed(entered[name])
    try:
        spans = [_absence(line, zone) for line in entered["absences"].splitlines() if line.strip()]
        without_end = [begin for begin, end in spans if end is None]
        if len(without_end) > 1:
            wrong.add("absences")
        body["absences"] = [{"absent_from": begin, "absent_until": end} for begin, end in spans if end is not None]
        body["absent_from"] = without_end[0] if without_end else None
    except ValueError:
        wrong.add("absences")
    body["disabled"] = entered["disabled"] == "yes"
    if wrong:
        raise WrongEntryError(wrong)
    return body


def entered_agent(stored: Mapping[str, Any], zone: ZoneInfo) -> dict[str, str]:
    """The other way round: what a form about this colleague shows. An absence that began unplanned is one of them."""
    shown = {
        name: str(stored[name] or "") for name in AGENT if name not in {*_LISTS, "absences", "disabled", "capacity"}
    }
    shown |= {name: ", ".join(stored[name]) for name in _LISTS}
    spans = [(each["absent_from"], each["absent_until"]) for each in stored["absences"]]
    if stored["absent_from"] and stored["absent_until"]:
        spans.append((stored["absent_from"], stored["absent_until"]))
    lines = [f"{_local(begin, zone)} .. {_local(end, zone)}" for begin, end in sorted(spans)]
    if stored["absent_from"] and not stored["absent_until"]:
        lines.append(f"{_local(stored['absent_from'], zone)} ..")
    return shown | {
        "capacity": str(stored["capacity"]),
        "absences": "\n".join(lines),
        "disabled": "yes" if stored["disabled"] else "",
    }


def _absence(line: str, zone: ZoneInfo) -> tuple[str, str | None]:
    """`2027-01-11 .. 2027-01-25`, the second being the first moment back at work; nothing there: nobody knows when."""
    first, dots, last = line.partition("..")
    begin = instant_in(first.strip(), zone)
    if not dots or begin is None:
        raise ValueError(line)
    if not last.strip():
        return begin.isoformat(), None
    end = instant_in(last.strip(), zone)
    if end is None or end <= begin:
        raise ValueError(line)
    return begin.isoformat(), end.isoformat()


def _local(at: datetime, zone: ZoneInfo) -> str:
    local = at.astimezone(zone)
    midnight = (local.hour, local.minute) == (0, 0)
    return local.strftime("%Y-%m-%d" if midnight else "%Y-%m-%d %H:%M")
