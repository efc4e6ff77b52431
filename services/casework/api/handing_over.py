"""`POST /v1/agents/{id}/hand-over`: what somebody has goes to others, when they leave or are away."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Request, Response
from pydantic import BaseModel, Field, StrictBool

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.problem import of_status
from libs.webapi.strict_json import Router
from services.casework.api.access import ID_PATTERN, Id, LeadWriter, refused_field
from services.casework.api.acting import cause_of
from services.casework.api.shapes import Body
from services.casework.domain import commands, sharing_out, tasks
from services.casework.domain.agents import Agent, Staff
from services.casework.domain.casebook import Casebook
from services.casework.domain.cases import CLOSED_FROM, Case, Decision, Status
from services.casework.domain.errors import Refused
from services.casework.domain.names import AgentId
from services.casework.domain.sharing_out import Outcome
from services.casework.domain.tasks import Task
from services.casework.domain.timeline import Cause
from services.casework.store import cases, people, saving
from services.casework.store import tasks as tasks_store

router: Final = Router(prefix="/v1", tags=["people"])

_AT_ONCE: Final = 500
_Details = dict[str, str | int | bool | None]


class HandOverBody(Body):
    """Why, and to whom; with `preview` it is only told what would happen."""

    reason: Literal["leaves", "absent"]
    preview: StrictBool
    to_id: Annotated[
        str | None, Field(pattern=ID_PATTERN, description="One person for all; null: shared out by the routing rule.")
    ] = None
    note: Annotated[str | None, Field(max_length=10_000)] = None


class HandedCase(BaseModel):
    """What became of one case, or would."""

    case_id: UUID
    version: int
    result: Literal["changed", "unchanged", "refused"]
    because: str | None
    """`keeps_contact`: nothing is due before its owner is back, whom the customer knows. Or the code of the refusal."""
    owner_id: str
    owner_reason: str
    owner_reason_details: _Details
    next_due_at: datetime | None
    customer_is_told: bool
    """Whether the customer, who knew the former owner, hears who it is now."""


class HandedTask(BaseModel):
    """What became of one task, or would."""

    task_id: UUID
    case_id: UUID
    result: Literal["changed", "refused"]
    because: str | None
    owner_id: str


class HandedOver(BaseModel):
    """What became of everything, or would."""

    agent_id: str
    preview: bool
    changed: int
    unchanged: int
    refused: int
    cases: list[HandedCase]
    tasks: list[HandedTask]
    more: bool
    """There are more than are handed over at once: send it again, under another `Idempotency-Key`."""


@router.post(
    "/agents/{agent_id}/hand-over",
    responses={
        200: {"model": HandedOver, "description": "What became of each case and task, or would."},
        404: {"description": "No such agent.", "content": {"application/problem+json": {}}},
        422: {"description": "The request is not valid.", "content": {"application/problem+json": {}}},
    },
    openapi_extra=REPEATABLE,
    summary="Hand over what somebody has",
)
async def hand_over(request: Request, principal: LeadWriter, agent_id: Id, body: HandOverBody) -> Response:
    """Up to 500 cases and their tasks at once, the first due first. Each says on its timeline why and to whom it went.

    Who leaves hands over everything. Who is away keeps what can wait for them where the customer knows them.
    """

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        staff = await people.assigning(tx)
        leaver = staff.agents.get(AgentId(agent_id))
        if leaver is None:
            raise of_status(404, detail="No such agent.")
        heir = _heir(staff, leaver, body)
        cause = cause_of(request, principal, tx, command_id)
        own = await cases.not_closed_of(tx, leaver.id, _AT_ONCE + 1)
        of_tasks = await tasks_store.cases_of_owner(tx, leaver.id, _AT_ONCE + 1)
        wanted = set(own[:_AT_ONCE]) | set(of_tasks[:_AT_ONCE])
        book = Casebook(await cases.lock(tx, wanted))
        outcomes = await _share_out(tx, book, staff, leaver, heir, body, cause)
        handed = await _hand_tasks(tx, book, staff, leaver, heir, cause)
        if not body.preview:
            await tasks_store.save(tx, [task for task, result, _ in handed if result == "changed"])
            await saving.save(tx, book)
        view = _view(body, leaver, outcomes, handed, more=max(len(own), len(of_tasks)) > _AT_ONCE)
        return 200, view, {}

    return await once(database_of(request), request, principal, command)


def _heir(staff: Staff, leaver: Agent, body: HandOverBody) -> Agent | None:
    if body.to_id is None:
        return None
    heir = staff.agents.get(AgentId(body.to_id))
    if heir is None:
        raise refused_field("/to_id", "is nobody's id", slug="unknown-agent", title="There is no such agent")
    if heir.disabled:
        raise refused_field("/to_id", "is disabled", slug="agent-disabled", title="This agent takes no cases any more")
    if heir.id == leaver.id:
        raise refused_field("/to_id", "is the one who hands over")
    return heir


async def _share_out(
    tx: Tx, book: Casebook, staff: Staff, leaver: Agent, heir: Agent | None, body: HandOverBody, cause: Cause
) -> list[Outcome]:
    desk = await people.desk(tx, sharing_out.without(staff, leaver))
    back_at = sharing_out.back_at(leaver, tx.now) if body.reason == "absent" else None

    def decide(case: Case, cause: Cause) -> Decision:
        if heir is not None:
            return commands.assign(case, heir, cause, note=body.note)
        return sharing_out.routed(case, desk, sharing_out.SAID[body.reason], cause, note=body.note)

    mine = [case for case in book.cases if case.owner_id == leaver.id and case.status is not Status.CLOSED]
    mine.sort(key=lambda case: (case.next_due_at or CLOSED_FROM, case.id))
    kept = [case for case in mine if sharing_out.keeps(case, back_at)]
    going = [case for case in mine if not sharing_out.keeps(case, back_at)]
    outcomes = sharing_out.decide_each(book, going, staff, cause, decide)
    return [*outcomes, *(Outcome(case, case, "unchanged", "keeps_contact") for case in kept)]


async def _hand_tasks(
    tx: Tx, book: Casebook, staff: Staff, leaver: Agent, heir: Agent | None, cause: Cause
) -> list[tuple[Task, Literal["changed", "refused"], str | None]]:
    """To the one who is named, else to the department's manager, else to the owner of the case."""
    managers = await tasks_store.managers(tx)
    handed: list[tuple[Task, Literal["changed", "refused"], str | None]] = []
    for task in await tasks_store.open_of(tx, [case.id for case in book.cases]):
        if task.owner_id != leaver.id:
            continue
        case = book[task.case_id]
        candidates = (
            [heir]
            if heir is not None
            else [
                staff.agents.get(managers.get(task.department_id or "", AgentId(""))),
                staff.agents.get(case.owner_id),
            ]
        )
        found = next((each for each in candidates if each is not None and _takes(each, leaver)), None)
        if found is None:
            handed.append((task, "refused", "nobody-to-assign"))
            continue
        try:
            moment = tasks.assign_task(case, task, found, cause)
        except Refused as refused:
            handed.append((task, "refused", refused.code))
            continue
        book.put(moment.decision)
        handed.append((moment.task, "changed", None))
    return handed


def _takes(agent: Agent, leaver: Agent) -> bool:
    return agent.id != leaver.id and not agent.disabled


def _view(
    body: HandOverBody,
    leaver: Agent,
    outcomes: list[Outcome],
    handed: list[tuple[Task, Literal["changed", "refused"], str | None]],
    *,
    more: bool,
) -> HandedOver:
    return HandedOver(
        agent_id=leaver.id,
        preview=body.preview,
        changed=sum(each.result == "changed" for each in outcomes),
        unchanged=sum(each.result == "unchanged" for each in outcomes),
        refused=sum(each.result == "refused" for each in outcomes),
        cases=[
            HandedCase(
                case_id=each.after.id,
                version=each.after.version,
                result=each.result,
                because=each.because,
                owner_id=each.after.owner_id,
                owner_reason=each.after.owner_reason,
                owner_reason_details=dict(each.after.owner_reason_details),
                next_due_at=each.after.next_due_at,
                customer_is_told=each.result == "changed" and commands.knows_contact(each.before),
            )
            for each in outcomes
        ],
        tasks=[
            HandedTask(task_id=task.id, case_id=task.case_id, result=result, because=because, owner_id=task.owner_id)
            for task, result, because in handed
        ],
        more=more,
    )
