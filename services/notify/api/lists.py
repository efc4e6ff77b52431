"""`/v1/lists`: employees and partners whom campaigns tell; customers are in no list."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Path, Request, Response
from pydantic import BaseModel, Field, StringConstraints, model_validator

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.auth import Principal, requires
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.problem import FieldError, Problem, of_status
from libs.webapi.strict_json import Router
from services.notify.api.plans import ID_PATTERN, Body
from services.notify.domain.mailboxes import is_address
from services.notify.store import lists

router: Final = Router(prefix="/v1/lists", tags=["campaigns"])

_LEADS: Final = frozenset({"manager", "executive", "administrator"})
Reader = Annotated[Principal, requires("campaigns:read", roles=_LEADS)]
Writer = Annotated[Principal, requires("campaigns:write", roles=_LEADS)]

_MOST_MEMBERS: Final = 10_000

ListId = Annotated[str, Path(pattern=ID_PATTERN)]
Side = Literal["employees", "partners"]


class ListBody(Body):
    """What a list is."""

    side: Side
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class ListState(BaseModel):
    """A list."""

    list_id: str
    side: Side
    name: str
    people: int


class Member(Body):
    """Somebody on a list."""

    member_id: Annotated[str, Field(pattern=ID_PATTERN)]
    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
    email: Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=320)]
    language: Literal["ru", "en"]


class MembersBody(Body):
    """Members to add or change, to remove, or instead of all that there are."""

    put: Annotated[tuple[Member, ...], Field(max_length=_MOST_MEMBERS)] = ()
    remove: Annotated[tuple[Annotated[str, Field(pattern=ID_PATTERN)], ...], Field(max_length=_MOST_MEMBERS)] = ()
    replace: Annotated[bool, Field(strict=True, description="Whether there are no others than those in `put`.")] = False

    @model_validator(mode="after")
    def _each_once(self) -> "MembersBody":
        ids = [member.member_id for member in self.put] + list(self.remove)
        if len(set(ids)) != len(ids):
            raise ValueError("each member once")
        return self


class Changed(BaseModel):
    """What became of members."""

    put: int
    removed: int


@router.get("", summary="All lists")
async def list_lists(request: Request, principal: Reader) -> list[ListState]:  # noqa: ARG001 - the rule
    """With how many people each has."""
    async with database_of(request).reading() as tx:
        return [ListState.model_validate(row, from_attributes=True) for row in await lists.all_lists(tx)]


@router.put("/{list_id}", status_code=204, openapi_extra=REPEATABLE, summary="Make or rename a list")
async def put_list(request: Request, principal: Writer, list_id: ListId, body: ListBody) -> Response:
    """A list of employees never becomes one of partners."""

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        if not await lists.put(tx, list_id, side=body.side, name=body.name):
            raise Problem(
                409, "other-side", "The list is of the other side", detail="Delete it first, or choose an id."
            )
        return 204, None, {}

    return await once(database_of(request), request, principal, command)


@router.delete("/{list_id}", status_code=204, openapi_extra=REPEATABLE, summary="Delete a list")
async def delete_list(request: Request, principal: Writer, list_id: ListId) -> Response:
    """With its members. Campaigns under way have their audience already."""

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        if not await lists.delete(tx, list_id):
            raise of_status(404, detail="No such list.")
        return 204, None, {}

    return await once(database_of(request), request, principal, command)


@router.get("/{list_id}/members", summary="Members of a list")
async def list_members(
    request: Request,
    principal: Reader,  # noqa: ARG001 - the rule
    list_id: ListId,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Member]:
    """By their ids."""
    after = "" if cursor is None else decode_cursor(cursor, str)
    async with database_of(request).reading() as tx:
        if await lists.one(tx, list_id) is None:
            raise of_status(404, detail="No such list.")
        rows = await lists.members(tx, list_id, after=after, limit=limit + 1)
    items = [Member.model_validate(row, from_attributes=True) for row in rows[:limit]]
    return Page[Member](items=items, next_cursor=encode_cursor(items[-1].member_id) if len(rows) > limit else None)


@router.post(
    "/{list_id}/members",
    responses={200: {"model": Changed}},
    openapi_extra=REPEATABLE,
    summary="Add, change and remove members",
)
async def change_members(request: Request, principal: Writer, list_id: ListId, body: MembersBody) -> Response:
    """Up to 10,000 at once."""
    faults = [
        FieldError(pointer=f"/put/{place}/email", detail="is no address")
        for place, member in enumerate(body.put)
        if not is_address(member.email)
    ]
    if faults:
        raise Problem(422, "invalid", "The request is not valid", errors=faults)

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        if await lists.one(tx, list_id) is None:
            raise of_status(404, detail="No such list.")
        await lists.fill(tx, list_id, [member.model_dump() for member in body.put], anew=body.replace)
        removed = await lists.remove(tx, list_id, body.remove) if body.remove else 0
        return 200, Changed(put=len(body.put), removed=removed), {}

    return await once(database_of(request), request, principal, command)
