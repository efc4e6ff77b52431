"""`/v1/root-causes`: the tree of what is behind problems, which the company edits as data."""

from datetime import datetime
from typing import Annotated, Any, Final, NoReturn
from uuid import UUID

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints
from sqlalchemy import Row

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.etag import IfMatch
from libs.webapi.idempotency import REPEATABLE
from libs.webapi.paging import Cursor, Limit, Page
from libs.webapi.problem import of_status
from libs.webapi.strict_json import Router
from services.casework.api import editing
from services.casework.api.access import ID_PATTERN, Id, SettingsReader, SettingsWriter, actor_of, refused_field
from services.casework.api.views import Who
from services.casework.domain.names import RootCauseId
from services.casework.domain.timeline import Actor
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
    choosable: bool
    """Whether a case may be resolved with it: neither it nor a root cause above it is retired."""


class RootCauseVersion(BaseModel):
    """How a root cause read from `at` on."""

    version: int
    parent_id: str | None
    name_ru: str
    name_en: str
    retired: bool
    at: datetime
    by: Who


class Touched(BaseModel):
    """A change under way that rests on the root cause, or on one below it."""

    id: UUID
    title: str
    status: str


class RootCausePreview(BaseModel):
    """What a change of a root cause would do; nothing of it was done."""

    exists: bool
    changed: list[str]
    """The fields that would read differently."""
    no_longer_choosable: list[str]
    """Root causes that cases could not be resolved with any more: this one and those below it."""
    choosable_again: list[str]
    cases_resolved: int
    """Cases that stand on these root causes and wait for the customer's word. They keep them."""
    cases_closed: int
    """Closed cases that stand on them. They keep them, and read as before."""
    last_used_at: datetime | None
    initiatives: list[Touched]
    """Changes under way that rest on them."""


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
        await _put(tx, id_, body, actor_of(principal))
        return await rules.find_root_cause(tx, id_)

    return await editing.put(request, principal, seen, RootCause, lock, write)


@router.get("/root-causes/{root_cause_id}/versions", summary="How a root cause read at each version")
async def list_versions(
    request: Request,
    principal: SettingsReader,  # noqa: ARG001 - the rule
    root_cause_id: Id,
) -> list[RootCauseVersion]:
    """The latest first, with who wrote it."""
    async with database_of(request).reading() as tx:
        rows = await rules.versions(tx, RootCauseId(root_cause_id))
    if not rows:
        raise of_status(404)
    return [
        RootCauseVersion(
            version=row.version,
            parent_id=row.parent_id,
            name_ru=row.name_ru,
            name_en=row.name_en,
            retired=row.retired,
            at=row.at,
            by=Who(kind=row.actor_kind, id=row.actor_id, name=row.actor_name),
        )
        for row in rows
    ]


@router.post("/root-causes/{root_cause_id}/preview", summary="What a change of a root cause would touch")
async def preview_root_cause(
    request: Request, principal: SettingsWriter, root_cause_id: Id, body: RootCauseBody
) -> RootCausePreview:
    """Takes the body of the PUT, refuses what that would refuse, and changes nothing."""
    id_ = RootCauseId(root_cause_id)
    try:
        async with database_of(request).transaction() as tx:
            await rules.edit_root_causes(tx)
            await _try(tx, id_, body, actor_of(principal))
    except _OnlyTried as tried:
        # The transaction was rolled back: trying is doing, and not keeping it, so the two never tell different things.
        return tried.preview


class _OnlyTried(Exception):
    """Ends the transaction of a trial without keeping it."""

    def __init__(self, preview: RootCausePreview) -> None:
        super().__init__()
        self.preview = preview


async def _try(tx: Tx, id_: RootCauseId, body: RootCauseBody, by: Actor) -> NoReturn:
    before = await rules.find_root_cause(tx, id_)
    known = None if before is None else RootCauseBody.model_validate(before, from_attributes=True).model_dump()
    choosable = await rules.choosable(tx)
    await _put(tx, id_, body, by)
    after = await rules.choosable(tx)
    concerned = await rules.below(tx, id_)
    use = await rules.use(tx, concerned)
    given = body.model_dump()
    raise _OnlyTried(
        RootCausePreview(
            exists=known is not None,
            changed=[name for name in given if known is None or known[name] != given[name]],
            no_longer_choosable=sorted(choosable - after),
            choosable_again=sorted((after - choosable) - ({id_} if known is None else set())),
            cases_resolved=use.resolved,
            cases_closed=use.closed,
            last_used_at=use.last_used_at,
            initiatives=[
                Touched.model_validate(row, from_attributes=True)
                for row in await rules.initiatives_about(tx, concerned)
            ],
        )
    )


async def _put(tx: Tx, id_: RootCauseId, body: RootCauseBody, by: Actor) -> None:
    if body.parent_id is not None:
        above = await rules.above(tx, RootCauseId(body.parent_id))
        if id_ in above or body.parent_id == id_:
            raise refused_field("/parent_id", "lies below this root cause")
        if not above:
            raise refused_field("/parent_id", "is no root cause")
    await rules.put_root_cause(tx, id_, body.model_dump(), by)
