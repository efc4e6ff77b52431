"""The levels above the frontline: how a case climbs, who acts on it there, and the clock that sees that somebody does.

The escalation clock of a level starts when the case comes there: by climbing, or by being opened again there. It stops
when somebody of the level acts. That is the person who answers for the case at its level, whoever that is, or anybody
else whose role is of that level or above it; and an act is every command of theirs that does something to the case:

    a contact attempt, whatever its outcome      a new owner              resolving
    waiting for the customer, and its end        climbing further         a note: what the owner is told to do

What the owner does, what an API key does for nobody, what a customer says and what clocks do stops nothing: the level
was asked, and has not answered. Reading is no act.
A level that lets its time pass is passed over: the case climbs. At the top the clock breaches once and then reminds,
until somebody acts; a further breach of another clock there starts it again. A level that has done its part sends the
case down (`lower`), with a reason, to the one below, which is asked anew; the frontline has no such clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from libs.events.contracts.cases import CaseDeescalated, CaseEscalated
from services.casework.domain.cases import Case, Decision, decided
from services.casework.domain.errors import AtLowestLevel
from services.casework.domain.names import AgentId
from services.casework.domain.routing import responsible_at

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from services.casework.domain.agents import AgentRole, Staff
    from services.casework.domain.names import DeescalationReason, EscalationReason, Level
    from services.casework.domain.policies import Policy
    from services.casework.domain.timeline import Actor, Cause

_ABOVE: Final[Mapping[Level, Level]] = {"frontline": "management", "management": "executive"}
_BELOW: Final[Mapping[Level, Level]] = {above: below for below, above in _ABOVE.items()}
_OF_LEVEL: Final[Mapping[Level, frozenset[AgentRole]]] = {
    "frontline": frozenset(),
    "management": frozenset({"manager", "executive"}),
    "executive": frozenset({"executive"}),
}


def can_climb(level: Level) -> bool:
    """Whether there is a level above this one."""
    return level in _ABOVE


def climb(
    case: Case, reason: EscalationReason, policy: Policy, staff: Staff, cause: Cause, note: str | None = None
) -> Decision:
    """One level up, with that level's clock; the owner stays the customer's contact. Nothing at the top."""
    to_level = _ABOVE.get(case.level)
    if to_level is None:
        return Decision(case)
    responsible = responsible_at(to_level, staff.agents[case.owner_id], staff, cause.at)
    escalation = policy.escalated(to_level, cause.at)
    due_at = None if escalation is None else escalation.due_at
    return decided(
        replace(
            case,
            version=case.version + 1,
            level=to_level,
            responsible_id=None if responsible is None else responsible.id,
            escalated_at=cause.at,
            escalation=escalation,
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
            due_at=due_at,
        ),
        details={
            "from_level": case.level,
            "to_level": to_level,
            "reason": reason,
            "responsible_id": None if responsible is None else responsible.id,
        },
        text=note,
    )


def lower(
    case: Case, reason: DeescalationReason, policy: Policy, staff: Staff, cause: Cause, *, note: str | None = None
) -> Decision:
    """One level down: the level has done its part. The one below has a clock of its own again, but the frontline."""
    to_level = _BELOW.get(case.level)
    if to_level is None:
        raise AtLowestLevel(case.id)
    responsible = responsible_at(to_level, staff.agents[case.owner_id], staff, cause.at)
    escalation = policy.escalated(to_level, cause.at)
    return decided(
        replace(
            case,
            version=case.version + 1,
            level=to_level,
            responsible_id=None if responsible is None else responsible.id,
            escalated_at=None if escalation is None else cause.at,
            escalation=escalation,
        ),
        cause,
        "deescalated",
        lambda heading: CaseDeescalated(
            **heading,
            from_level=case.level,
            to_level=to_level,
            reason=reason,
            responsible=None if responsible is None else responsible.as_employee(),
            owner=staff.employee(case.owner_id),
            due_at=None if escalation is None else escalation.due_at,
        ),
        details={
            "from_level": case.level,
            "to_level": to_level,
            "reason": reason,
            "responsible_id": None if responsible is None else responsible.id,
        },
        text=note,
    )


def asked_again(case: Case, policy: Policy, at: datetime) -> Case:
    """The case with the clock of its level begun at `at`; as it is, where the clock runs or there is none."""
    if case.escalation is not None or case.level == "frontline":
        return case
    return replace(case, escalated_at=at, escalation=policy.escalated(case.level, at))


def answered(case: Case, actor: Actor, staff: Staff) -> Case:
    """The case as an act of `actor` finds it: with its level's clock stopped, if they are of the level."""
    if case.escalation is None or not _is_of_level(case, actor, staff):
        return case
    return unasked(case)


def unasked(case: Case) -> Case:
    """The case without a clock of its level."""
    return case if case.escalation is None else replace(case, escalated_at=None, escalation=None)


def _is_of_level(case: Case, actor: Actor, staff: Staff) -> bool:
    if actor.kind != "person":
        return False
    if actor.id == case.responsible_id:
        return True
    agent = staff.agents.get(AgentId(actor.id))
    return agent is not None and agent.role in _OF_LEVEL[case.level]
