"""Callbacks agreed with customers: `/v1/cases/{id}/callbacks`, everybody's in `/v1/callbacks`, and when to try next."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import BaseModel
from sqlalchemy import Row

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.etag import IfMatch
from libs.webapi.idempotency import REPEATABLE
from libs.webapi.instants import Instant
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.problem import of_status
from libs.webapi.strict_json import Router
from services.casework.api.access import CaseReader, CaseWriter
from services.casework.api.acting import act, agree_on, answers_of
from services.casework.api.commands import Note
from services.casework.api.shapes import Body
from services.casework.api.views import CallbackView, Details, callback_view
from services.casework.domain import callbacks as promises
from services.casework.domain.callbacks import Callback, CallbackState, CancelReason, MoveReason
from services.casework.domain.cases import Case, Decision, Status
from services.casework.domain.contacting import Attempt, Suggestion, suggest
from services.casework.domain.errors import NoCallback
from services.casework.domain.names import CaseId, ContactChannel
from services.casework.domain.timeline import Cause
from services.casework.store import callbacks, cases, people

router: Final = Router(prefix="/v1", tags=["contact"])

_DAYS_SHOWN: Final = timedelta(days=7)
_FIRST: Final = UUID(int=0)


class AgreeBody(Body):
    """The time that was agreed with the customer."""

    at: Instant
    channel: ContactChannel = "phone"
    note: Note = None


class MoveBody(Body):
    """The other time, and who asked for it."""

    at: Instant
    reason: MoveReason
    note: Note = None


class CancelBody(Body):
    """Why nobody will call at that time."""

    reason: CancelReason
    note: Note = None


class CallbackOfList(CallbackView):
    """A callback with whose case it is about."""

    case_id: UUID
    case_status: str
    owner_id: str
    owner_name: str | None
    customer_id: str | None
    customer_name: str | None
    time_zone: str | None
    """The customer's; null where none is known."""
    tier: str
    level: str


class ReasonView(BaseModel):
    """A code with its parameters."""

    code: str
    details: Details


class NextAttempt(BaseModel):
    """When and how to try next to reach the customer, and why; `at` is null where there is nothing to suggest."""

    at: datetime | None
    local_time: str | None
    """On the customer's clock."""
    zone: str | None
    channel: ContactChannel | None
    reasons: list[ReasonView]


@router.post(
    "/cases/{case_id}/callbacks",
    responses=answers_of(201),
    openapi_extra=REPEATABLE,
    summary="Agree on a time with the customer",
)
async def agree(request: Request, principal: CaseWriter, case_id: UUID, body: AgreeBody, seen: IfMatch) -> Response:
    """One at a time, while the case is open or contacted. Its id is that of the timeline's line."""

    async def decide(tx: Tx, case: Case, cause: Cause) -> Decision:
        return await agree_on(tx, case, body.at, body.channel, cause, note=body.note)

    return await act(request, principal, case_id, seen, decide, status=201)


@router.post(
    "/cases/{case_id}/callbacks/{callback_id}/move",
    responses=answers_of(200),
    openapi_extra=REPEATABLE,
    summary="Agree on another time",
)
async def move(
    request: Request, principal: CaseWriter, case_id: UUID, callback_id: UUID, body: MoveBody, seen: IfMatch
) -> Response:
    """Whoever was invited is told."""

    async def decide(tx: Tx, case: Case, cause: Cause) -> Decision:
        callback = await _agreed(tx, case, callback_id)
        staff = await people.staff(tx)
        rules = await callbacks.rules(tx)
        promised = promises.move(case, callback, body.at, body.reason, rules, staff, cause, note=body.note)
        await callbacks.save(tx, [promised.callback])
        return promised.decision

    return await act(request, principal, case_id, seen, decide)


@router.post(
    "/cases/{case_id}/callbacks/{callback_id}/cancel",
    responses=answers_of(200),
    openapi_extra=REPEATABLE,
    summary="Take the agreement back",
)
async def cancel(
    request: Request, principal: CaseWriter, case_id: UUID, callback_id: UUID, body: CancelBody, seen: IfMatch
) -> Response:
    """A callback is kept by a contact attempt at its time, or one that names it."""

    async def decide(tx: Tx, case: Case, cause: Cause) -> Decision:
        callback = await _agreed(tx, case, callback_id)
        promised = promises.cancel(case, callback, body.reason, await people.staff(tx), cause, note=body.note)
        await callbacks.save(tx, [promised.callback])
        return promised.decision

    return await act(request, principal, case_id, seen, decide)


@router.get("/callbacks", summary="Callbacks by the time they are agreed for")
async def list_callbacks(
    request: Request,
    principal: CaseReader,  # noqa: ARG001 - the rule
    since: Annotated[Instant | None, Query(alias="from", description="Absent: a day ago.")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="Absent: seven days after `from`.")] = None,
    owner: Annotated[str | None, Query(min_length=1, max_length=512)] = None,
    state: CallbackState | None = None,
    moved: Annotated[bool, Query(description="Only those that were moved.")] = False,  # noqa: FBT002
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[CallbackOfList]:
    """The earliest first. `owner` is the owner of the case now: who is to call."""
    async with database_of(request).reading() as tx:
        since = since or tx.now - timedelta(days=1)
        until = until or since + _DAYS_SHOWN
        after = (since, _FIRST) if cursor is None else decode_cursor(cursor, tuple[datetime, UUID])
        rows = await callbacks.in_time(
            tx, since=since, until=until, owner=owner, state=state, moved=moved, after=after, limit=limit + 1
        )
    last = rows[limit - 1] if len(rows) > limit else None
    return Page[CallbackOfList](
        items=[_of_list(row) for row in rows[:limit]],
        next_cursor=None if last is None else encode_cursor((last.at, last.id)),
    )


@router.get("/cases/{case_id}/next-attempt", summary="When to try next to reach the customer")
async def next_attempt(
    request: Request,
    principal: CaseReader,  # noqa: ARG001 - the rule
    case_id: UUID,
) -> NextAttempt:
    """Another time of day, day or channel than those that failed in this round, in the customer's calling hours."""
    async with database_of(request).reading() as tx:
        case = await cases.find(tx, CaseId(case_id))
        if case is None:
            raise of_status(404, detail="No such case.")
        if not case.is_running:
            return _nothing(case.status.value)
        pending = await callbacks.pending(tx, case.id)
        if pending is not None:
            return _nothing("callback_agreed" if pending.state == "agreed" else "callback_missed", pending)
        if case.status is Status.CONTACTED:
            return _nothing("reached")
        ways = None if case.customer_id is None else await callbacks.ways_to(tx, case.customer_id)
        tried = await callbacks.attempts(tx, case.id, case.clocks_since or case.opened_at)
        found = suggest(
            [Attempt(row.at, row.channel, row.outcome) for row in tried],
            now=tx.now,
            due_at=case.first_contact.due_at,
            rules=await callbacks.rules(tx),
            zone=None if ways is None else ways.time_zone,
            # Nothing is known of a customer whose profile came before we kept this: then people know better.
            reachable_by={"phone"} if ways is None or ways.channels is None else set(ways.channels),
        )
    reasons = [ReasonView(code=each.code, details=each.details) for each in found.reasons]
    if not isinstance(found, Suggestion):
        return NextAttempt(at=None, local_time=None, zone=None, channel=None, reasons=reasons)
    return NextAttempt(
        at=found.at, local_time=found.local_time, zone=found.zone, channel=found.channel, reasons=reasons
    )


def _nothing(code: str, callback: Callback | None = None) -> NextAttempt:
    details: Details = {} if callback is None else {"callback_id": str(callback.id), "at": callback.at.isoformat()}
    return NextAttempt(
        at=None if callback is None else callback.at,
        local_time=None,
        zone=None,
        channel=None if callback is None else callback.channel,
        reasons=[ReasonView(code=code, details=details)],
    )


async def _agreed(tx: Tx, case: Case, id_: UUID) -> Callback:
    found = next((each for each in await callbacks.of_cases(tx, [case.id]) if each.id == id_), None)
    if found is None:
        raise of_status(404, detail="No such callback.")
    if found.state != "agreed":
        raise NoCallback(case.id)
    return found


def _of_list(row: Row[Any]) -> CallbackOfList:
    return CallbackOfList(
        **callback_view(row).model_dump(),
        case_id=row.case_id,
        case_status=row.status,
        owner_id=row.owner_id,
        owner_name=row.owner_name,
        customer_id=row.customer_id,
        customer_name=row.customer_name,
        time_zone=row.time_zone,
        tier=row.tier,
        level=row.level,
    )
