"""Tasks as they are shown over HTTP."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Row

from services.casework.domain.clocks import Stage
from services.casework.domain.tasks import Task, TaskDecline

_BREACHED = (Stage.BREACHED.value, Stage.REMINDING.value)


class TaskState(BaseModel):
    """A task without anything that somebody wrote: what a command answers with, and stores for its repetition."""

    id: UUID
    case_id: UUID
    kind: Literal["department", "follow_up"]
    department_id: str | None
    owner_id: str
    state: Literal["open", "done", "declined"]
    opened_at: datetime
    due_at: datetime
    breached: bool
    """Not done when it was due."""
    ended_at: datetime | None
    declined_because: TaskDecline | None
    version: int


class TaskView(TaskState):
    """A task in a list, or on its case."""

    title: str | None
    """What is to be done; null once the customer asked to be forgotten."""
    department_name: str | None
    owner_name: str | None
    case_status: Literal["open", "contacted", "resolved", "closed"]
    case_owner_name: str | None
    customer_id: str | None
    customer_name: str | None


def state_of_task(task: Task) -> TaskState:
    """The task without anything that somebody wrote."""
    return TaskState(
        id=task.id,
        case_id=task.case_id,
        kind=task.kind,
        department_id=task.department_id,
        owner_id=task.owner_id,
        state=task.state.value,
        opened_at=task.opened_at,
        due_at=task.clock.due_at,
        breached=task.clock.is_breached,
        ended_at=task.ended_at,
        declined_because=task.declined_because,
        version=task.version,
    )


def view_of_task(row: Row[Any]) -> TaskView:
    """The task in a row of `store.tasks`."""
    return TaskView.model_validate({**row._mapping, "breached": row.stage in _BREACHED})  # noqa: SLF001 - the public name of it
