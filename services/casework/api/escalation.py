"""The levels over HTTP: what each has been asked, and cases given back to the one below."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import BaseModel, Field

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.etag import IfMatch
from libs.webapi.idempotency import REPEATABLE
from libs.webapi.paging import Cursor, Limit, decode_cursor, encode_cursor
from libs.webapi.problem import Problem
from libs.webapi.strict_json import Router
from services.casework.api.access import ID_PATTERN, CaseReader, LeadWriter
from services.casework.api.acting import act, answers_of, policy_of
from services.casework.api.shapes import Body
from services.casework.api.views import CaseSummary, summary_of
from services.casework.domain import commands
from services.casework.domain.cases import Case, Decision
from services.casework.domain.names import DeescalationReason
from services.casework.domain.timeline import Cause
from services.casework.store import people, reading

router: Final = Router(prefix="/v1", tags=["escalation"])

_TOP: Final = frozenset({"executive", "administrator"})


class DeescalateBody(Body):
    """Why the level below can go on with it."""

    reason: DeescalationReason
    note: Annotated[str | None, Field(max_length=10_000)] = None


class QueuedCase(CaseSummary):
    """A case of which a level has yet to act, and why it came there."""

    came_at: datetime | None
    came_because: str | None
    """The reason of its latest step up or down."""
    came_with: str | None
    """What was written with it."""


class Queue(BaseModel):
    """One page of a level's queue."""

    items: list[QueuedCase]
    next_cursor: str | None = None


@router.post(
    "/cases/{case_id}/de-escalate",
    responses=answers_of(200),
    openapi_extra=REPEATABLE,
    summary="Give the case back to the level below",
)
async def de_escalate(
    request: Request, principal: LeadWriter, case_id: UUID, body: DeescalateBody, seen: IfMatch
) -> Response:
    """The level below is asked anew; on the frontline its owner goes on. From the executives only they give it back."""

    async def decide(tx: Tx, case: Case, cause: Cause) -> Decision:
        if case.level == "executive" and principal.role is not None and principal.role not in _TOP:
            raise Problem(403, "role-not-allowed", "The person's role does not allow this")
        staff = await people.staff(tx)
        return commands.de_escalate(case, body.reason, await policy_of(tx, case), staff, cause, note=body.note)

    return await act(request, principal, case_id, seen, decide)


@router.get("/queues/{level}", summary="What a level has been asked")
async def get_queue(
    request: Request,
    principal: CaseReader,  # noqa: ARG001 - the rule
    level: Literal["management", "executive"],
    responsible: Annotated[
        str | None, Query(pattern=ID_PATTERN, description="Only those that this person answers for.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Queue:
    """Cases on which nobody of the level has acted yet, by what is due next."""
    after = None if cursor is None else decode_cursor(cursor, tuple[datetime, UUID])
    async with database_of(request).reading() as tx:
        rows = await reading.asked_of_level(tx, level, responsible=responsible, after=after, limit=limit + 1)
        shown = rows[:limit]
        reasons = await reading.came_by(tx, [row.id for row in shown])
    items = []
    for row in shown:
        step = reasons.get(row.id)
        items.append(
            QueuedCase(
                **summary_of(row).model_dump(),
                came_at=None if step is None else step.at,
                came_because=None if step is None else step.reason,
                came_with=None if step is None else step.text,
            )
        )
    more = len(rows) > limit
    return Queue(items=items, next_cursor=encode_cursor((shown[-1].listed_at, shown[-1].id)) if more else None)
