"""Free slots for a callback: half hours in which the customer may be called and the owner of the case can call.

A slot lies wholly in the company's calling hours on the customer's clock and in the owner's working hours, in none of
the owner's absences, and nobody else is to be called in it. What is offered lies before the first contact is due, as
long as the customer was not reached and anything is left there; otherwise within a week.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from services.casework.domain.calendars import between
from services.casework.domain.cases import Status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from services.casework.domain.agents import Agent
    from services.casework.domain.calendars import Calendar
    from services.casework.domain.cases import Case
    from services.casework.domain.contacting import ContactRules

LENGTH: Final = timedelta(minutes=30)
LEAD: Final = timedelta(hours=1)
"""The owner has to see it coming."""
AHEAD: Final = timedelta(days=7)
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)


def cell_of(at: datetime) -> datetime:
    """The half hour, by UTC, that holds a moment."""
    return _EPOCH + (at - _EPOCH) // LENGTH * LENGTH


def free_slots(
    case: Case,
    owner: Agent,
    *,
    now: datetime,
    rules: ContactRules,
    zone: str | None,
    works: Calendar | None,
    taken: Collection[datetime],
) -> list[datetime]:
    """The beginnings of all free slots, the earliest first. `taken` are cells in which the owner calls somebody."""
    calling, _ = rules.hours_of(zone)
    if owner.disabled:
        return []
    found = [
        start
        for start in _starts(now)
        if start not in taken
        and not any(owner.is_absent(moment) for moment in (start, start + LENGTH - timedelta(microseconds=1)))
        and between(calling, start, start + LENGTH) == LENGTH
        and between(works, start, start + LENGTH) == LENGTH
    ]
    if case.status is Status.OPEN:
        in_time = [start for start in found if start <= case.first_contact.due_at]
        return in_time or found
    return found


def _starts(now: datetime) -> Iterator[datetime]:
    start = cell_of(now + LEAD)
    if start < now + LEAD:
        start += LENGTH
    end = now + AHEAD
    while start < end:
        yield start
        start += LENGTH
