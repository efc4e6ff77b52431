"""`/v1/root-causes`: the tree of what is behind problems, which the company edits as data."""

from typing import Annotated, Any, Final

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints
from sqlalchemy import Row

from libs.events.database import Tx
from libs.webapi.etag import IfMatch
from libs.webapi.paging import Cursor, Limit, Page
from libs.webapi.strict_json import Router
from services.casework.api import editing
from services.casework.api.access import (
    ID_PATTERN,
    REPEATABLE,
    Id,
    SettingsReader,
    SettingsWriter,
    database_of,
    refused_field,
)
from services.casework.domain.names import RootCauseId
from services.casework.store import rules

router: Final = Router(prefix="/v1", tags=["rules"])

_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class RootCauseBody(BaseModel):
    """A place in the tree of what is behind problems. A retired one stays readable and is no longer chosen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    parent_id: Annotated[str, Field(pattern=ID_PATTERN)] | None = None
    name_ru: _Name
    name_en: _Name
    retired: StrictBool = False


class RootCause(RootCauseBody):
    """A root cause as stored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    version: int


@router.get("/root-causes", summary="Root causes")
async def list_root_causes(
    request: Request,
    principal: SettingsReader,  # noqa: ARG001 - the rule
    limit: Limit = 200,
    cursor: Cursor = None,
) -> Page[RootCause]:
    """The whole tree, each with its `parent_id`; retired ones too."""
    async with database_of(request).reading() as tx:
        rows = await rules.list_root_causes(tx, after=editing.after(cursor), limit=limit + 1)
    return editing.page(RootCause, rows, limit)


@router.get("/root-causes/{root_cause_id}", summary="One root cause")
async def get_root_cause(
    request: Request,
    response: Response,
    principal: SettingsReader,  # noqa: ARG001 - the rule
    root_cause_id: Id,
) -> RootCause:
    """Retired or not."""
    async with database_of(request).reading() as tx:
        row = await rules.find_root_cause(tx, RootCauseId(root_cause_id))
    return editing.one(RootCause, row, response)


@router.put(
    "/root-causes/{root_cause_id}",
    responses=editing.stored(RootCause),
    openapi_extra=REPEATABLE,
    summary="Create or replace a root cause",
)
async def put_root_cause(
    request: Request, principal: SettingsWriter, root_cause_id: Id, body: RootCauseBody, seen: IfMatch
) -> Response:
    """Cases that were resolved with it keep it, also when it is retired or moved."""
    id_ = RootCauseId(root_cause_id)

    async def lock(tx: Tx) -> int | None:
        await rules.edit_root_causes(tx)
        row = await rules.find_root_cause(tx, id_)
        return None if row is None else int(row.version)

    async def write(tx: Tx) -> Row[Any] | None:
        if body.parent_id is not None:
            above = await rules.above(tx, RootCauseId(body.parent_id))
            if id_ in above or body.parent_id == id_:
                raise refused_field("/parent_id", "lies below this root cause")
            if not above:
                raise refused_field("/parent_id", "is no root cause")
        await rules.put_root_cause(tx, id_, body.model_dump())
        return await rules.find_root_cause(tx, id_)

    return await editing.put(request, principal, seen, RootCause, lock, write)
