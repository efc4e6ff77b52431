"""`/v1/conversation-guides`: how to speak with customers, by theme, as the company edits it in both languages."""

from datetime import datetime
from typing import Annotated, Any, Final
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
from services.casework.api.access import ID_PATTERN, CaseReader, Id, SettingsReader, SettingsWriter, actor_of
from services.casework.api.views import Who
from services.casework.store import guides

router: Final = Router(prefix="/v1", tags=["contact"])

_Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
_Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]


class Question(BaseModel):
    """One open question, in both languages."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ru: _Words
    en: _Words


class GuideBody(BaseModel):
    """How to open the conversation, what to ask, and how to end it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    themes: Annotated[
        list[Annotated[str, Field(pattern=ID_PATTERN)]],
        Field(max_length=50, description="Themes of comments that it is for; none: for every conversation."),
    ]
    title_ru: _Title
    title_en: _Title
    opening_ru: _Words
    opening_en: _Words
    questions: Annotated[list[Question], Field(min_length=1, max_length=20, description="In the order to ask them.")]
    closing_ru: _Words
    closing_en: _Words
    retired: StrictBool = False


class Guide(GuideBody):
    """A guide as stored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    version: int


class GuideVersion(GuideBody):
    """How a guide read from `at` on."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    version: int
    at: datetime
    by: Who


class GuideForCase(Guide):
    """A guide that suits a case, and because of which of its themes; none: it is for every conversation."""

    matched: list[str]


@router.get("/conversation-guides", summary="Conversation guides")
async def list_guides(
    request: Request,
    principal: SettingsReader,  # noqa: ARG001 - the rule
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Guide]:
    """In the order of their ids; retired ones too."""
    async with database_of(request).reading() as tx:
        rows = await guides.list_guides(tx, after=editing.after(cursor), limit=limit + 1)
    return editing.page(Guide, rows, limit)


@router.get("/conversation-guides/{guide_id}", summary="One conversation guide")
async def get_guide(request: Request, response: Response, principal: SettingsReader, guide_id: Id) -> Guide:  # noqa: ARG001 - the rule
    """Retired or not."""
    async with database_of(request).reading() as tx:
        row = await guides.find_guide(tx, guide_id)
    return editing.one(Guide, row, response)


@router.get("/conversation-guides/{guide_id}/versions", summary="How a conversation guide read at each version")
async def list_versions(
    request: Request,
    principal: SettingsReader,  # noqa: ARG001 - the rule
    guide_id: Id,
) -> list[GuideVersion]:
    """The latest first, with who wrote it."""
    async with database_of(request).reading() as tx:
        rows = await guides.versions(tx, guide_id)
    if not rows:
        raise of_status(404)
    return [
        GuideVersion.model_validate(
            {**row._mapping, "by": Who(kind=row.actor_kind, id=row.actor_id, name=row.actor_name)}  # noqa: SLF001
        )
        for row in rows
    ]


@router.put(
    "/conversation-guides/{guide_id}",
    responses=editing.stored(Guide),
    openapi_extra=REPEATABLE,
    summary="Create or replace a conversation guide",
)
async def put_guide(
    request: Request, principal: SettingsWriter, guide_id: Id, body: GuideBody, seen: IfMatch
) -> Response:
    """Holds for conversations from now on."""

    async def write(tx: Tx) -> Row[Any] | None:
        await guides.put_guide(tx, guide_id, body.model_dump(), actor_of(principal))
        return await guides.find_guide(tx, guide_id)

    return await editing.put(request, principal, seen, Guide, lambda tx: guides.lock_guide(tx, guide_id), write)


@router.get("/cases/{case_id}/guides", summary="How to speak with this customer")
async def guides_of_case(
    request: Request,
    principal: CaseReader,  # noqa: ARG001 - the rule
    case_id: UUID,
) -> list[GuideForCase]:
    """By what the customer's answers are about, the closest first; those for every conversation last."""
    async with database_of(request).reading() as tx:
        rows = await guides.for_case(tx, case_id)
    return [GuideForCase.model_validate(row, from_attributes=True) for row in rows]
