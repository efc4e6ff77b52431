"""What happens to a case by itself when a clock comes to its end: warnings, breaches, climbing, silence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from libs.events.contracts.cases import CaseClockBreached, CaseClockWarned, CaseClosed, CaseEscalated
from services.casework.domain.cases import Case, Decision, Status, decided
from services.casework.domain.clocks import Firing, Stage, firing_of
from services.casework.domain.routing import responsible_at
from services.casework.domain.timeline import CLOCK, Cause

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from services.casework.domain.agents import Agent, Staff
    from services.casework.domain.cases import Outcome
    from services.casework.domain.names import EscalationReason, Level

_ABOVE: Final[Mapping[Level, Level]] = {"frontline": "management", "management": "executive"}


def fire(case: Case, staff: Staff, now: datetime, traceparent: str | None = None) -> Decision:
    """Everything that the case's clocks make happen by `now`, in the order of their instants; nothing before it."""
    decision = Decision(case)
    while (firing := next_firing(decision.case, now)) is not None:
        cause = Cause(firing.id(case.id, decision.case.reopenings), now, CLOCK, traceparent)
        following = _happen(decision.case, firing, staff, cause)
        decision = Decision(following.case, decision.steps + following.steps)
    return decision


def next_firing(case: Case, now: datetime) -> Firing | None:
    """The first thing that a running clock makes happen at `now`. The clocks of a closed case are silent."""
    match case.status:
        case Status.OPEN:
            found = [
                firing_of("first_contact", case.first_contact, now),
                firing_of("resolution", case.resolution, now),
            ]
            return min((each for each in found if each is not None), key=lambda each: each.due_at, default=None)
        case Status.CONTACTED:
            return firing_of("resolution", case.resolution, now)
        case Status.RESOLVED:
            silent = case.confirm_by is not None and case.confirm_by <= now
            return Firing("confirmation", "silence", case.confirm_by) if silent and case.confirm_by else None
        case Status.CLOSED:
            return None


def climb(case: Case, reason: EscalationReason, staff: Staff, cause: Cause, note: str | None = None) -> Decision:
    """One level up, the owner stays the customer's contact; nothing at the top."""
    to_level = _ABOVE.get(case.level)
    if to_level is None:
        return Decision(case)
    responsible = responsible_at(to_level, staff.agents[case.owner_id], staff, cause.at)
    return decided(
        replace(
            case,
            version=case.version + 1,
            level=to_level,
            responsible_id=None if responsible is None else responsible.id,
        ),
        cause,
        "escalated",
        lambda heading: CaseEscalated(
            **heading,
            from_level=case.level,
            to_level=to_level,
            reason=reason,
            responsible=None if responsible is None else responsible.as_employee(),
            owner=staff.employee(case.owner_id),
        ),
        details={
            "from_level": case.level,
            "to_level": to_level,
            "reason": reason,
            "responsible_id": None if responsible is None else responsible.id,
        },
        text=note,
    )


def can_climb(level: Level) -> bool:
    """Whether there is a level above this one."""
    return level in _ABOVE


def close(case: Case, outcome: Outcome, reason: str, cause: Cause) -> Decision:
    """The end of the loop, with why."""
    return decided(
        replace(
            case,
            version=case.version + 1,
            status=Status.CLOSED,
            outcome=outcome,
            closed_at=cause.at,
            confirm_by=None,
        ),
        cause,
        "closed",
        lambda heading: CaseClosed(**heading, outcome=outcome),
        details={"outcome": outcome, "reason": reason},
    )


def _happen(case: Case, firing: Firing, staff: Staff, cause: Cause) -> Decision:
    match firing.happening:
        case "warned":
            return _warn(case, firing, staff, cause)
        case "breached":
            return _breach(case, firing, staff, cause)
        case "silence":
            return close(case, "unconfirmed", "silence", cause)


def _warn(case: Case, firing: Firing, staff: Staff, cause: Cause) -> Decision:
    return decided(
        _staged(case, firing, Stage.WARNED),
        cause,
        "clock_warned",
        lambda heading: CaseClockWarned(
            **heading, clock=firing.clock, due_at=firing.due_at, owner=staff.employee(case.owner_id)
        ),
        details={"clock": firing.clock, "due_at": firing.due_at.isoformat()},
    )


def _breach(case: Case, firing: Firing, staff: Staff, cause: Cause) -> Decision:
    breached = _staged(case, firing, Stage.BREACHED)
    climbed = climb(breached, "clock_breached", staff, cause)
    responsible = _responsible(climbed.case, staff)
    told = decided(
        breached,
        cause,
        "clock_breached",
        lambda heading: CaseClockBreached(
            **heading,
            clock=firing.clock,
            due_at=firing.due_at,
            owner=staff.employee(case.owner_id),
            responsible=None if responsible is None else responsible.as_employee(),
        ),
        details={"clock": firing.clock, "due_at": firing.due_at.isoformat()},
    )
    return Decision(climbed.case, told.steps + climbed.steps)


def _responsible(case: Case, staff: Staff) -> Agent | None:
    return None if case.responsible_id is None else staff.agents[case.responsible_id]


def _staged(case: Case, firing: Firing, stage: Stage) -> Case:
    match firing.clock:
        case "first_contact":
            return replace(case, version=case.version + 1, first_contact=case.first_contact.at(stage))
        case "resolution":
            return replace(case, version=case.version + 1, resolution=case.resolution.at(stage))
        case "confirmation":
            raise ValueError("the confirmation clock neither warns nor breaches: it ends in silence")
