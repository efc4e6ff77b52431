"""`/v1/cases/{id}/slots`: when a customer can be called, and what they choose; for the page behind their link."""

from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from fastapi import Request, Response
from pydantic import BaseModel

from libs.events.database import Tx
from libs.events.telemetry import traceparent_or_new
from libs.webapi.app import database_of
from libs.webapi.etag import etag
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.instants import Instant
from libs.webapi.problem import of_status
from libs.webapi.strict_json import Router
from services.casework.api.access import CaseReader, CaseWriter, actor_of
from services.casework.api.acting import agree_on, answers_of, locked, settle
from services.casework.api.shapes import Body
from services.casework.api.views import CallbackView, CaseState, callback_view, state_of
from services.casework.domain import callbacks as promises
from services.casework.domain.callbacks import Callback
from services.casework.domain.cases import Case, Decision
from services.casework.domain.errors import SlotTaken
from services.casework.domain.names import CaseId
from services.casework.domain.slots import AHEAD, LENGTH, cell_of, free_slots
from services.casework.domain.timeline import Actor, Cause
from services.casework.store import callbacks, cases, cells, people, policies

if TYPE_CHECKING:
    from typing import Any

    from libs.webapi.auth import Principal

router: Final = Router(prefix="/v1/cases/{case_id}/slots", tags=["contact"])

_NONE: Final = UUID(int=0)


class SlotBody(Body):
    """The beginning of the slot that the customer chose."""

    at: Instant


class Slots(BaseModel):
    """What can be agreed, and what is."""

    case_id: UUID
    customer_id: str | None
    owner_name: str
    is_running: bool
    """Whether a callback can be agreed at all: the case is neither resolved nor closed."""
    zone: str
    """The customer's clock, or the company's where none is known."""
    minutes: int
    callback: CallbackView | None
    """The one that is agreed."""
    slots: list[datetime]
    """The beginnings of what is free, the earliest first."""


@router.get("", summary="When the customer can be called")
async def list_slots(request: Request, principal: CaseReader, case_id: UUID) -> Slots:  # noqa: ARG001 - the rule
    """Half hours in the customer's calling hours and the owner's working hours, without absences and other calls."""
    async with database_of(request).reading() as tx:
        case = await cases.find(tx, CaseId(case_id))
        if case is None:
            raise of_status(404, detail="No such case.")
        pending = await callbacks.pending(tx, case.id)
        agreed = pending if pending is not None and pending.state == "agreed" else None
        owner = (await people.staff(tx)).agents[case.owner_id]
        free, zone = await _free(tx, case, agreed)
    return Slots(
        case_id=case.id,
        customer_id=case.customer_id,
        owner_name=owner.name,
        is_running=case.is_running,
        zone=zone,
        minutes=int(LENGTH.total_seconds() // 60),
        callback=None if agreed is None else callback_view(agreed),
        slots=free if case.is_running else [],
    )


@router.post("", responses=answers_of(200, CaseState), openapi_extra=REPEATABLE, summary="The customer chooses a slot")
async def choose(request: Request, principal: CaseWriter, case_id: UUID, body: SlotBody) -> Response:
    """Agrees on it, or moves what is agreed to it. 409 where somebody else was first: then ask for the slots anew."""

    async def command(tx: Tx, command_id: UUID) -> "tuple[int, Any, dict[str, str]]":
        case = await locked(tx, CaseId(case_id))
        cause = Cause(
            command_id, tx.now, _actor(principal, case), traceparent_or_new(request.headers.get("traceparent"))
        )

        async def decide(tx: Tx, case: Case, cause: Cause) -> Decision:
            return await _chosen(tx, case, body.at, cause)

        after = await settle(tx, case, cause, decide, for_level=False)
        return 200, state_of(after), {"ETag": etag(after.version)}

    return await once(database_of(request), request, principal, command)


async def _chosen(tx: Tx, case: Case, at: datetime, cause: Cause) -> Decision:
    pending = await callbacks.pending(tx, case.id)
    agreed = pending if pending is not None and pending.state == "agreed" else None
    if agreed is not None and agreed.at == at:
        return Decision(case)
    free, _ = await _free(tx, case, agreed)
    if case.is_running and at not in free:
        raise SlotTaken(case.id)
    if agreed is None:
        decision = await agree_on(tx, case, at, "phone", cause)
        id_ = cause.id
    else:
        rules, staff = await callbacks.rules(tx), await people.staff(tx)
        promised = promises.move(case, agreed, at, "customer_asked", rules, staff, cause)
        await callbacks.save(tx, [promised.callback])
        decision, id_ = promised.decision, agreed.id
    # Somebody who came at the same moment may have it: whoever did not get it leaves no trace.
    if not await cells.holds(tx, id_, case.owner_id, cell_of(at)):
        raise SlotTaken(case.id)
    return decision


async def _free(tx: Tx, case: Case, agreed: Callback | None) -> tuple[list[datetime], str]:
    rules = await callbacks.rules(tx)
    ways = None if case.customer_id is None else await callbacks.ways_to(tx, case.customer_id)
    zone = None if ways is None else ways.time_zone
    owner = (await people.staff(tx)).agents[case.owner_id]
    works = None
    if owner.calendar_id is not None:
        works = (await policies.calendars_of(tx, [owner.calendar_id])).get(owner.calendar_id)
    since = cell_of(tx.now)
    taken = await cells.taken(tx, owner.id, since, since + 2 * AHEAD, but=_NONE if agreed is None else agreed.id)
    found = free_slots(case, owner, now=tx.now, rules=rules, zone=zone, works=works, taken=taken)
    calling, _ = rules.hours_of(zone)
    return found, calling.zone.key


def _actor(principal: "Principal", case: Case) -> Actor:
    """Who chooses: the person spoken for, else the customer, for whom the page's key asks."""
    if principal.person_id is not None or case.customer_id is None:
        return actor_of(principal)
    return Actor("customer", case.customer_id)
