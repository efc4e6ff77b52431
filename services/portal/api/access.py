"""Who is at the door: sessions in cookies, the rights that a page asks for, and forms that only our pages can send.

A session is a random token in a cookie; the database knows only its keyed hash. Strangers get a token too, which
stands for nobody: the log-in form is protected by it like any other form. At the log-in the token is thrown away
and a new one made, so a token that somebody planted beforehand is worth nothing.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from libs.events.database import Database, Tx
from libs.webapi.auth import Access
from libs.webapi.problem import Problem, of_status
from services.portal import store
from services.portal.domain.people import Person, Right
from services.portal.domain.sessions import SessionRules, same_origin

MAX_FIELDS: Final = 80
MAX_FIELDS_OF_LISTS: Final = 5_000
_TOKEN_BYTES: Final = 32
_STRANGER: Final = timedelta(hours=12)


class LoginNeededError(Exception):
    """Nobody is logged in; `path` is where they wanted to go."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever sent this request: a person who is logged in, or a stranger."""

    person: Person | None
    form_token: str


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of somebody who is logged in."""

    person: Person
    form_token: str


class Door:
    """Opens and checks sessions."""

    def __init__(self, database: Database, *, secret: str, rules: SessionRules, secure_cookies: bool) -> None:
        self._database = database
        self._secret = secret.encode()
        self._rules = rules
        self._secure = secure_cookies
        # With the prefix a browser refuses the cookie from a subdomain or over plain http.
        self.cookie: Final = "__Host-otklik" if secure_cookies else "otklik"

    async def visitor(self, request: Request) -> Visitor:
        """Who sent the request; asked once per request."""
        known: Visitor | None = getattr(request.state, "visitor", None)
        if known is None:
            known = await self._ask(request)
            request.state.visitor = known
        return known

    async def _ask(self, request: Request) -> Visitor:
        token = request.cookies.get(self.cookie)
        if not token or len(token) > 2 * _TOKEN_BYTES or not token.isascii():
            token = secrets.token_urlsafe(_TOKEN_BYTES)
            request.state.stranger_token = token
            return Visitor(None, self._form_token(token))
        token_hash = self.hash("session", token)
        async with self._database.reading() as tx:
            session = await store.find_session(tx, token_hash, idle=self._rules.idle)
            stale = session is not None and tx.now - session.seen_at >= self._rules.noted_every
        if stale:
            async with self._database.transaction() as tx:
                await store.note_use(tx, token_hash)
        return Visitor(session.person if session else None, self._form_token(token))

    async def open(self, request: Request, response: Response, person: Person) -> None:
        """Begin a session with a new token, and end the one that this browser had."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        async with self._database.transaction() as tx:
            await self._end(tx, request)
            await store.open_session(tx, self.hash("session", token), person.id, lasting=self._rules.absolute)
        self._set(response, token, self._rules.absolute)

    async def close(self, request: Request, response: Response) -> None:
        """End this browser's session, on the server too."""
        async with self._database.transaction() as tx:
            await self._end(tx, request)
        response.delete_cookie(self.cookie, path="/", secure=self._secure, httponly=True, samesite="lax")

    def greet(self, request: Request, response: Response) -> None:
        """Give a stranger their token, so that they can send a form."""
        token: str | None = getattr(request.state, "stranger_token", None)
        if token is not None:
            self._set(response, token, _STRANGER)

    def hash(self, purpose: str, value: str) -> bytes:
        """A keyed hash: who reads the database can neither use nor guess what was hashed."""
        return hmac.digest(self._secret, f"{purpose}:{value}".encode("utf-8", "replace"), hashlib.sha256)

    async def _end(self, tx: Tx, request: Request) -> None:
        token = request.cookies.get(self.cookie)
        if token:
            await store.end_session(tx, self.hash("session", token))

    def _form_token(self, token: str) -> str:
        return self.hash("form", token).hex()

    def _set(self, response: Response, token: str, lasting: timedelta) -> None:
        response.set_cookie(
            self.cookie,
            token,
            max_age=int(lasting.total_seconds()),
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )


class Needs(Access):
    """The dependency of every page: somebody is logged in, and has the right (None: whoever they are)."""

    def __init__(self, right: Right | None) -> None:
        self.right: Final = right

    async def __call__(self, request: Request) -> Visit:
        """The visit; a redirect to the log-in, or a 403, otherwise."""
        door: Door = request.app.state.door
        visitor = await door.visitor(request)
        if visitor.person is None:
            raise LoginNeededError(_wanted(request))
        if self.right is not None and not visitor.person.may(self.right):
            raise Problem(403, "role-not-allowed", "The person's role does not allow this")
        return Visit(visitor.person, visitor.form_token)


def needs(right: Right | None = None) -> Any:  # noqa: ANN401 - a FastAPI marker
    """What a page asks of its reader, as the marker in the route's signature."""
    return Depends(Needs(right))


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form that one of our own pages sent."""

    fields: dict[str, str]
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def all(self, name: str) -> tuple[str, ...]:
        """Each value of a field that may come several times, as boxes to tick do."""
        return self.lists.get(name, ())

    def get(self, name: str) -> str:
        """The field, without space around it; empty where it is missing."""
        return self.fields.get(name, "").strip()


async def posted_form(request: Request) -> Form:
    """The form, if its origin and its token prove that one of our pages sent it for this session; 403 otherwise."""
    return await _posted(request, MAX_FIELDS)


async def posted_long_form(request: Request) -> Form:
    """A form with as many fields as the longest list has that somebody edits at once; see `posted_form`."""
    return await _posted(request, MAX_FIELDS_OF_LISTS)


async def _posted(request: Request, most: int) -> Form:
    require_own_origin(request)
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise of_status(415)
    form = await request.form(max_files=0, max_fields=most)
    given: dict[str, list[str]] = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            given.setdefault(name, []).append(value)
    lists = {name: tuple(values) for name, values in given.items()}
    if any("\0" in value for values in lists.values() for value in values):
        raise of_status(400)
    fields = {name: values[-1] for name, values in lists.items() if values}
    await require_form_token(request, fields.get("form_token", ""))
    return Form(fields, lists)


FORM_TOKEN: Final = "Otklik-Form-Token"  # noqa: S105 - a header's name


async def posted_bytes(request: Request) -> bytes:
    """Bytes that a script of one of our pages sent, proved by its origin and the page's token; 403 otherwise."""
    require_own_origin(request)
    if request.headers.get("content-type") != "application/octet-stream":
        raise of_status(415)
    await require_form_token(request, request.headers.get(FORM_TOKEN, ""))
    return await request.body()


def require_own_origin(request: Request) -> None:
    """403 for what the page of somebody else sent."""
    if not same_origin(
        request.headers.get("origin"),
        request.headers.get("sec-fetch-site"),
        scheme=request.url.scheme,
        host=request.headers.get("host", ""),
    ):
        raise _foreign()


async def require_form_token(request: Request, sent: str) -> None:
    """403 for a form that was not made for this session."""
    door: Door = request.app.state.door
    visitor = await door.visitor(request)
    if not hmac.compare_digest(sent.encode(), visitor.form_token.encode()):
        raise _foreign()


def _foreign() -> Problem:
    return Problem(403, "foreign-form", "The form was not sent by a page of this portal")


def _wanted(request: Request) -> str:
    if request.method != "GET":
        return "/"
    query = f"?{request.url.query}" if request.url.query else ""
    return quote(request.url.path, safe="/") + query
