"""How a case looks from the portal: how far it is round the loop, which clock counts, what can be done with it.

What is possible is casework's decision; this is what the page offers, so that nobody is offered what is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

from services.portal.domain.people import Right

if TYPE_CHECKING:
    from collections.abc import Iterable
    from zoneinfo import ZoneInfo

    from services.portal.domain.people import Person

Status = Literal["open", "contacted", "resolved", "closed"]
Outcome = Literal["confirmed", "unconfirmed"]
Clock = Literal["first_contact", "resolution", "confirmation", "escalation", "waiting"]

STATUSES: Final[tuple[Status, ...]] = ("open", "contacted", "resolved", "closed")
LEVELS: Final = ("frontline", "management", "executive")
TIERS: Final = ("key", "high", "standard", "low")
CONTACT_OUTCOMES: Final = (
    "reached",
    "no_answer",
    "call_later",
    "wrong_number",
    "declined",
    "busy",
    "voicemail",
    "third_person",
    "message_sent",
)
ESCALATION_REASONS: Final = (
    "no_authority",
    "several_departments",
    "key_customer",
    "repeated_problem",
    "customer_asked",
)
WAIT_REASONS: Final = (
    "customer_information",
    "customer_decision",
    "customer_trying",
    "customer_away",
    "other",
)
CHANNELS: Final = ("phone", "email", "sms", "messenger", "in_person")
MOVE_REASONS: Final = ("customer_asked", "owner_unavailable", "other")
CANCEL_REASONS: Final = ("customer_asked", "no_longer_needed", "other")
DEESCALATION_REASONS: Final = ("solvable_below", "authority_given", "mistaken", "other")
REMOVAL_REASONS: Final = ("wrong_case", "wrong_file", "duplicate", "customer_asked", "other")
FILE_ACTS: Final = ("attached", "detached")
DUE_WITHIN: Final = {"overdue": timedelta(), "soon": timedelta(hours=4), "day": timedelta(days=1)}
"""How long before now ends what a list can be narrowed to: what is overdue, or will be soon."""
LONGEST_NOTE: Final = 10_000


class Action(StrEnum):
    """What a person can do with a case; the value is the end of the address, here and in casework."""

    CONTACT = "contact-attempts"
    RESOLVE = "resolve"
    ASSIGN = "assign"
    ESCALATE = "escalate"
    REOPEN = "reopen"
    NOTE = "notes"
    WAIT = "wait"
    RESUME = "resume"
    COMMENT = "comments"
    TASK = "tasks"
    CALLBACK = "callbacks"
    MOVE_CALLBACK = "move-callback"
    CANCEL_CALLBACK = "cancel-callback"
    DEESCALATE = "de-escalate"


_RUNNING: Final = (Action.CALLBACK, Action.ASSIGN, Action.ESCALATE, Action.TASK, Action.COMMENT, Action.NOTE)
_OFFERED: Final[dict[Status, tuple[Action, ...]]] = {
    "open": (Action.CONTACT, *_RUNNING),
    "contacted": (Action.RESOLVE, Action.WAIT, Action.CONTACT, *_RUNNING),
    "resolved": (Action.REOPEN, Action.CONTACT, Action.ASSIGN, Action.COMMENT, Action.NOTE),
    "closed": (Action.REOPEN, Action.COMMENT, Action.NOTE),
}
_STEPS: Final[dict[Status, int]] = {"open": 1, "contacted": 2, "resolved": 3, "closed": 3}
ALL_STEPS: Final = 4


@dataclass(frozen=True, slots=True)
class Running:
    """The clock that counts now, and by when."""

    clock: Clock
    due_at: datetime


def offered(status: Status, level: str, *, waiting: bool = False, agreed: bool = False) -> tuple[Action, ...]:
    """What the page offers, the likeliest first; there is nobody above the executives.

    `agreed`: a callback is; it is moved or cancelled before another one can be agreed.
    """
    top = level == LEVELS[-1]
    found: list[Action] = [Action.RESUME] if waiting else []
    for action in _OFFERED[status]:
        if (top and action is Action.ESCALATE) or (waiting and action is Action.WAIT):
            continue
        found += (Action.MOVE_CALLBACK, Action.CANCEL_CALLBACK) if agreed and action is Action.CALLBACK else (action,)
    return tuple(found)


def given_back_by(person: Person, status: Status, level: str) -> bool:
    """Whether this person may give the case back to the level below: from the executives only they do."""
    needed = Right.DECIDE if level == LEVELS[-1] else Right.LEAD
    return level != LEVELS[0] and status in ("open", "contacted") and person.may(needed)


def path_of(action: Action, callback_id: str) -> str:
    """Where below the case casework takes it."""
    match action:
        case Action.MOVE_CALLBACK:
            return f"callbacks/{callback_id}/move"
        case Action.CANCEL_CALLBACK:
            return f"callbacks/{callback_id}/cancel"
        case _:
            return action.value


def steps_done(status: Status, outcome: Outcome | None) -> int:
    """How many of the four arcs are done: answered, reached, solved, confirmed by the customer."""
    return ALL_STEPS if outcome == "confirmed" else _STEPS[status]


def running(
    status: Status,
    *,
    first_contact_due_at: datetime,
    resolution_due_at: datetime,
    confirm_by: datetime | None,
    escalation_due_at: datetime | None = None,
    waiting_until: datetime | None = None,
) -> Running | None:
    """The clock that counts, which of several is the first; None when the loop is closed.

    While the customer is waited for the resolution is paused, and what counts is until when.
    """
    found: list[Running] = []
    match status:
        case "open":
            found += [Running("first_contact", first_contact_due_at), Running("resolution", resolution_due_at)]
        case "contacted" if waiting_until is not None:
            found.append(Running("waiting", waiting_until))
        case "contacted":
            found.append(Running("resolution", resolution_due_at))
        case "resolved" if confirm_by is not None:
            found.append(Running("confirmation", confirm_by))
        case _:
            return None
    if escalation_due_at is not None:
        found.append(Running("escalation", escalation_due_at))
    return min(found, key=lambda clock: clock.due_at)


def latest_wait(longest: timedelta, pauses: Iterable[tuple[datetime, datetime]], *, now: datetime) -> datetime:
    """Until when the case may wait at most: the pauses of this round count together."""
    return now + longest - sum((until - since for since, until in pauses), timedelta())


def instant_in(written: str, zone: ZoneInfo) -> datetime | None:
    """The instant that a field for a day and a time means in the company's zone; None where it is none."""
    try:
        return datetime.fromisoformat(written).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
