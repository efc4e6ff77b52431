"""What people enter about teams and departments, and the bodies that casework takes: texts here, values there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from services.portal.domain.policyforms import WrongEntryError

if TYPE_CHECKING:
    from collections.abc import Mapping

TEAM: Final = ("name", "lead_id", "department_id", "calendar_id", "programs", "touchpoints", "themes", "retired")
DEPARTMENT: Final = ("name", "manager_id", "task_hours", "calendar_id", "retired")
_LISTS: Final = ("programs", "touchpoints", "themes")
_WHOLE: Final = re.compile(r"[0-9]{1,4}")
_MOST_HOURS: Final = 24 * 366


def team_of(entered: Mapping[str, str]) -> dict[str, object]:
    """A team as casework takes it; WrongEntryError names what cannot be so."""
    if not entered["name"]:
        raise WrongEntryError({"name"})
    body: dict[str, object] = {name: entered[name] or None for name in ("lead_id", "department_id", "calendar_id")}
    body |= {name: listed(entered[name]) for name in _LISTS}
    return body | {"name": entered["name"], "retired": entered["retired"] == "yes"}


def department_of(entered: Mapping[str, str]) -> dict[str, object]:
    """A department as casework takes it; WrongEntryError names what cannot be so."""
    wrong = set() if entered["name"] else {"name"}
    hours = entered["task_hours"]
    if not _WHOLE.fullmatch(hours) or not 1 <= int(hours) <= _MOST_HOURS:
        wrong.add("task_hours")
    if wrong:
        raise WrongEntryError(wrong)
    return {
        "name": entered["name"],
        "manager_id": entered["manager_id"] or None,
        "task_hours": int(hours),
        "calendar_id": entered["calendar_id"] or None,
        "retired": entered["retired"] == "yes",
    }


def entered_group(stored: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, str]:
    """The other way round: what a form about this team or department shows."""
    shown = {name: str(stored[name] or "") for name in fields if name not in {*_LISTS, "retired"}}
    shown |= {name: ", ".join(stored[name]) for name in fields if name in _LISTS}
    return shown | {"retired": "yes" if stored["retired"] else ""}


def listed(text: str) -> list[str]:
    """Names with commas, semicolons or line breaks between; a comma within a name has no space after it."""
    return [part for part in (each.strip() for each in re.split(r"[\n;]+|,(?= |$)", text)) if part]
