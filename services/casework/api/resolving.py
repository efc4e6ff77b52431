"""`POST /v1/cases/{id}/resolve`: what was behind it, what it took the customer, and what they were promised."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from libs.events.database import Tx
from libs.events.event import named
from libs.webapi.etag import IfMatch
from libs.webapi.idempotency import REPEATABLE
from libs.webapi.instants import Instant
from libs.webapi.strict_json import Router
from services.casework.api.access import ID_PATTERN, CaseWriter, refused_field
from services.casework.api.acting import act, answers_of, policy_of
from services.casework.api.commands import Note
from services.casework.api.shapes import Body
from services.casework.api.tasks import agreed_clock, named_agent
from services.casework.domain import callbacks as promises
from services.casework.domain import commands
from services.casework.domain.agents import Staff
from services.casework.domain.cases import Case, Decision
from services.casework.domain.errors import CallbackAgreed
from services.casework.domain.names import RootCauseId
from services.casework.domain.policies import Policy
from services.casework.domain.tasks import Moment, Task, TaskId, open_task
from services.casework.domain.timeline import Cause
from services.casework.store import callbacks, people, resolutions, rules
from services.casework.store import tasks as tasks_store

router: Final = Router(prefix="/v1/cases/{case_id}", tags=["cases"])


class FollowUp(BaseModel):
    """Something that the customer was promised, by when, and whose it is: by default the owner's of the case."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000)]
    due_at: Instant
    owner_id: Annotated[str | None, Field(pattern=ID_PATTERN)] = None


class ResolveBody(Body):
    """What was behind it."""

    root_cause_id: Annotated[str, Field(pattern=ID_PATTERN)]
    customer_contacts: Annotated[
        int | None,
        Field(strict=True, ge=1, le=99, description="How often the customer had to get in touch about it, in all."),
    ] = None
    passed_on: Annotated[
        StrictBool | None, Field(description="Whether the customer was passed from one to another.")
    ] = None
    follow_ups: Annotated[
        tuple[FollowUp, ...], Field(max_length=10, description="What the customer was promised: each becomes a task.")
    ] = ()
    note: Note = None


@router.post(
    "/resolve",
    responses=answers_of(200),
    openapi_extra=REPEATABLE,
    summary="Say that it is solved; the customer is asked",
)
async def resolve(request: Request, principal: CaseWriter, case_id: UUID, body: ResolveBody, seen: IfMatch) -> Response:
    """Needs a root cause that is not retired, nor below one that is, and that somebody spoke with the customer.

    And that every department that was asked has answered: the case waits for their tasks. An agreed callback is made
    or cancelled first.
    """

    async def decide(tx: Tx, case: Case, cause: Cause) -> Decision:
        root_cause = await rules.find_root_cause(tx, RootCauseId(body.root_cause_id))
        if root_cause is None:
            raise refused_field(
                "/root_cause_id", "is no root cause", slug="unknown-root-cause", title="There is no such root cause"
            )
        if not root_cause.choosable:
            raise refused_field(
                "/root_cause_id", "is retired", slug="root-cause-retired", title="This root cause is no longer used"
            )
        policy = await policy_of(tx, case)
        staff = await people.staff(tx)
        pending = await callbacks.pending(tx, case.id)
        if pending is not None and pending.state == "agreed":
            raise CallbackAgreed(case.id)
        if pending is not None:
            await callbacks.save(tx, [promises.superseded(pending, cause)])
        promised: list[Task] = []
        decision = Decision(case)
        for number, follow_up in enumerate(body.follow_ups):
            moment = _promise(decision.case, number, follow_up, policy, staff, cause)
            promised.append(moment.task)
            decision = Decision(moment.decision.case, decision.steps + moment.decision.steps)
        await tasks_store.save(tx, promised)
        effort = commands.Effort(body.customer_contacts, body.passed_on)
        root_cause_id = RootCauseId(body.root_cause_id)
        holding = await tasks_store.count_holding(tx, case.id)
        decision = decision.then(
            lambda case: commands.resolve(
                case, root_cause_id, policy, staff, cause, effort=effort, note=body.note, open_tasks=holding
            )
        )
        await resolutions.add(tx, decision.case, root_cause.version, effort)
        return decision

    return await act(request, principal, case_id, seen, decide)


def _promise(case: Case, number: int, promised: FollowUp, policy: Policy, staff: Staff, cause: Cause) -> Moment:
    where = f"/follow_ups/{number}"
    owner = (
        staff.agents[case.owner_id]
        if promised.owner_id is None
        else named_agent(staff, promised.owner_id, pointer=f"{where}/owner_id")
    )
    return open_task(
        case,
        TaskId(named(cause.id, f"follow-up/{number}")),
        "follow_up",
        promised.title,
        owner,
        agreed_clock(cause.at, promised.due_at, policy, pointer=f"{where}/due_at"),
        staff,
        cause,
    )
