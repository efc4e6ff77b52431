"""The clocks of a case: instants that are computed once and then stored, and what each makes happen, once.

    running ──at each warning──> … ──at the last──> warned ──at due_at──> breached ┄┄at the top level┄┄> reminding
       └───────────────────────────────at due_at────────────────────────────┘          (and again, and again)

    clock           starts                                              stops                            while waiting
    first contact   when the customer answered; at a reopening          somebody reached the customer    runs
    resolution      when the customer answered; at a reopening          resolved                         is paused
    escalation      when the case came to a level above the frontline   somebody of that level acted     runs
    confirmation    when the case was resolved                          the customer's word              -

Found late, of several warnings only the latest is given, and none after the due instant. A stored instant never moves
by itself; what moves it:

    reopened              first contact and resolution anew from the moment of the reopening, by the policy of then;
                          above the frontline the level's escalation clock starts anew, too
    resumed               resolution, unless breached: later by the time it was paused, of the calendar where it has one
    policy or calendar    nothing: what runs keeps its instants, what starts from now on goes by the new one
    changed
    recomputed by hand    what runs and is not breached: counted anew from its start, by the policy and the calendar of
    (`recomputing`)       now, with the time it was paused. Too late by then: it breaches at once. Warnings whose moment
                          has passed are not given. A breach that happened stays, as it was told and has climbed; the
                          date that the customer was promised for the confirmation stays, too

A clock is stopped by what the case does, not here: see `cases`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec.structs import replace

from libs.events.event import named
from services.casework.domain.calendars import add
from services.casework.domain.names import Clock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from uuid import UUID

    from services.casework.domain.calendars import Calendar
    from services.casework.domain.names import CaseId


class Stage(StrEnum):
    """How far a clock has come."""

    RUNNING = "running"
    """A warning lies ahead."""
    WARNED = "warned"
    """No warning lies ahead any more."""
    BREACHED = "breached"
    REMINDING = "reminding"
    """Breached where nobody is above; who answers for the case is reminded from time to time."""


class Deadline(msgspec.Struct, frozen=True, gc=False):
    """One clock: when the work is due, when to warn, and what has been said already."""

    due_at: datetime
    warn_at: datetime
    """The next warning or reminder; once the last warning was given, that one."""
    stage: Stage = Stage.RUNNING
    later: tuple[datetime, ...] = ()
    """The warnings after the next one."""

    @property
    def fires_at(self) -> datetime | None:
        """The instant at which something has to happen next."""
        # By identity: asked several times for each clock, and comparing members as strings costs as much as the rest.
        if self.stage is Stage.WARNED:
            return self.due_at
        return None if self.stage is Stage.BREACHED else self.warn_at

    @property
    def is_breached(self) -> bool:
        """Whether the work was not done in time."""
        return self.stage is Stage.BREACHED or self.stage is Stage.REMINDING

    def breached(self) -> Deadline:
        """The same clock, breached; it says nothing more."""
        return replace(self, stage=Stage.BREACHED, later=())

    def warned(self, now: datetime) -> Deadline:
        """The same clock after what was to be warned of by `now` has been said."""
        ahead = tuple(at for at in self.later if at > now)
        if not ahead:
            return replace(self, stage=Stage.WARNED, later=())
        return replace(self, warn_at=ahead[0], later=ahead[1:])

    def reminding(self, next_at: datetime) -> Deadline:
        """The same clock, breached where nobody is above, with its next reminder."""
        return replace(self, stage=Stage.REMINDING, warn_at=next_at, later=())

    def moved(self, calendar: Calendar | None, amount: timedelta) -> Deadline:
        """The same clock with all that lies ahead of it later by `amount` of working time; a breach stays."""
        if self.is_breached:
            return self
        due_at = add(calendar, self.due_at, amount)
        if self.stage is Stage.WARNED:
            return replace(self, due_at=due_at)
        later = tuple(add(calendar, at, amount) for at in self.later)
        return replace(self, due_at=due_at, warn_at=add(calendar, self.warn_at, amount), later=later)


def deadline(
    calendar: Calendar | None, since: datetime, allowance: timedelta, fractions: Sequence[float], paused: timedelta
) -> Deadline:
    """A clock that was begun at `since`, with warnings at these fractions of the allowance, later by what was paused.

    Fractions are fractions of the working time where there is a calendar.
    """
    start = since.astimezone(UTC)
    warn_at, *later = [add(calendar, start, allowance * fraction + paused) for fraction in fractions]
    return Deadline(add(calendar, start, allowance + paused), warn_at, Stage.RUNNING, tuple(later))


def started_at(spoken_at: datetime, now: datetime) -> datetime:
    """Where a clock starts: when the customer spoke. A vendor's clock that runs ahead gives us no more time."""
    return min(spoken_at, now)


Happening = Literal["warned", "breached", "reminded", "over", "silence"]
"""`over`: the time for which the case may wait for the customer; `silence`: that for the customer's confirmation."""


class Firing(msgspec.Struct, frozen=True, gc=False):
    """Something that a clock makes happen to a case, once."""

    clock: Clock | Literal["waiting", "task"]
    happening: Happening
    due_at: datetime
    at: datetime
    """When it was to happen."""

    def id(self, case_id: CaseId, reopenings: int = 0) -> UUID:
        """The cause of its events: the same firing always has the same id, whichever worker comes first.

        The number of reopenings is a part of it, as a clock that starts anew may end at an instant of an earlier one.
        """
        which = f"{reopenings}/{self.clock}/{self.happening}/{self.due_at.astimezone(UTC).isoformat()}"
        if self.at != self.due_at:
            # One of several warnings or reminders.
            which += f"/{self.at.astimezone(UTC).isoformat()}"
        return named(case_id, which)


def firing_of(clock: Clock | Literal["task"], deadline: Deadline, now: datetime) -> Firing | None:
    """What `deadline` makes happen at `now`, if anything: never before its time."""
    if deadline.stage is Stage.BREACHED:
        return None
    if deadline.stage is Stage.REMINDING:
        due = deadline.warn_at <= now
        return Firing(clock, "reminded", deadline.due_at, deadline.warn_at) if due else None
    if deadline.due_at <= now:
        return Firing(clock, "breached", deadline.due_at, deadline.due_at)
    if deadline.stage is Stage.RUNNING and deadline.warn_at <= now:
        at = max((each for each in deadline.later if each <= now), default=deadline.warn_at)
        return Firing(clock, "warned", deadline.due_at, at)
    return None
