"""Clocks counted anew: the one act that lets a changed policy or calendar move the instants of cases that are open.

    clock                             new instant ahead                           new instant passed
    running or warned                 moves; warnings whose moment has            breaches at once, and the case climbs
                                      passed are not given
    paused, while waiting             moves; what is waited now is added once     on resuming, if it is over by then
                                      the waiting is over
    breached                          stays: it was told, and the case climbed
    stopped, or of a resolved case    stays: nobody waits for it, or the customer was promised the date

The first round counts from the customer's answer, a further one from its reopening, the clock of a level from when the
case came to it; what was paused in this round is added. Counted anew twice by the same policy, nothing moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from libs.events.contracts.cases import CaseClockChanged
from libs.events.event import named
from services.casework.domain.alarms import fire
from services.casework.domain.calendars import between
from services.casework.domain.cases import Case, Decision, Status, decided
from services.casework.domain.clocks import Deadline, Stage
from services.casework.domain.timeline import Cause

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from services.casework.domain.agents import Staff
    from services.casework.domain.names import Clock, Level, Tier
    from services.casework.domain.policies import Policy
    from services.casework.domain.timeline import Actor

CLOCKS: Final[tuple[Clock, ...]] = ("first_contact", "resolution", "escalation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recomputation:
    """Somebody asked for it: of which cases, and whether only to see what it would do."""

    id: UUID
    program: str | None
    tier: Tier | None
    level: Level | None
    calendar_id: str | None
    """Only cases whose policy names this calendar."""
    dry_run: bool
    actor: Actor

    def concerns(self, policy: Policy) -> bool:
        """Whether cases of this policy are meant, as far as its calendar says."""
        return self.calendar_id is None or (policy.calendar is not None and policy.calendar.id == self.calendar_id)

    def cause(self, case: Case, now: datetime) -> Cause:
        """Why the clocks of this case change: the same, however often the set is tried."""
        return Cause(named(case.id, f"recomputed/{self.id}"), now, self.actor)


def recompute(case: Case, policy: Policy, staff: Staff, asked: Recomputation, now: datetime) -> Decision:
    """The case with its running clocks counted anew, and what they make happen then; no step where nothing moves."""
    if not case.is_running:
        return Decision(case)
    first_contact, resolution = _round(case, policy)
    after = replace(
        case,
        first_contact=_anew(case.first_contact, first_contact, now)
        if case.status is Status.OPEN
        else case.first_contact,
        resolution=_anew(case.resolution, resolution, now),
        escalation=_escalation(case, policy, now),
    )
    if (after.first_contact, after.resolution, after.escalation) == (
        case.first_contact,
        case.resolution,
        case.escalation,
    ):
        return Decision(case)
    due = _due(after)
    cause = asked.cause(case, now)
    changed = decided(
        replace(after, version=case.version + 1),
        cause,
        "clock_changed",
        lambda heading: CaseClockChanged(
            **heading,
            recomputation_id=str(asked.id),
            first_contact_due_at=due[0],
            resolution_due_at=due[1],
            escalation_due_at=due[2],
        ),
        details={"recomputation_id": str(asked.id)} | _written("before", _due(case)) | _written("after", due),
    )
    return changed.then(lambda case: fire(case, policy, staff, now))


def breached_by(decision: Decision) -> Sequence[str]:
    """The clocks that breach by it."""
    return [str(step.entry.details["clock"]) for step in decision.steps if step.entry.kind == "clock_breached"]


def _round(case: Case, policy: Policy) -> tuple[Deadline, Deadline]:
    reopened = case.reopenings > 0
    since = case.began_at
    first_contact, resolution = policy.reopened(since) if reopened else policy.opened(since)
    if case.pauses:
        paused = sum((between(policy.calendar, *pause) for pause in case.pauses), timedelta(0))
        resolution = policy.resolution_of(since, reopened=reopened, paused=paused)
    return first_contact, resolution


def _escalation(case: Case, policy: Policy, now: datetime) -> Deadline | None:
    if case.escalation is None or case.escalated_at is None:
        return case.escalation
    found = policy.escalated(case.level, case.escalated_at)
    return case.escalation if found is None else _anew(case.escalation, found, now)


def _anew(clock: Deadline, counted: Deadline, now: datetime) -> Deadline:
    """The clock as counted anew, with the warnings that lie ahead; the same where nothing about it has changed."""
    if clock.is_breached:
        return clock
    ahead = tuple(at for at in (counted.warn_at, *counted.later) if at > now)
    known = tuple(at for at in (clock.warn_at, *clock.later) if at > now) if clock.stage is Stage.RUNNING else ()
    if (counted.due_at, ahead) == (clock.due_at, known):
        return clock
    if not ahead:
        return Deadline(counted.due_at, (counted.warn_at, *counted.later)[-1], Stage.WARNED)
    return Deadline(counted.due_at, ahead[0], Stage.RUNNING, ahead[1:])


def _due(case: Case) -> tuple[datetime | None, datetime | None, datetime | None]:
    return (
        case.first_contact.due_at if case.status is Status.OPEN else None,
        case.resolution.due_at,
        None if case.escalation is None else case.escalation.due_at,
    )


def _written(prefix: str, due: tuple[datetime | None, ...]) -> dict[str, str | int | bool | None]:
    return {f"{clock}_due_at_{prefix}": at.isoformat() for clock, at in zip(CLOCKS, due, strict=True) if at is not None}
