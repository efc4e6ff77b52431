"""How an initiative looks from the portal: where it stands, and what who may do about it.

What is possible is casework's decision; this is what the page offers, so that nobody is offered what is refused.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

from services.portal.domain.people import Right

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.domain.people import Person

Status = Literal["proposed", "approved", "in_progress", "shipped", "declined"]
STATUSES: Final[tuple[Status, ...]] = ("proposed", "approved", "in_progress", "shipped", "declined")
BOARD: Final[tuple[Status, ...]] = ("proposed", "approved", "in_progress", "shipped")
CURRENCIES: Final = ("RUB", "EUR", "USD", "KZT", "CNY")


class Step(StrEnum):
    """What can be done about an initiative; the value is the end of the address, here and in casework."""

    APPROVE = "approve"
    DECLINE = "decline"
    START = "start"
    SHIP = "ship"
    CASES = "cases"


FIELDS: Final[Mapping[Step, tuple[str, ...]]] = {
    Step.APPROVE: ("due_on", "budget", "currency", "reason"),
    Step.DECLINE: ("reason",),
    Step.START: (),
    Step.SHIP: ("learned", "changed", "next_steps"),
    Step.CASES: ("since",),
}
NEEDED: Final[Mapping[Step, tuple[str, ...]]] = {
    Step.APPROVE: ("due_on",),
    Step.DECLINE: ("reason",),
    Step.START: (),
    Step.SHIP: ("learned", "changed"),
    Step.CASES: ("since",),
}
NEEDS: Final[Mapping[Step, Right]] = {
    Step.APPROVE: Right.DECIDE,
    Step.DECLINE: Right.DECIDE,
    Step.START: Right.LEAD,
    Step.SHIP: Right.LEAD,
    Step.CASES: Right.LEAD,
}
_NEXT: Final[Mapping[Status, tuple[Step, ...]]] = {
    "proposed": (Step.APPROVE, Step.DECLINE, Step.CASES),
    "approved": (Step.START, Step.DECLINE, Step.CASES),
    "in_progress": (Step.SHIP, Step.CASES),
    "shipped": (Step.CASES,),
    "declined": (),
}
_STEPS: Final[Mapping[Status, int]] = {"proposed": 0, "approved": 1, "in_progress": 2, "shipped": 3, "declined": 0}
ALL_STEPS: Final = 4


def steps_done(status: Status, *, told: bool) -> int:
    """How many of the four arcs are done: decided, begun, in force, told."""
    return ALL_STEPS if told else _STEPS[status]


def offered(status: Status, person: Person, *, told: bool) -> tuple[Step, ...]:
    """What the page offers this person, the likeliest first."""
    return () if told else tuple(step for step in _NEXT[status] if person.may(NEEDS[step]))


def may_edit(status: Status, person: Person, *, told: bool) -> bool:
    """Whether it can still be said better."""
    return person.may(Right.LEAD) and status != "declined" and not told


def decision(entered: Mapping[str, str]) -> dict[str, object]:
    """An approval as casework takes it; ValueError's argument is the field that cannot be so."""
    found: dict[str, object] = {"due_on": _day(entered["due_on"], "due_on")}
    if entered["budget"]:
        found |= {"budget": _money(entered["budget"]), "currency": entered["currency"] or CURRENCIES[0]}
    if entered["reason"]:
        found["reason"] = entered["reason"]
    return found


def _day(written: str, field: str) -> str:
    try:
        return date.fromisoformat(written).isoformat()
    except ValueError as error:
        raise ValueError(field) from error


def _money(written: str) -> float:
    """As people write it: with spaces, and a comma or a point before the cents."""
    plain = "".join(written.split()).replace(",", ".")
    try:
        amount = float(plain)
    except ValueError as error:
        raise ValueError("budget") from error
    if not 0 <= amount <= _MOST_MONEY:
        raise ValueError("budget")
    return amount


_MOST_MONEY: Final = 1e15
