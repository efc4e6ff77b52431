"""How every command acts on a case: locked, on the version that was seen, once, and refused with its reason."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import Request, Response

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.auth import Principal
from libs.webapi.etag import etag, expect
from libs.webapi.idempotency import once
from libs.webapi.problem import Problem, of_status
from services.casework.api.access import actor_of, traceparent_of
from services.casework.api.views import CaseState, state_of
from services.casework.domain import callbacks as promises
from services.casework.domain import levels
from services.casework.domain.casebook import Casebook
from services.casework.domain.cases import Case, Decision
from services.casework.domain.errors import CallbackTime, Refused, TasksOpen, WaitTooLong
from services.casework.domain.names import CaseId, ContactChannel
from services.casework.domain.policies import Policy
from services.casework.domain.timeline import Cause
from services.casework.store import callbacks, cases, people, policies, saving

Decide = Callable[[Tx, Case, Cause], Awaitable[Decision]]


def answers_of(status: int, model: type[Any] = CaseState) -> dict[int | str, dict[str, Any]]:
    """The answers of a command on a case, for OpenAPI."""
    problem: dict[str, Any] = {"content": {"application/problem+json": {}}}
    return {
        status: {"model": model, "description": "As it is now, its version as `ETag`."},
        404: {"description": "There is none.", **problem},
        409: {"description": "The case's state does not allow it; `type` says why.", **problem},
        412: {"description": "It has changed since the version in `If-Match`.", **problem},
        422: {"description": "The request is not valid.", **problem},
    }


async def agree_on(
    tx: Tx, case: Case, at: datetime, channel: ContactChannel, cause: Cause, *, note: str | None = None
) -> Decision:
    """A callback of the case for this time, stored; what was missed before is made up for by it."""
    earlier = await callbacks.pending(tx, case.id)
    rules = await callbacks.rules(tx)
    staff = await people.staff(tx)
    promised = promises.agree(case, cause.id, at, channel, rules, staff, cause, earlier=earlier, note=note)
    settled = [] if earlier is None else [promises.superseded(earlier, cause)]
    await callbacks.save(tx, [*settled, promised.callback])
    return promised.decision


async def act(
    request: Request, principal: Principal, case_id: UUID, seen: int | None, decide: Decide, *, status: int = 200
) -> Response:
    """Lock the case, decide, save: two people who act at once act one after the other, each on what is true then."""

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        case = await locked(tx, CaseId(case_id))
        expect(case.version, seen)
        after = await settle(tx, case, cause_of(request, principal, tx, command_id), decide)
        return status, state_of(after), {"ETag": etag(after.version)}

    return await once(database_of(request), request, principal, command)


async def locked(tx: Tx, case_id: CaseId) -> Case:
    """The case, locked; 404."""
    case = await cases.lock_one(tx, case_id)
    if case is None:
        raise of_status(404, detail="No such case.")
    return case


def cause_of(request: Request, principal: Principal, tx: Tx, command_id: UUID) -> Cause:
    """Why something is decided: this command."""
    return Cause(command_id, tx.now, actor_of(principal), traceparent_of(request))


async def settle(tx: Tx, case: Case, cause: Cause, decide: Decide, *, for_level: bool = True) -> Case:
    """Decide about a locked case and save it. `for_level`: done by somebody of its level, it answers for the level."""
    asked = case
    if for_level and case.escalation is not None:
        asked = levels.answered(case, cause.actor, await people.staff(tx))
    book = Casebook([case])
    try:
        decision = await decide(tx, asked, cause)
        # Where nothing was done nothing was answered.
        after = book.put(decision if decision.steps else Decision(case))
        await saving.save(tx, book)
    except Refused as refused:
        raise Problem(
            409,
            refused.code,
            refused.title,
            headers={"ETag": etag(case.version)},
            extra={"status_of_case": case.status.value, **_more(refused)},
        ) from refused
    return after


async def policy_of(tx: Tx, case: Case) -> Policy:
    """The policy that holds for the case now."""
    return (await policies.load(tx)).of(case.program, case.tier, case.kind)


def _more(refused: Refused) -> dict[str, str | int]:
    match refused:
        case WaitTooLong(latest=latest) | CallbackTime(latest=latest):
            return {"latest": latest.isoformat()}
        case TasksOpen(tasks=tasks):
            return {"open_tasks": tasks}
        case _:
            return {}
