"""What people do with a case. Each function is one arrow, or one line of the timeline, of the picture in `cases`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from libs.events.contracts.cases import (
    CaseAssigned,
    CaseCommented,
    CaseContactChanged,
    CaseContacted,
    CasePrioritized,
    CaseReopened,
    CaseResolved,
)
from services.casework.domain import signals
from services.casework.domain.alarms import fire
from services.casework.domain.cases import Case, Decision, Status, decided
from services.casework.domain.errors import (
    AlreadyClosed,
    AlreadyOpen,
    AlreadyResolved,
    AtHighestLevel,
    NotContacted,
    TasksOpen,
)
from services.casework.domain.levels import asked_again, can_climb, climb, lower, unasked
from services.casework.domain.waiting import resumed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from typing import Literal

    from services.casework.domain.agents import Agent, Staff
    from services.casework.domain.names import (
        AgentId,
        ContactChannel,
        ContactOutcome,
        DeescalationReason,
        EscalationReason,
        RootCauseId,
    )
    from services.casework.domain.policies import Policy
    from services.casework.domain.timeline import Cause, Details


class Effort(msgspec.Struct, frozen=True, gc=False):
    """What it took the customer until it was solved, as the owner asked them: effort drives people away."""

    customer_contacts: int | None = None
    """How often the customer had to get in touch about it, the first time too."""
    passed_on: bool | None = None
    """Whether they were passed from one to another."""


SPOKEN: Final[frozenset[ContactOutcome]] = frozenset({"reached", "declined"})
"""The outcomes in which somebody spoke with the customer. Who declines to talk was reached: calling again and again
would be the opposite of closing the loop."""
NOT_ASKED: Final = Effort()


def record_contact(
    case: Case,
    outcome: ContactOutcome,
    policy: Policy,
    cause: Cause,
    *,
    attempt_id: str,
    channel: ContactChannel = "phone",
    note: str | None = None,
) -> Decision:
    """One attempt to reach the customer; the first that reaches them in a round stops the first-contact clock.

    Who was reached is waited for no more.
    """
    if case.status is Status.CLOSED:
        raise AlreadyClosed(case.id)
    if outcome in SPOKEN and case.waiting is not None:
        return resumed(case, "customer_reached", policy, cause, cause.at).then(
            lambda case: record_contact(case, outcome, policy, cause, attempt_id=attempt_id, channel=channel, note=note)
        )
    first = case.status is Status.OPEN and outcome in SPOKEN
    after = replace(case, version=case.version + 1)
    if first:
        after = replace(after, status=Status.CONTACTED, first_contacted_at=case.first_contacted_at or cause.at)
    return decided(
        after,
        cause,
        "contacted",
        lambda heading: CaseContacted(
            **heading,
            attempt_id=attempt_id,
            agent_id=cause.actor.id,
            outcome=outcome,
            first_reached=first,
            channel=channel,
        ),
        details={"attempt_id": attempt_id, "outcome": outcome, "first_reached": first, "channel": channel},
        text=note,
    )


def assign(case: Case, owner: Agent, cause: Cause, *, note: str | None = None) -> Decision:
    """Give the case to somebody by hand. To whom has it already: nothing happens."""
    if case.status is Status.CLOSED:
        raise AlreadyClosed(case.id)
    if owner.id == case.owner_id:
        return Decision(case)
    return hand_over(case, owner, "by_hand", {}, cause, previous=case.owner_id, note=note)


def hand_over(
    case: Case,
    owner: Agent,
    reason: str,
    reason_details: Details,
    cause: Cause,
    *,
    previous: AgentId | None,
    note: str | None = None,
) -> Decision:
    """The case has this owner now, for this reason. At opening there was no `previous` one.

    A customer who had been told of a contact hears who it is now.
    """
    handed = decided(
        replace(
            case,
            version=case.version + 1,
            owner_id=owner.id,
            owner_reason=reason,
            owner_reason_details=reason_details,
        ),
        cause,
        "assigned",
        lambda heading: CaseAssigned(
            **heading,
            owner=owner.as_employee(),
            previous_owner_id=previous,
            reason=reason,
            tier=case.tier,
            score=case.score,
            first_contact_due_at=case.first_contact.due_at,
        ),
        details={"owner_id": owner.id, "previous_owner_id": previous, "reason": reason, **reason_details},
        text=note,
    )
    if previous is None or not knows_contact(case):
        return handed
    return handed.then(lambda case: _introduced(case, owner, previous, cause))


def prioritize(case: Case, priority: int, cause: Cause, *, note: str | None = None) -> Decision:
    """Say by hand whom to call first; a later answer may still raise it. Nothing where it is that already."""
    if case.status is Status.CLOSED:
        raise AlreadyClosed(case.id)
    if case.priority == priority:
        return Decision(case)
    return decided(
        replace(case, version=case.version + 1, priority=priority, priority_parts=()),
        cause,
        "prioritized",
        lambda heading: CasePrioritized(**heading, priority=priority, previous_priority=case.priority),
        details={"priority": priority, "previous_priority": case.priority},
        text=note,
    )


def knows_contact(case: Case) -> bool:
    """Whether the customer has a name to ask for: somebody spoke with them, and the mail to confirm names the owner."""
    return case.customer_id is not None and case.first_contacted_at is not None


def _introduced(case: Case, owner: Agent, previous: AgentId, cause: Cause) -> Decision:
    return decided(
        replace(case, version=case.version + 1),
        cause,
        "contact_changed",
        lambda heading: CaseContactChanged(
            **heading,
            agent_id=owner.id,
            agent_name=owner.name,
            previous_owner_id=previous,
            answered_at=case.answered_at,
        ),
        details={"owner_id": owner.id, "previous_owner_id": previous},
    )


def escalate(
    case: Case, reason: EscalationReason, policy: Policy, staff: Staff, cause: Cause, *, note: str | None = None
) -> Decision:
    """One level up by hand."""
    _refuse_unless_running(case)
    if not can_climb(case.level):
        raise AtHighestLevel(case.id)
    return climb(case, reason, policy, staff, cause, note)


def resolve(
    case: Case,
    root_cause_id: RootCauseId,
    policy: Policy,
    staff: Staff,
    cause: Cause,
    *,
    effort: Effort = NOT_ASKED,
    note: str | None = None,
    open_tasks: int = 0,
) -> Decision:
    """Solved, as far as we know: the customer is asked, and has this long to say so.

    `open_tasks`: how many tasks of departments the case still waits for; there must be none.
    """
    _refuse_unless_running(case)
    if case.status is not Status.CONTACTED:
        raise NotContacted(case.id)
    if open_tasks:
        raise TasksOpen(case.id, open_tasks)
    if case.waiting is not None:
        return resumed(case, "resolved", policy, cause, cause.at).then(
            lambda case: resolve(case, root_cause_id, policy, staff, cause, effort=effort, note=note)
        )
    owner = staff.agents[case.owner_id]
    confirm_by = cause.at + policy.confirmation
    round_ = case.round + 1
    return decided(
        replace(
            case,
            version=case.version + 1,
            status=Status.RESOLVED,
            round=round_,
            resolved_at=cause.at,
            root_cause_id=root_cause_id,
            confirm_by=confirm_by,
            escalated_at=None,
            escalation=None,
        ),
        cause,
        "resolved",
        lambda heading: CaseResolved(
            **heading,
            round=round_,
            root_cause=root_cause_id,
            # The customer hears from the one name they know, whoever pressed the button.
            agent_id=owner.id,
            agent_name=owner.name,
            answered_at=case.answered_at,
            confirm_by=confirm_by,
            customer_contacts=effort.customer_contacts,
            passed_on=effort.passed_on,
        ),
        details={
            "round": round_,
            "root_cause_id": root_cause_id,
            "confirm_by": confirm_by.isoformat(),
            "customer_contacts": effort.customer_contacts,
            "passed_on": effort.passed_on,
        },
        text=note,
    )


def reopen(
    case: Case,
    reason: Literal["customer_not_satisfied", "by_hand"],
    policy: Policy,
    staff: Staff,
    cause: Cause,
    *,
    since: datetime,
    note: str | None = None,
    lifts: bool = True,
) -> Decision:
    """Not solved after all: open again, with new clocks from `since`, which may have run out already.

    Above the frontline the level is asked again, from now. `lifts`: nothing else in this act lifts the case, so its
    third reopening does.
    """
    if case.is_running:
        raise AlreadyOpen(case.id)
    first_contact, resolution = policy.reopened(since)
    return decided(
        replace(
            asked_again(unasked(case), policy, cause.at),
            version=case.version + 1,
            reopenings=case.reopenings + 1,
            status=Status.OPEN,
            outcome=None,
            first_contact=first_contact,
            resolution=resolution,
            resolved_at=None,
            root_cause_id=None,
            confirm_by=None,
            closed_at=None,
            clocks_since=since,
            waiting=None,
            pauses=(),
        ),
        cause,
        "reopened",
        lambda heading: CaseReopened(**heading, round=case.round, reason=reason, owner=staff.employee(case.owner_id)),
        details={"round": case.round, "reason": reason},
        text=note,
    ).then(lambda case: _counted(case, policy, staff, cause, lifts=lifts))


def _counted(case: Case, policy: Policy, staff: Staff, cause: Cause, *, lifts: bool) -> Decision:
    fired = fire(case, policy, staff, cause.at, cause.traceparent)
    lifted = fired.case.level != case.level
    return fired.then(lambda case: signals.reopened(case, policy, staff, cause, lifts=lifts and not lifted))


def de_escalate(
    case: Case, reason: DeescalationReason, policy: Policy, staff: Staff, cause: Cause, *, note: str | None = None
) -> Decision:
    """One level down by hand."""
    _refuse_unless_running(case)
    return lower(case, reason, policy, staff, cause, note=note)


def comment(case: Case, text: str, mentioned: Sequence[Agent], cause: Cause) -> Decision:
    """Something that one colleague says to others; who is mentioned is told of it, but not what it says."""
    named = tuple(agent.as_employee() for agent in mentioned)
    return decided(
        replace(case, version=case.version + 1),
        cause,
        "commented",
        (lambda heading: CaseCommented(**heading, author_id=cause.actor.id, mentioned=named)) if named else None,
        details={"mentioned": ",".join(agent.id for agent in mentioned)},
        text=text,
    )


def note(case: Case, text: str, cause: Cause) -> Decision:
    """Something worth knowing, in somebody's own words; also on a closed case."""
    return decided(replace(case, version=case.version + 1), cause, "noted", text=text)


def _refuse_unless_running(case: Case) -> None:
    match case.status:
        case Status.CLOSED:
            raise AlreadyClosed(case.id)
        case Status.RESOLVED:
            raise AlreadyResolved(case.id)
        case Status.OPEN | Status.CONTACTED:
            return
