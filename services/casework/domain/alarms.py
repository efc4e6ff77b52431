"""What happens to a case by itself when a clock comes to its end: warnings, breaches, climbing, reminders, silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from libs.events.contracts.cases import CaseClockBreached, CaseClockReminded, CaseClockWarned, CaseClosed
from services.casework.domain.cases import Case, Decision, Status, decided
from services.casework.domain.clocks import Firing, firing_of
from services.casework.domain.levels import asked_again, can_climb, climb
from services.casework.domain.timeline import CLOCK, Cause
from services.casework.domain.waiting import resumed

if TYPE_CHECKING:
    from datetime import datetime

    from services.casework.domain.agents import Agent, Staff
    from services.casework.domain.cases import Outcome
    from services.casework.domain.clocks import Deadline
    from services.casework.domain.names import Clock
    from services.casework.domain.policies import Policy


def fire(case: Case, policy: Policy, staff: Staff, now: datetime, traceparent: str | None = None) -> Decision:
    """Everything that the case's clocks make happen by `now`, in the order of their instants; nothing before it."""
    decision = Decision(case)
    while (firing := next_firing(decision.case, now)) is not None:
        cause = Cause(firing.id(case.id, decision.case.reopenings), now, CLOCK, traceparent)
        following = _happen(decision.case, firing, policy, staff, cause)
        decision = Decision(following.case, decision.steps + following.steps)
    return decision


def next_firing(case: Case, now: datetime) -> Firing | None:
    """The first thing that a running clock makes happen at `now`. The clocks of a closed case are silent."""
    fires_at = case.fires_at
    if fires_at is None or fires_at > now:
        return None
    match case.status:
        case Status.OPEN:
            first = firing_of("resolution", case.resolution, now)
            first = _earlier(firing_of("first_contact", case.first_contact, now), first)
        case Status.CONTACTED if case.waiting is not None:
            until = case.waiting.until
            first = Firing("waiting", "over", until, until) if until <= now else None
        case Status.CONTACTED:
            first = firing_of("resolution", case.resolution, now)
        case Status.RESOLVED:
            return Firing("confirmation", "silence", fires_at, fires_at)
        case Status.CLOSED:
            return None
    return first if case.escalation is None else _earlier(first, firing_of("escalation", case.escalation, now))


def _earlier(one: Firing | None, other: Firing | None) -> Firing | None:
    if one is None or other is None:
        return one or other
    return one if one.at <= other.at else other


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
            waiting=None,
            escalated_at=None,
            escalation=None,
        ),
        cause,
        "closed",
        lambda heading: CaseClosed(**heading, outcome=outcome),
        details={"outcome": outcome, "reason": reason},
    )


def _happen(case: Case, firing: Firing, policy: Policy, staff: Staff, cause: Cause) -> Decision:
    match firing.happening:
        case "warned":
            return _warn(case, firing, staff, cause)
        case "breached":
            return _breach(case, firing, policy, staff, cause)
        case "reminded":
            return _remind(case, firing, policy, staff, cause)
        case "over":
            return resumed(case, "limit", policy, cause, firing.at)
        case "silence":
            return close(case, "unconfirmed", "silence", cause)


def _warn(case: Case, firing: Firing, staff: Staff, cause: Cause) -> Decision:
    # Of an escalation the owner need not be warned: who answers for it at its level is.
    responsible = _responsible(case, staff) if firing.clock == "escalation" else None
    return decided(
        _with_clock(case, firing, _clock(case, firing).warned(cause.at)),
        cause,
        "clock_warned",
        lambda heading: CaseClockWarned(
            **heading,
            clock=_name(firing),
            due_at=firing.due_at,
            owner=staff.employee(case.owner_id),
            responsible=None if responsible is None else responsible.as_employee(),
        ),
        details={"clock": firing.clock, "due_at": firing.due_at.isoformat()},
    )


def _breach(case: Case, firing: Firing, policy: Policy, staff: Staff, cause: Cause) -> Decision:
    breached = _with_clock(case, firing, _clock(case, firing).breached())
    if can_climb(case.level):
        climbed = climb(breached, "clock_breached", policy, staff, cause)
    else:
        breached = _at_the_top(breached, firing, policy, cause)
        climbed = Decision(breached)
    responsible = _responsible(climbed.case, staff)
    told = decided(
        breached,
        cause,
        "clock_breached",
        lambda heading: CaseClockBreached(
            **heading,
            clock=_name(firing),
            due_at=firing.due_at,
            owner=staff.employee(case.owner_id),
            responsible=None if responsible is None else responsible.as_employee(),
        ),
        details={"clock": firing.clock, "due_at": firing.due_at.isoformat()},
    )
    return Decision(climbed.case, told.steps + climbed.steps)


def _at_the_top(case: Case, firing: Firing, policy: Policy, cause: Cause) -> Case:
    """Nobody is above: who answers here is reminded until somebody acts, or asked again by a further breach."""
    if firing.clock == "escalation" and case.escalation is not None:
        return replace(case, escalation=case.escalation.reminding(policy.reminded(cause.at)))
    return asked_again(case, policy, cause.at)


def _remind(case: Case, firing: Firing, policy: Policy, staff: Staff, cause: Cause) -> Decision:
    responsible = _responsible(case, staff)
    return decided(
        _with_clock(case, firing, _clock(case, firing).reminding(policy.reminded(cause.at))),
        cause,
        "clock_reminded",
        lambda heading: CaseClockReminded(
            **heading,
            clock=_name(firing),
            due_at=firing.due_at,
            owner=staff.employee(case.owner_id),
            responsible=None if responsible is None else responsible.as_employee(),
        ),
        details={"clock": firing.clock, "due_at": firing.due_at.isoformat()},
    )


def _responsible(case: Case, staff: Staff) -> Agent | None:
    return None if case.responsible_id is None else staff.agents[case.responsible_id]


def _name(firing: Firing) -> Clock:
    if firing.clock == "waiting" or firing.clock == "task":  # noqa: PLR1714 - as one comparison, it narrows nothing
        raise ValueError(f"{firing.clock} is no clock of the case")
    return firing.clock


def _clock(case: Case, firing: Firing) -> Deadline:
    match firing.clock:
        case "first_contact":
            return case.first_contact
        case "resolution":
            return case.resolution
        case "escalation" if case.escalation is not None:
            return case.escalation
        case _:
            raise ValueError(f"the {firing.clock} clock neither warns nor breaches")


def _with_clock(case: Case, firing: Firing, clock: Deadline) -> Case:
    match firing.clock:
        case "first_contact":
            return replace(case, version=case.version + 1, first_contact=clock)
        case "resolution":
            return replace(case, version=case.version + 1, resolution=clock)
        case "escalation":
            return replace(case, version=case.version + 1, escalation=clock)
        case "confirmation" | "waiting" | "task":
            raise ValueError(f"the {firing.clock} clock neither warns nor breaches")
