"""Work on a case that somebody does beside its owner: a department's part of it, or what the customer was promised.

            done
    open ─────────> done
      └───────────> declined     with a reason; by itself, when the customer asks to be forgotten

    kind          whose it is where nobody is named     the case                             opened while the case is
    department    the department's manager              is not resolved before all ended     open, contacted
    follow_up     the case's owner                      goes on: a promise may lie beyond    anything but closed

A task always has an owner, and a clock of its own (`clocks`), counted from its opening in the hours of its department
unless an instant was agreed, and stopped by its end. A breach of a department's task lets a running case climb, as
every breach does: the customer waits, and the owner cannot help it. That of a promise is told.

Each step is a line in the timeline of the case and an event of it; so whoever changes a task holds its case.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, NewType, TypedDict
from uuid import UUID

import msgspec
from msgspec.structs import replace

from libs.events.contracts.cases import (
    CaseTaskAssigned,
    CaseTaskBreached,
    CaseTaskDeclined,
    CaseTaskDone,
    CaseTaskOpened,
    CaseTaskWarned,
)
from libs.events.event import named
from services.casework.domain.cases import Case, Decision, Status, decided
from services.casework.domain.clocks import Deadline, firing_of
from services.casework.domain.errors import AlreadyClosed, AlreadyResolved, TaskEnded
from services.casework.domain.levels import asked_again, can_climb, climb
from services.casework.domain.names import AgentId, CaseId, TaskKind
from services.casework.domain.timeline import CLOCK, Cause

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.casework.domain.agents import Agent, Staff
    from services.casework.domain.clocks import Firing
    from services.casework.domain.policies import Policy
    from services.casework.domain.timeline import Details

TaskId = NewType("TaskId", UUID)

TaskDecline = Literal["not_ours", "not_possible", "not_needed", "duplicate", "other", "customer_erased"]
"""Why a task is not done. The last one is not for people: nobody may work for a customer who is to be forgotten."""


class TaskState(StrEnum):
    """Where the task stands."""

    OPEN = "open"
    DONE = "done"
    DECLINED = "declined"


class Task(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One task at one version."""

    id: TaskId
    case_id: CaseId
    kind: TaskKind
    title: str | None
    """What is to be done, in somebody's own words; None once an erasure removed it."""
    department_id: str | None
    owner_id: AgentId
    state: TaskState
    opened_at: datetime
    clock: Deadline
    ended_at: datetime | None = None
    declined_because: TaskDecline | None = None
    version: int = 1

    @property
    def fires_at(self) -> datetime | None:
        """When its clock has something to do next."""
        return self.clock.fires_at if self.state is TaskState.OPEN else None


class Moment(msgspec.Struct, frozen=True, gc=False):
    """What was decided about a task: the task as it is now, and what it means for its case."""

    task: Task
    decision: Decision


class _Heading(TypedDict):
    task_id: str
    kind: TaskKind
    department_id: str | None


def open_task(
    case: Case,
    id_: TaskId,
    kind: TaskKind,
    title: str,
    owner: Agent,
    clock: Deadline,
    staff: Staff,
    cause: Cause,
    *,
    department_id: str | None = None,
) -> Moment:
    """Ask somebody for a part of the work, or write down what was promised."""
    if case.status is Status.CLOSED:
        raise AlreadyClosed(case.id)
    if case.status is Status.RESOLVED and kind == "department":
        raise AlreadyResolved(case.id)
    task = Task(
        id=id_,
        case_id=case.id,
        kind=kind,
        title=title,
        department_id=department_id,
        owner_id=owner.id,
        state=TaskState.OPEN,
        opened_at=cause.at,
        clock=clock,
    )
    opened = decided(
        replace(case, version=case.version + 1),
        _cause(task, "opened", cause),
        "task_opened",
        lambda heading: CaseTaskOpened(
            **heading,
            **_heading(task),
            owner=owner.as_employee(),
            case_owner=staff.employee(case.owner_id),
            due_at=clock.due_at,
        ),
        details={**_details(task), "owner_id": owner.id, "due_at": clock.due_at.isoformat()},
        text=title,
    )
    return Moment(task, opened)


def assign_task(
    case: Case, task: Task, owner: Agent, cause: Cause, *, due: Deadline | None = None, note: str | None = None
) -> Moment:
    """Give the task to somebody, or another time to it, or both; nothing where both are as they were."""
    _refuse_ended(task)
    clock = task.clock if due is None or due.due_at == task.clock.due_at else due
    if owner.id == task.owner_id and clock is task.clock:
        return Moment(task, Decision(case))
    after = replace(task, owner_id=owner.id, clock=clock, version=task.version + 1)
    return Moment(
        after,
        decided(
            replace(case, version=case.version + 1),
            _cause(after, "assigned", cause),
            "task_assigned",
            lambda heading: CaseTaskAssigned(
                **heading,
                **_heading(task),
                owner=owner.as_employee(),
                previous_owner_id=task.owner_id,
                due_at=clock.due_at,
            ),
            details={
                **_details(task),
                "owner_id": owner.id,
                "previous_owner_id": task.owner_id,
                "due_at": clock.due_at.isoformat(),
            },
            text=note,
        ),
    )


def finish(case: Case, task: Task, staff: Staff, cause: Cause, *, note: str | None = None) -> Moment:
    """It is done."""
    _refuse_ended(task)
    after = replace(task, state=TaskState.DONE, ended_at=cause.at, version=task.version + 1)
    done = decided(
        replace(case, version=case.version + 1),
        _cause(after, "done", cause),
        "task_done",
        lambda heading: CaseTaskDone(
            **heading,
            **_heading(task),
            owner=staff.employee(task.owner_id),
            case_owner=staff.employee(case.owner_id),
        ),
        details=_details(task),
        text=note,
    )
    return Moment(after, done)


def decline(
    case: Case, task: Task, reason: TaskDecline, staff: Staff, cause: Cause, *, note: str | None = None
) -> Moment:
    """It will not be done, and why; the case does not wait for it any more."""
    _refuse_ended(task)
    after = replace(
        task, state=TaskState.DECLINED, declined_because=reason, ended_at=cause.at, version=task.version + 1
    )
    declined = decided(
        replace(case, version=case.version + 1),
        _cause(after, "declined", cause),
        "task_declined",
        lambda heading: CaseTaskDeclined(
            **heading,
            **_heading(task),
            reason=reason,
            owner=staff.employee(task.owner_id),
            case_owner=staff.employee(case.owner_id),
        ),
        details={**_details(task), "reason": reason},
        text=note,
    )
    return Moment(after, declined)


def fire_task(
    case: Case, task: Task, policy: Policy, staff: Staff, managers: Mapping[str, AgentId], now: datetime
) -> Moment:
    """Everything that the task's clock makes happen by `now`; nothing before it, and nothing once it has ended.

    `managers`: who manages which department; they hear of a breach, too.
    """
    moment = Moment(task, Decision(case))
    while moment.task.state is TaskState.OPEN:
        firing = firing_of("task", moment.task.clock, now)
        if firing is None:
            break
        cause = Cause(firing.id(CaseId(task.id)), now, CLOCK)
        following = _happen(moment.decision.case, moment.task, firing, policy, staff, managers, cause)
        decision = Decision(following.decision.case, moment.decision.steps + following.decision.steps)
        moment = Moment(following.task, decision)
    return moment


def _happen(
    case: Case,
    task: Task,
    firing: Firing,
    policy: Policy,
    staff: Staff,
    managers: Mapping[str, AgentId],
    cause: Cause,
) -> Moment:
    details: Details = {**_details(task), "due_at": firing.due_at.isoformat()}
    if firing.happening == "warned":
        after = replace(task, clock=task.clock.warned(cause.at), version=task.version + 1)
        warned = decided(
            replace(case, version=case.version + 1),
            cause,
            "task_warned",
            lambda heading: CaseTaskWarned(
                **heading, **_heading(task), owner=staff.employee(task.owner_id), due_at=firing.due_at
            ),
            details=details,
        )
        return Moment(after, warned)
    after = replace(task, clock=task.clock.breached(), version=task.version + 1)
    manager = None if task.department_id is None else managers.get(task.department_id)
    breached = decided(
        replace(case, version=case.version + 1),
        cause,
        "task_breached",
        lambda heading: CaseTaskBreached(
            **heading,
            **_heading(task),
            owner=staff.employee(task.owner_id),
            manager=None if manager is None else staff.employee(manager),
            case_owner=staff.employee(case.owner_id),
            due_at=firing.due_at,
        ),
        details=details,
    )
    if task.kind != "department" or not case.is_running:
        return Moment(after, breached)
    return Moment(after, breached.then(lambda case: _climbed(case, policy, staff, cause)))


def _climbed(case: Case, policy: Policy, staff: Staff, cause: Cause) -> Decision:
    if can_climb(case.level):
        return climb(case, "task_overdue", policy, staff, cause)
    return Decision(asked_again(case, policy, cause.at))


def _refuse_ended(task: Task) -> None:
    if task.state is not TaskState.OPEN:
        raise TaskEnded(task.case_id, task.id)


def _heading(task: Task) -> _Heading:
    return {"task_id": str(task.id), "kind": task.kind, "department_id": task.department_id}


def _details(task: Task) -> Details:
    return {"task_id": str(task.id), "kind": task.kind, "department_id": task.department_id}


def _cause(task: Task, what: str, cause: Cause) -> Cause:
    """One command may touch several tasks, and each has events of its own."""
    return replace(cause, id=named(task.id, f"{what}/{task.version}/{cause.id}"))
