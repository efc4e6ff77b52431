"""The live stream: `GET /v1/events` (server-sent events) and the page that shows it."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from libs.events.database import Database
from libs.webapi.auth import Access, Rule
from libs.webapi.problem import of_status
from services.portal import store
from services.portal.api.access import LoginNeededError, Needs, Visit, needs
from services.portal.api.view import Pages
from services.portal.broadcast import Broadcast
from services.portal.domain.people import Person, Right, Role
from services.portal.domain.stream import Position, StreamEvent, parse_position, seen_by
from services.portal.texts import Words
from services.portal.texts.stories import tell

SHOWN: Final = 60
RETRY_MILLISECONDS: Final = 2_000
"""How long browsers wait before they come back after a cut."""


@dataclass(frozen=True, slots=True)
class Follower:
    """Who reads the stream, and as what."""

    role: Role
    person: Person | None


class MayFollow(Access):
    """A person by their session, or a program by a key with the scope `events:read`.

    A key that speaks for nobody sees what operators see: that it happened, to which ids, but no comment.
    """

    def __init__(self) -> None:
        self._by_key = Rule("events:read", roles=None)
        self._by_session = Needs(Right.EVENTS)

    async def __call__(
        self,
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Security(HTTPBearer(auto_error=False))],
    ) -> Follower:
        """The follower; 401 or 403 otherwise."""
        if credentials is not None:
            principal = await self._by_key(request, credentials)
            return Follower(Role(principal.role) if principal.role else Role.OPERATOR, None)
        try:
            visit = await self._by_session(request)
        except LoginNeededError as error:
            raise of_status(401, headers={"WWW-Authenticate": 'Bearer realm="otklik"'}) from error
        return Follower(visit.person.role, visit.person)


def routes(database: Database, pages: Pages, broadcast: Broadcast) -> APIRouter:
    """`/v1/events` and `/events`."""
    router = APIRouter()

    @router.get(
        "/v1/events",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}, "description": "Server-sent events."}},
    )
    async def follow(
        request: Request,
        follower: Annotated[Follower, Depends(MayFollow())],
        last_event_id: Annotated[str | None, Header(description="Resume after this event.")] = None,
        after: Annotated[str | None, Query(description="As `Last-Event-ID`, for a first connection.")] = None,
    ) -> Response:
        """Events as they happen, each with what the reader's role may see. `data` is a JSON object."""
        if broadcast.full:
            raise of_status(503, detail="Too many are following already.", headers={"Retry-After": "10"})
        position = parse_position(last_event_id or after)
        words = pages.words(request, follower.person)
        return StreamingResponse(
            _sent(broadcast, position, follower, pages, words),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    @router.get("/events", include_in_schema=False)
    async def page(request: Request, visit: Annotated[Visit, needs(Right.EVENTS)]) -> Response:
        async with database.reading() as tx:
            here = await store.horizon(tx)
            latest = await store.latest_events(tx, limit=SHOWN)
        words = pages.words(request, visit.person)
        shown = [_told(seen_by(visit.person.role, event), visit.person, words) for event in latest]
        position = latest[0].position if latest else here
        return pages.page(request, visit, "events.html", events=shown, position=position, shown=SHOWN)

    return router


async def _sent(
    broadcast: Broadcast, position: Position | None, follower: Follower, pages: Pages, words: Words
) -> AsyncIterator[bytes]:
    yield b"retry: %d\n\n" % RETRY_MILLISECONDS
    async with aclosing(broadcast.follow(position)) as events:
        async for event in events:
            if event is None:
                yield b": beat\n\n"
                continue
            now = pages.words_in(words.language)
            data = msgspec.json.encode(_told(seen_by(follower.role, event), follower.person, now))
            yield b"id: %s\ndata: %s\n\n" % (str(event.position).encode(), data)


def _told(event: StreamEvent, person: Person | None, words: Words) -> dict[str, Any]:
    """An event for a page or for the wire: as it is stored, and in words."""
    story = tell(event, words)
    opens = story.case_id if person is not None and person.may(Right.CASES) else None
    return {
        "position": str(event.position),
        "id": event.id,
        "type": event.type,
        "subject": event.subject,
        "time": words.iso(event.time),
        "data": event.facts,
        "clock": words.time(event.time),
        "moment": words.full_moment(event.time),
        "group": story.group,
        "tone": story.tone,
        "title": story.title,
        "detail": story.detail,
        "quote": story.quote,
        "href": f"/cases/{opens}" if opens else None,
    }
