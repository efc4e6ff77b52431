"""`/v1/suppressions`: addresses that are not written to, why, and who put them there or took them off."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.events.contracts.messages import SuppressionReason
from libs.events.contracts.responses import address_mark
from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.auth import Principal, requires
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.problem import Problem, of_status
from libs.webapi.strict_json import Router
from services.notify.domain.mailboxes import verdict
from services.notify.domain.messages import phone_mark
from services.notify.store import suppressions

if TYPE_CHECKING:
    from sqlalchemy import Row

router: Final = Router(prefix="/v1", tags=["suppressions"])

Reader = Annotated[Principal, requires("messages:read", roles={"manager", "executive", "operator", "administrator"})]
Writer = Annotated[Principal, requires("contacts:write", roles={"manager", "executive", "operator", "administrator"})]
Why = Annotated[str, Field(min_length=1, max_length=500)]
Listed = Literal["listed", "undeliverable", "complained", "unsubscribed"]
_FORBID: Final = ConfigDict(extra="forbid")


class Address(BaseModel):
    """An e-mail address or a phone number."""

    model_config = _FORBID

    medium: Literal["email", "phone"] = "email"
    address: Annotated[str, Field(min_length=1, max_length=320)]

    @property
    def mark(self) -> str:
        """By which it is known."""
        return address_mark(self.address) if self.medium == "email" else phone_mark(self.address)


class Addition(Address):
    """An address that is not to be written to any more, and why."""

    reason: Listed = "listed"
    why: Why
    until: datetime | None = None
    """Null: until somebody takes it off."""


class Removal(BaseModel):
    """Why it may be written to again."""

    model_config = _FORBID

    why: Why


class Suppression(BaseModel):
    """One entry. It does not hold the address, only its mark is kept."""

    id: UUID
    medium: Literal["email", "phone"]
    reason: SuppressionReason
    why: str
    customer_id: str | None
    message_id: UUID | None
    """The message that came back, where one did."""
    until: datetime | None
    added_at: datetime
    added_by: str
    removed_at: datetime | None
    removed_by: str | None
    removed_why: str | None


class Verdict(BaseModel):
    """Whether mail can be addressed so at all; whether it arrives is for the mail server to say."""

    valid: bool
    problem: str | None
    """A code, where it is not valid."""
    ascii: str | None
    """As mail servers know it."""


@router.get("/suppressions", summary="Who is not written to, the newest first")
async def list_suppressions(
    request: Request,
    principal: Reader,  # noqa: ARG001 - the rule
    reason: SuppressionReason | None = None,
    customer: Annotated[str | None, Query(min_length=1, max_length=512)] = None,
    removed: Annotated[bool, Query(description="Also those that were taken off.")] = False,  # noqa: FBT002
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Suppression]:
    """The list, without addresses."""
    after = decode_cursor(cursor, tuple[datetime, UUID]) if cursor is not None else None
    async with database_of(request).reading() as tx:
        rows = await suppressions.listed(
            tx, reason=reason, customer_id=customer, removed=removed, after=after, limit=limit + 1
        )
    shown = [_suppression(row) for row in rows[:limit]]
    more = encode_cursor((shown[-1].added_at, shown[-1].id)) if len(rows) > limit else None
    return Page(items=shown, next_cursor=more)


@router.post("/suppressions/find", summary="What is known of an address")
async def find(request: Request, principal: Reader, address: Address) -> list[Suppression]:  # noqa: ARG001
    """A POST, so that the address stands in no log."""
    async with database_of(request).reading() as tx:
        return [_suppression(row) for row in await suppressions.of_mark(tx, address.mark)]


@router.post(
    "/suppressions",
    status_code=201,
    responses={201: {"model": Suppression}},
    openapi_extra=REPEATABLE,
    summary="Put an address on the list",
)
async def add(request: Request, principal: Writer, addition: Addition) -> Response:
    """From now on nothing is sent to it, whoever it belongs to."""

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        added = await suppressions.add(
            tx,
            suppressions.Addition(
                id=command_id,
                mark=addition.mark,
                medium=addition.medium,
                reason=addition.reason,
                why=addition.why,
                by=principal.subject,
                until=addition.until,
            ),
        )
        if added is None:
            raise Problem(409, "address-listed-already", "It is on the list already", detail="Find it by its address.")
        return 201, await _one(tx, added), {}

    return await once(database_of(request), request, principal, command)


@router.post(
    "/suppressions/{suppression_id}/remove",
    responses={200: {"model": Suppression}},
    openapi_extra=REPEATABLE,
    summary="Take an address off the list",
)
async def remove(request: Request, principal: Writer, suppression_id: UUID, removal: Removal) -> Response:
    """The entry stays as history, with who took it off and why."""

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        found = await _one(tx, suppression_id)
        if not await suppressions.remove(tx, suppression_id, by=principal.subject, why=removal.why):
            raise Problem(409, "address-not-listed", "It was taken off before", detail=f"At {found.removed_at}.")
        return 200, await _one(tx, suppression_id), {}

    return await once(database_of(request), request, principal, command)


@router.post("/addresses/verify", summary="Whether mail can be addressed so")
async def verify(principal: Reader, address: Address) -> Verdict:  # noqa: ARG001 - the rule
    """Syntax and international names; nobody is asked and nothing is kept."""
    found = verdict(address.address)
    return Verdict(valid=found.problem is None, problem=found.problem, ascii=found.ascii)


async def _one(tx: Tx, id_: UUID) -> Suppression:
    row = await suppressions.one(tx, id_)
    if row is None:
        raise of_status(404, detail="No such entry.")
    return _suppression(row)


def _suppression(row: "Row[Any]") -> Suppression:
    return Suppression(**{name: getattr(row, name) for name in Suppression.model_fields})
