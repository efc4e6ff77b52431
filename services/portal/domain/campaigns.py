"""How a campaign looks from the portal: what who may do about it, and the form in which it is written down.

What is possible is notify's decision; this is what the page offers, so that nobody is offered what is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from services.portal.domain.casefile import instant_in
from services.portal.domain.people import Right

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from services.portal.domain.people import Language, Person

STATUSES: Final = ("draft", "approved", "starting", "running", "paused", "completed", "cancelled")
WHICH: Final = ("raised", "respondents", "everybody", "nobody")
"""Of the customers; `nobody`: it is for lists alone."""
SIDES: Final = ("customers", "employees", "partners")
TEXTS: Final = ("subject", "about", "learned", "changed", "next_steps")
NEEDED_TEXTS: Final = ("subject", "learned", "changed")
LISTS: Final = ("initiative", "root_cause", "tier", "list")
FIELDS: Final = (
    "name",
    "which",
    "themes",
    "programs",
    "since",
    "until",
    "per_minute",
    "is_public",
    *(f"{language}_{name}" for language in ("ru", "en") for name in TEXTS),
)
"""What a form says once."""
USUAL_PACE: Final = 600
_ASKED_AS: Final = {"root_causes": "root_cause", "tiers": "tier", "lists": "list", "initiative_ids": "initiative"}
_MOST_A_MINUTE: Final = 1_000_000
_CYRILLIC: Final = re.compile("[а-яё]", re.IGNORECASE)
_BEFORE_START: Final = frozenset({"draft", "approved"})


class Step(StrEnum):
    """What can be done about a campaign; the value is the end of the address, here and in notify."""

    APPROVE = "approve"
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    TEST = "test"
    CANCEL = "cancel"


_NEXT: Final[Mapping[str, tuple[Step, ...]]] = {
    "draft": (Step.APPROVE, Step.TEST, Step.CANCEL),
    "approved": (Step.START, Step.TEST, Step.CANCEL),
    "starting": (Step.CANCEL,),
    "running": (Step.PAUSE, Step.CANCEL),
    "paused": (Step.RESUME, Step.CANCEL),
}


def offered(status: str, person: Person) -> tuple[Step, ...]:
    """What the page offers this person, the likeliest first."""
    return _NEXT.get(status, ()) if person.may(Right.LEAD) else ()


def may_edit(status: str, person: Person) -> bool:
    """Whether it can still be written anew."""
    return person.may(Right.LEAD) and status in _BEFORE_START


def is_before_start(status: str) -> bool:
    """Whether nobody has been told yet, and its audience is not frozen."""
    return status in _BEFORE_START


def language_of(written: str) -> Language:
    """In which of our languages somebody wrote it."""
    return "ru" if _CYRILLIC.search(written) else "en"


@dataclass(frozen=True, slots=True)
class Entered:
    """A campaign as somebody entered it: for notify, and what of it cannot be so, by field, as codes of words."""

    plan: dict[str, object]
    wrong: dict[str, str] = field(default_factory=dict)


def plan_of(entered: Mapping[str, str], lists: Mapping[str, tuple[str, ...]], zone: ZoneInfo) -> Entered:
    """The plan that a form says."""
    wrong = {name: "missing" for name in ("name", *_needed_texts()) if not entered[name]}
    if not lists["initiative"]:
        wrong["initiative"] = "no_initiative"
    pace = entered["per_minute"].replace(" ", "").replace("\N{NO-BREAK SPACE}", "")
    if not (pace.isascii() and pace.isdecimal() and 1 <= int(pace) <= _MOST_A_MINUTE):
        wrong["per_minute"] = "no_pace"
        pace = "1"
    customers, faults = _customers(entered, lists, zone)
    wrong |= faults
    if customers is None and not lists["list"]:
        wrong["which"] = "nobody_meant"
    plan: dict[str, object] = {
        "name": entered["name"],
        "initiative_ids": list(lists["initiative"]),
        "audience": {"customers": customers, "lists": list(lists["list"])},
        "content": {
            language: {name: entered[f"{language}_{name}"] or None for name in TEXTS} for language in ("ru", "en")
        },
        "per_minute": int(pace),
        "is_public": entered["is_public"] == "yes",
    }
    return Entered(plan, wrong)


def field_at(pointer: str) -> str:
    """The form's field for a place in the plan: "/content/ru/subject" is entered as `ru_subject`."""
    parts = [part for part in pointer.split("/") if part and not part.isdecimal()]
    match parts:
        case ["content", language, name]:
            return f"{language}_{name}"
        case ["audience", "customers", name]:
            return _ASKED_AS.get(name, name)
        case ["audience", "lists"] | ["initiative_ids"] | ["audience", *_]:
            return _ASKED_AS.get(parts[-1], "which")
        case _:
            return parts[0] if len(parts) == 1 else ""


def last_day(until: datetime, zone: ZoneInfo) -> date:
    """The last day that counts, of a period that ends before `until`."""
    return (until - timedelta(microseconds=1)).astimezone(zone).date()


def first_day(since: datetime, zone: ZoneInfo) -> date:
    """The first day that counts."""
    return since.astimezone(zone).date()


def split(written: str) -> list[str]:
    """The parts of a line that commas part."""
    return [part for part in (each.strip() for each in written.split(",")) if part]


def _needed_texts() -> list[str]:
    return [f"{language}_{name}" for language in ("ru", "en") for name in NEEDED_TEXTS]


def _customers(
    entered: Mapping[str, str], lists: Mapping[str, tuple[str, ...]], zone: ZoneInfo
) -> tuple[dict[str, object] | None, dict[str, str]]:
    which = entered["which"]
    if which not in WHICH:
        return {"which": "everybody"}, {"which": "missing"}
    if which == "nobody":
        return None, {}
    found: dict[str, object] = {"which": which, "tiers": list(lists["tier"])}
    wrong: dict[str, str] = {}
    if which == "raised":
        themes = split(entered["themes"])
        found |= {"themes": themes, "root_causes": list(lists["root_cause"])}
        if not themes and not lists["root_cause"]:
            wrong["themes"] = "nothing_raised"
    if which != "everybody":
        found["programs"] = split(entered["programs"])
        for name, later in (("since", timedelta(0)), ("until", timedelta(days=1))):
            if entered[name]:
                at = _start_of(entered[name], later, zone)
                if at is None:
                    wrong[name] = "no_day"
                else:
                    found[name] = at.isoformat()
    return found, wrong


def _start_of(written: str, later: timedelta, zone: ZoneInfo) -> datetime | None:
    """When the day begins that was written, or the one after it; None where that is no day."""
    try:
        day = date.fromisoformat(written) + later
    except (ValueError, OverflowError):
        return None
    return instant_in(day.isoformat(), zone)
