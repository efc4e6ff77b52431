"""Comments of colleagues to one another on a case, and `/v1/mentions`: where somebody was asked to look."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import BaseModel, Field

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.auth import Principal
from libs.webapi.etag import IfMatch
from libs.webapi.idempotency import REPEATABLE
from libs.webapi.paging import Cursor, Limit, decode_cursor, encode_cursor
from libs.webapi.problem import of_status
from libs.webapi.strict_json import Router
from services.casework.api.access import ID_PATTERN, CaseReader, CaseWriter, refused_field
from services.casework.api.acting import act, answers_of
from services.casework.api.shapes import Body
from services.casework.api.views import Who
from services.casework.domain import commands
from services.casework.domain.agents import Agent, Staff
from services.casework.domain.cases import Case, Decision
from services.casework.domain.names import AgentId
from services.casework.domain.timeline import Cause
from services.casework.store import mentions, people

router: Final = Router(prefix="/v1", tags=["contact"])

_MENTION: Final = re.compile(r"(?<![\w.@-])@([A-Za-z0-9._:@-]{1,128})")
_MENTIONS_AT_MOST: Final = 20
_END: Final = (datetime(9000, 1, 1, tzinfo=UTC), UUID(int=2**128 - 1), 2**31 - 1)


class CommentBody(Body):
    """What colleagues should know. `@id` in the text asks that person to look, and so does a name in `mentions`."""

    text: Annotated[str, Field(min_length=1, max_length=10_000)]
    mentions: Annotated[
        tuple[Annotated[str, Field(pattern=ID_PATTERN)], ...],
        Field(max_length=_MENTIONS_AT_MOST, description="Ids of people, beside those that the text names."),
    ] = ()


class ReadBody(Body):
    """Which mentions were read: those in this case; null: all of them."""

    case_id: UUID | None = None


class Mention(BaseModel):
    """A comment in which the person was asked to look."""

    case_id: UUID
    version: int
    """Of the case: the comment's line in its timeline."""
    at: datetime
    read_at: datetime | None
    by: Who
    text: str | None
    """Null once the customer asked to be forgotten."""
    customer_name: str | None
    case_status: str


class Mentions(BaseModel):
    """One page, and how many are unread in all."""

    items: list[Mention]
    next_cursor: str | None
    unread: int


@router.post(
    "/cases/{case_id}/comments",
    responses=answers_of(201),
    openapi_extra=REPEATABLE,
    summary="Say something to colleagues",
)
async def comment(request: Request, principal: CaseWriter, case_id: UUID, body: CommentBody, seen: IfMatch) -> Response:
    """Never seen by the customer. Who is mentioned finds it among their mentions, and is told. Possible when closed."""

    async def decide(tx: Tx, case: Case, cause: Cause) -> Decision:
        mentioned = _mentioned(body, await people.staff(tx))
        decision = commands.comment(case, body.text, mentioned, cause)
        await mentions.add(tx, decision.case, [agent.id for agent in mentioned])
        return decision

    return await act(request, principal, case_id, seen, decide, status=201)


@router.get("/mentions", summary="Where the person who asks was mentioned")
async def list_mentions(
    request: Request,
    principal: CaseReader,
    unread: Annotated[bool, Query(description="Only what was not read yet.")] = True,  # noqa: FBT002 - a query
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Mentions:
    """The latest first."""
    person = _person(principal)
    before = _END if cursor is None else decode_cursor(cursor, tuple[datetime, UUID, int])
    async with database_of(request).reading() as tx:
        rows = await mentions.of_person(tx, person, unread=unread, before=before, limit=limit + 1)
        count = await mentions.count_unread(tx, person)
    last = rows[limit - 1] if len(rows) > limit else None
    return Mentions(
        items=[
            Mention(
                case_id=row.case_id,
                version=row.version,
                at=row.at,
                read_at=row.read_at,
                by=Who(kind=row.actor_kind, id=row.actor_id, name=row.actor_name),
                text=row.text,
                customer_name=row.customer_name,
                case_status=row.status,
            )
            for row in rows[:limit]
        ],
        next_cursor=None if last is None else encode_cursor((last.at, last.case_id, last.version)),
        unread=count,
    )


@router.post("/mentions/read", status_code=204, summary="Say that mentions were read")
async def read_mentions(request: Request, principal: CaseReader, body: ReadBody) -> None:
    """Of the person who asks. To say it twice changes nothing."""
    async with database_of(request).transaction() as tx:
        await mentions.read(tx, _person(principal), body.case_id)


def _person(principal: Principal) -> str:
    if principal.person_id is None:
        raise of_status(400, detail="A key has no mentions of its own: speak for a person (Otklik-Person).")
    return principal.person_id


def _mentioned(body: CommentBody, staff: Staff) -> tuple[Agent, ...]:
    # In a text an @ may be anything; only who is named outright must exist.
    for number, id_ in enumerate(body.mentions):
        if AgentId(id_) not in staff.agents:
            raise refused_field(
                f"/mentions/{number}", "is nobody's id", slug="unknown-agent", title="There is no such agent"
            )
    written = [found.rstrip(".:-") for found in _MENTION.findall(body.text)]
    ids = dict.fromkeys([*body.mentions, *written])
    found = [staff.agents[AgentId(id_)] for id_ in ids if AgentId(id_) in staff.agents]
    return tuple(agent for agent in found if not agent.disabled)[:_MENTIONS_AT_MOST]
