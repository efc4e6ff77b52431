"""`/v1/tasks` and `/v1/cases/{id}/tasks`: what others do for a case, and what a customer was promised."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Request, Response
from pydantic import Field, StringConstraints, model_validator
from sqlalchemy import Row

from libs.events.database import Tx
from libs.events.event import named
from libs.webapi.app import database_of
from libs.webapi.auth import Principal
from libs.webapi.etag import IfMatch, etag, expect
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.instants import Instant
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.problem import of_status
from libs.webapi.strict_json import Router
from services.casework.api.access import ID_PATTERN, CaseReader, CaseWriter, refused_field
from services.casework.api.acting import answers_of, cause_of, locked, policy_of, settle
from services.casework.api.people import retired_department
from services.casework.api.shapes import Body
from services.casework.api.task_views import TaskState, TaskView, state_of_task, view_of_task
from services.casework.domain import tasks
from services.casework.domain.agents import Agent, Staff
from services.casework.domain.cases import Case, Decision
from services.casework.domain.clocks import Deadline, deadline
from services.casework.domain.names import AgentId, CaseId
from services.casework.domain.policies import Policy
from services.casework.domain.tasks import Moment, Task, TaskId
from services.casework.domain.timeline import Cause
from services.casework.store import people, policies
from services.casework.store import tasks as tasks_store

router: Final = Router(prefix="/v1", tags=["tasks"])

_LONGEST: Final = timedelta(days=366)
_Reference = Annotated[str, Field(pattern=ID_PATTERN)]
_Note = Annotated[str | None, Field(max_length=10_000)]
_Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000)]


class TaskBody(Body):
    """What is to be done, by whom, and by when."""

    kind: Literal["department", "follow_up"] = "department"
    title: _Title
    department_id: Annotated[
        _Reference | None, Field(description="Who is asked; required of a task of the kind `department`.")
    ] = None
    owner_id: Annotated[
        _Reference | None,
        Field(description="By default the department's manager; of a follow-up, the case's owner."),
    ] = None
    due_at: Annotated[
        Instant | None,
        Field(description="By default after the department's `task_hours`; required of a follow-up."),
    ] = None

    @model_validator(mode="after")
    def _complete(self) -> "TaskBody":
        if self.kind == "department" and self.department_id is None:
            raise ValueError("department_id is required")
        if self.kind == "follow_up" and self.due_at is None:
            raise ValueError("due_at is required")
        return self


class AssignTaskBody(Body):
    """To whom it goes, or by when it is due now, or both."""

    owner_id: _Reference | None = None
    due_at: Instant | None = None
    note: _Note = None

    @model_validator(mode="after")
    def _says_something(self) -> "AssignTaskBody":
        if self.owner_id is None and self.due_at is None:
            raise ValueError("owner_id or due_at is required")
        return self


class DoneBody(Body):
    """What came of it."""

    note: _Note = None


class DeclineBody(Body):
    """Why it will not be done."""

    reason: Literal["not_ours", "not_possible", "not_needed", "duplicate", "other"]
    note: _Note = None


@router.post(
    "/cases/{case_id}/tasks",
    responses=answers_of(201, TaskState),
    openapi_extra=REPEATABLE,
    summary="Ask another department, or write down a promise",
)
async def open_task(request: Request, principal: CaseWriter, case_id: UUID, body: TaskBody, seen: IfMatch) -> Response:
    """`If-Match` is the case's version. A case is not resolved before every task of a department has ended."""

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        case = await locked(tx, CaseId(case_id))
        expect(case.version, seen)
        made: list[Task] = []

        async def decide(tx: Tx, case: Case, cause: Cause) -> Decision:
            staff = await people.assigning(tx)
            policy = await policy_of(tx, case)
            department = await _department(tx, body.department_id)
            owner = _owner(staff, case, department, body)
            moment = tasks.open_task(
                case,
                TaskId(named(command_id, "task")),
                body.kind,
                body.title,
                owner,
                await _clock(tx, department, body.due_at, policy),
                staff,
                cause,
                department_id=body.department_id,
            )
            made.append(moment.task)
            await tasks_store.save(tx, made)
            return moment.decision

        await settle(tx, case, cause_of(request, principal, tx, command_id), decide)
        (task,) = made
        return 201, state_of_task(task), {"ETag": etag(task.version), "Location": f"/v1/tasks/{task.id}"}

    return await once(database_of(request), request, principal, command)


@router.get("/tasks", summary="Tasks, by when they are due")
async def list_tasks(
    request: Request,
    principal: CaseReader,  # noqa: ARG001 - the rule
    state: Literal["open", "done", "declined"] = "open",
    owner: _Reference | None = None,
    department: _Reference | None = None,
    kind: Literal["department", "follow_up"] | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[TaskView]:
    """Of a person, or of a department, or all."""
    after = None if cursor is None else decode_cursor(cursor, tuple[datetime, UUID])
    async with database_of(request).reading() as tx:
        rows = await tasks_store.list_tasks(
            tx, state=state, owner=owner, department=department, kind=kind, after=after, limit=limit + 1
        )
    shown: list[Row[Any]] = list(rows[:limit])
    more = len(rows) > limit
    return Page[TaskView](
        items=[view_of_task(row) for row in shown],
        next_cursor=encode_cursor((shown[-1].due_at, shown[-1].id)) if more else None,
    )


@router.get("/tasks/{task_id}", summary="One task")
async def get_task(
    request: Request,
    response: Response,
    principal: CaseReader,  # noqa: ARG001 - the rule
    task_id: UUID,
) -> TaskView:
    """With its `ETag`."""
    async with database_of(request).reading() as tx:
        row = await tasks_store.shown(tx, task_id)
    if row is None:
        raise of_status(404)
    response.headers["ETag"] = etag(row.version)
    return view_of_task(row)


@router.post(
    "/tasks/{task_id}/assign",
    responses=answers_of(200, TaskState),
    openapi_extra=REPEATABLE,
    summary="Give a task to somebody, or more time",
)
async def assign_task(
    request: Request, principal: CaseWriter, task_id: UUID, body: AssignTaskBody, seen: IfMatch
) -> Response:
    """A time that was agreed anew starts the clock anew."""

    async def decide(tx: Tx, case: Case, task: Task, cause: Cause, staff: Staff) -> Moment:
        owner = staff.agents[task.owner_id] if body.owner_id is None else named_agent(staff, body.owner_id)
        due = None
        if body.due_at is not None:
            due = agreed_clock(tx.now, body.due_at, await policy_of(tx, case))
        return tasks.assign_task(case, task, owner, cause, due=due, note=body.note)

    return await _act(request, principal, task_id, seen, decide)


@router.post(
    "/tasks/{task_id}/done", responses=answers_of(200, TaskState), openapi_extra=REPEATABLE, summary="A task is done"
)
async def finish_task(
    request: Request, principal: CaseWriter, task_id: UUID, body: DoneBody, seen: IfMatch
) -> Response:
    """The case's owner is told."""

    async def decide(_: Tx, case: Case, task: Task, cause: Cause, staff: Staff) -> Moment:
        return tasks.finish(case, task, staff, cause, note=body.note)

    return await _act(request, principal, task_id, seen, decide)


@router.post(
    "/tasks/{task_id}/decline",
    responses=answers_of(200, TaskState),
    openapi_extra=REPEATABLE,
    summary="A task will not be done",
)
async def decline_task(
    request: Request, principal: CaseWriter, task_id: UUID, body: DeclineBody, seen: IfMatch
) -> Response:
    """With the reason. The case's owner is told, and the case waits for it no more."""

    async def decide(_: Tx, case: Case, task: Task, cause: Cause, staff: Staff) -> Moment:
        return tasks.decline(case, task, body.reason, staff, cause, note=body.note)

    return await _act(request, principal, task_id, seen, decide)


async def _act(
    request: Request,
    principal: Principal,
    task_id: UUID,
    seen: int | None,
    decide: Any,  # noqa: ANN401
) -> Response:
    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        case_id = await tasks_store.case_of_task(tx, task_id)
        if case_id is None:
            raise of_status(404, detail="No such task.")
        case = await locked(tx, case_id)
        task = await tasks_store.find(tx, task_id)
        if task is None:
            raise of_status(404, detail="No such task.")
        expect(task.version, seen)
        now: list[Task] = [task]

        async def decide_case(tx: Tx, case: Case, cause: Cause) -> Decision:
            moment: Moment = await decide(tx, case, task, cause, await people.assigning(tx))
            if moment.task is not task:
                now[:] = [moment.task]
                await tasks_store.save(tx, now)
            return moment.decision

        # A department that answers is not the level that was asked about the case.
        await settle(tx, case, cause_of(request, principal, tx, command_id), decide_case, for_level=False)
        return 200, state_of_task(now[0]), {"ETag": etag(now[0].version)}

    return await once(database_of(request), request, principal, command)


async def _department(tx: Tx, id_: str | None) -> Row[Any] | None:
    if id_ is None:
        return None
    found = await people.find_department(tx, id_)
    if found is None:
        raise refused_field(
            "/department_id", "is no department", slug="unknown-department", title="There is no such department"
        )
    if found.retired:
        raise retired_department()
    return found


def _owner(staff: Staff, case: Case, department: Row[Any] | None, body: TaskBody) -> Agent:
    if body.owner_id is not None:
        return named_agent(staff, body.owner_id)
    if body.kind == "follow_up" or department is None:
        return staff.agents[case.owner_id]
    manager = staff.agents.get(AgentId(department.manager_id or ""))
    if manager is None or manager.disabled:
        raise refused_field(
            "/owner_id",
            "is required: the department has no manager",
            slug="department-without-manager",
            title="The department has no manager",
        )
    return manager


def named_agent(staff: Staff, id_: str, *, pointer: str = "/owner_id") -> Agent:
    """The person whom a field names; a problem about the field where that is nobody, or nobody any more."""
    agent = staff.agents.get(AgentId(id_))
    if agent is None:
        raise refused_field(pointer, "is nobody's id", slug="unknown-agent", title="There is no such agent")
    if agent.disabled:
        raise refused_field(pointer, "is disabled", slug="agent-disabled", title="This agent takes no cases any more")
    return agent


async def _clock(tx: Tx, department: Row[Any] | None, due_at: datetime | None, policy: Policy) -> Deadline:
    if due_at is not None:
        return agreed_clock(tx.now, due_at, policy)
    if department is None:
        raise refused_field("/due_at", "is required")
    calendar_id = department.calendar_id
    calendar = None if calendar_id is None else (await policies.calendars_of(tx, {calendar_id})).get(calendar_id)
    return deadline(calendar, tx.now, timedelta(hours=department.task_hours), policy.warnings, timedelta(0))


def agreed_clock(now: datetime, due_at: datetime, policy: Policy, *, pointer: str = "/due_at") -> Deadline:
    """The clock of a task for which an instant was agreed; a problem about the field where it does not lie ahead."""
    if not now < due_at <= now + _LONGEST:
        raise refused_field(pointer, f"lies ahead, by {_LONGEST.days} days at most")
    return deadline(None, now, due_at - now, policy.warnings, timedelta(0))
