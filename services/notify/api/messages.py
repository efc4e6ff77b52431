"""`/v1/messages`: the ledger, and what an operator found out about a doubtful message."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict

from libs.events.contracts.messages import Bounce, MessageChannel, MessageKind
from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.auth import Principal, requires
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.problem import Problem, of_status
from libs.webapi.strict_json import Router
from services.notify import announcements
from services.notify.domain.messages import MessageId, Status
from services.notify.store import campaigns, delivery, ledger

if TYPE_CHECKING:
    from sqlalchemy import Row

router: Final = Router(prefix="/v1/messages", tags=["messages"])

Reader = Annotated[
    Principal, requires("messages:read", roles={"agent", "manager", "executive", "operator", "administrator"})
]
Resolver = Annotated[Principal, requires("messages:write", roles={"operator", "administrator"})]

Filter = Annotated[str | None, Query(min_length=1, max_length=512)]

_RESOLVABLE: Final[dict[str, tuple[Status, tuple[Status, ...]]]] = {
    # One that failed or was held back was certainly not delivered: sending it again is safe, for example to a corrected
    # address. Whether it may go by now is asked anew.
    "sent": (Status.SENT, (Status.DOUBTFUL,)),
    "resend": (Status.QUEUED, (Status.DOUBTFUL, Status.FAILED, Status.SUPPRESSED)),
}


class Message(BaseModel):
    """One message of the ledger. It holds no contact detail."""

    id: UUID
    kind: MessageKind
    status: Status
    reason: str | None
    """Why it was suppressed, why it failed, or what the mail server said last."""
    cause_id: UUID
    """The event that caused it: one message per cause and recipient."""
    channel: MessageChannel | None
    """Over which it goes; null until that was decided."""
    bounce: Bounce | None
    """What came back after it had been accepted."""
    template_version: int | None
    case_id: str | None
    round: int | None
    customer_id: str | None
    employee_id: str | None
    attempts: int
    due_at: datetime | None
    """When it is tried (again), while it is queued."""
    created_at: datetime
    changed_at: datetime


class Resolution(BaseModel):
    """What an operator found out: it arrived, or it did not and is to be sent again."""

    model_config = ConfigDict(extra="forbid")

    outcome: Literal["sent", "resend"]


@router.get("", summary="The ledger, the newest first")
async def list_messages(
    request: Request,
    principal: Reader,  # noqa: ARG001 - the rule
    status: Status | None = None,
    case: Filter = None,
    recipient: Filter = None,
    kind: MessageKind | None = None,
    bounce: Bounce | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Message]:
    """`recipient` is a customer's or an employee's id. `status=doubtful` lists what an operator should look into."""
    after = decode_cursor(cursor, tuple[datetime, UUID]) if cursor is not None else None
    async with database_of(request).reading() as tx:
        rows = await ledger.listed(
            tx,
            status=status,
            case_id=case,
            recipient=recipient,
            kind=kind,
            bounce=bounce,
            after=after,
            limit=limit + 1,
        )
    shown = rows[:limit]
    more = encode_cursor((shown[-1].created_at, shown[-1].id)) if len(rows) > limit else None
    return Page(items=[_message(row) for row in shown], next_cursor=more)


@router.get("/{message_id}", summary="A message")
async def get_message(request: Request, principal: Reader, message_id: UUID) -> Message:  # noqa: ARG001 - the rule
    """One message of the ledger."""
    async with database_of(request).reading() as tx:
        row = await ledger.one(tx, MessageId(message_id))
    if row is None:
        raise of_status(404, detail="No such message.")
    return _message(row)


@router.post(
    "/{message_id}/resolve",
    responses={200: {"model": Message}},
    openapi_extra=REPEATABLE,
    summary="Resolve a doubt",
)
async def resolve(request: Request, principal: Resolver, message_id: UUID, resolution: Resolution) -> Response:
    """`sent`: it arrived after all. `resend`: it did not (or failed, or was held back); it is sent again.

    Look at the receiving side first: nothing else can tell, and `resend` of a message that arrived is a second mail.
    """
    id_ = MessageId(message_id)
    status, allowed = _RESOLVABLE[resolution.outcome]

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        if status is Status.QUEUED and await campaigns.is_recalled(tx, id_):
            raise Problem(
                409,
                "campaign-cancelled",
                "Its campaign was cancelled",
                detail="Nothing of a campaign is sent after it was cancelled.",
            )
        entry = await delivery.resolve(tx, id_, status=status, allowed=allowed)
        row = await ledger.one(tx, id_)
        if row is None:
            raise of_status(404, detail="No such message.")
        if entry is None:
            raise Problem(
                409,
                "message-not-in-doubt",
                "There is nothing to resolve",
                detail=f"The message is {row.status}; this resolves one that is {' or '.join(allowed)}.",
            )
        if status is Status.SENT:
            announcements.sent(tx, entry)
        else:
            announcements.queued(tx, entry)
        return 200, _message(row), {}

    return await once(database_of(request), request, principal, command)


def _message(row: "Row[Any]") -> Message:
    return Message(
        id=row.id,
        kind=row.kind,
        status=Status(row.status),
        reason=row.reason,
        cause_id=row.cause_id,
        channel=row.channel,
        bounce=row.bounce,
        template_version=row.template_version,
        case_id=row.case_id,
        round=row.round,
        customer_id=row.customer_id,
        employee_id=row.employee_id,
        attempts=row.attempt,
        due_at=row.due_at if row.status == Status.QUEUED else None,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )
