"""`POST /v1/webhooks/{source}`: the door for vendors. Plain ASGI, because nothing else here is as busy.

A request is read, checked, understood, and waits for its transaction. Who is refused is not told why: an unknown
source, a disabled one, a wrong and a stale signature, and an address that the source does not list, get the same answer
after the same work. Whose address it is, uvicorn says: a proxy's word counts only where the settings name the proxy.
"""

from __future__ import annotations

import secrets
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from libs.events.crashpoint import crashpoint
from libs.events.direct_protocol import rendered
from libs.webapi.limits import SECURITY_HEADERS, LastResort
from libs.webapi.problem import MEDIA_TYPE, SCHEMA, Problem, of_status, unavailable
from libs.webapi.strict_json import StrictRoute
from services.ingest.arrivals import webhook_arrival
from services.ingest.domain.deliveries import Status
from services.ingest.domain.signature import PATH_TOKEN, STANDARD_WEBHOOKS, Secret, Verification
from services.ingest.domain.verifying import check_of
from services.ingest.intake import NotDurable, QueueFull
from services.ingest.telemetry import REFUSED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from libs.events.direct_protocol import Answer as DirectAnswer
    from libs.events.direct_protocol import Headers
    from services.ingest.arrivals import DeliveryIds
    from services.ingest.domain.deliveries import Outcome
    from services.ingest.intake import Intake
    from services.ingest.sources import ReadySource, SourceBook

    Answer = tuple[int, Headers, bytes]

PREFIX: Final = "/v1/webhooks/"

_MOST_DIGITS: Final = 18


class WebhookDoor:
    """The ASGI app behind the path. `clock` is the database's, so that all times of a delivery are of one clock."""

    prefix: Final = PREFIX.encode()

    def __init__(
        self,
        book: SourceBook,
        intake: Intake,
        ids: DeliveryIds,
        *,
        clock: Callable[[], datetime],
        most_bytes: int,
    ) -> None:
        self._book = book
        self._intake = intake
        self._ids = ids
        self._clock = clock
        self._most_bytes = most_bytes
        self._decoy = check_of(STANDARD_WEBHOOKS, [Secret(secrets.token_bytes(32))])

    def take(self, name: str, headers: Headers, body: bytes, answer: Callable[[DirectAnswer], None]) -> bool:
        """Take what can be settled with the sources at hand.

        That is what is authentic, answered when it is durable, and what is not, refused as `answer` does it, after the
        same work whether there is such a source or not. All else is for `answer`.
        """

        def settle(outcome: Outcome | None) -> None:
            if outcome is None:
                REFUSED.labels("unavailable").inc()
                answer(_DIRECTLY_UNAVAILABLE)
            else:
                content = _told(outcome)
                answer((202, b"%b%d\r\n" % (_ACCEPTED_LINES, len(content)), content))

        try:
            sources = self._book.at_hand()
            if sources is None:
                return False
            now = self._clock()
            ready = sources.get(name)
            told = dict(headers)
            verification = self._signed(ready, told, body, now)
            if ready is None or verification is not Verification.VALID:
                if not self._book.is_sure:
                    return False
                _refused(ready, verification)
                answer(_DIRECTLY_UNAUTHENTICATED)
                return True
            # Behind a proxy, whose word for it counts is not known here.
            if ready.source.networks or not _takes(ready, told):
                return False
            crashpoint("ingest.after_verify")
            self._intake.begin(webhook_arrival(ready, told, body, now, self._ids.new(now)), settle)
        except QueueFull:
            REFUSED.labels("queue_full").inc()
            answer(_DIRECTLY_QUEUE_FULL)
        except Exception:  # noqa: BLE001 - whatever it is, it comes again on the usual way, where it is answered and logged
            return False
        return True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        status, headers, content = await self.answer(scope, receive)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def answer(self, scope: Scope, receive: Receive) -> Answer:
        """The answer to one request."""
        name: str = scope["path"][len(PREFIX) :]
        headers: dict[bytes, bytes] = dict(scope["headers"])
        body = await _body(receive, headers.get(b"content-length", b""), self._most_bytes)
        if body is None:
            REFUSED.labels("too_large").inc()
            return _TOO_LARGE
        try:
            outcome = await self._deliver(name, headers, body, scope.get("client"))
        except QueueFull:
            REFUSED.labels("queue_full").inc()
            return _QUEUE_FULL
        except NotDurable:
            REFUSED.labels("unavailable").inc()
            return _UNAVAILABLE
        return outcome if isinstance(outcome, tuple) else _accepted(outcome)

    async def _deliver(
        self, name: str, headers: Mapping[bytes, bytes], body: bytes, client: tuple[str, int] | None
    ) -> Outcome | Answer:
        now = self._clock()
        ready = await self._book.find(name)
        verification = self._verify(ready, headers, body, now, client)
        if verification is not Verification.VALID and await self._book.look_again():
            # A secret that was rotated, or a source that was made, a moment ago by another process.
            ready = await self._book.find(name)
            verification = self._verify(ready, headers, body, now, client)
        if ready is None or verification is not Verification.VALID:
            return _refused(ready, verification)
        # Only now: the content type that a source takes would tell what it is.
        if not _takes(ready, headers):
            REFUSED.labels("content_type").inc()
            raise of_status(415, detail=f"{ready.vendor.title} sends {', '.join(sorted(ready.vendor.content_types))}.")
        crashpoint("ingest.after_verify")
        return await self._intake.submit(webhook_arrival(ready, headers, body, now, self._ids.new(now)))

    def _verify(
        self,
        ready: ReadySource | None,
        headers: Mapping[bytes, bytes],
        body: bytes,
        now: datetime,
        client: tuple[str, int] | None,
    ) -> Verification:
        found = self._signed(ready, headers, body, now)
        if found is Verification.VALID and ready is not None and ready.source.networks:
            return found if ready.source.admits(None if client is None else client[0]) else Verification.NETWORK
        return found

    def _signed(
        self, ready: ReadySource | None, headers: Mapping[bytes, bytes], body: bytes, now: datetime
    ) -> Verification:
        if ready is None:
            self._decoy(headers, body, now)
            return Verification.WRONG
        return ready.check(headers, body, now)


def _refused(ready: ReadySource | None, verification: Verification) -> Answer:
    REFUSED.labels("unknown_source" if ready is None else verification.value).inc()
    return _UNAUTHENTICATED


def _takes(ready: ReadySource, headers: Mapping[bytes, bytes]) -> bool:
    """Whether the vendor sends what the content type says."""
    media_type = _media_type(headers.get(b"content-type", b""))
    return media_type in ready.vendor.content_types or ready.vendor.takes(media_type)


@lru_cache
def _media_type(content_type: bytes) -> str:
    return content_type.decode("latin-1").partition(";")[0].strip().lower()


class WebhooksFirst(FastAPI):
    """An app that lets deliveries in before everything that other requests pass through.

    The framework's layers, the security headers one by one, exit stacks and the like take as long as all of a
    delivery's own work. So the door has its own limit and its own ready-made headers; what nobody caught becomes a
    problem as everywhere.
    """

    door: WebhookDoor

    @property
    def direct(self) -> WebhookDoor:
        """What may be answered without being asked through ASGI (see `libs.events.direct_protocol`)."""
        return self.door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["method"] == "POST":
            path: str = scope["path"]
            if path.startswith(PREFIX):
                slash = path.find("/", len(PREFIX))
                await self._let_in(scope if slash < 0 else _with_token(scope, slash), receive, send)
                return
        await super().__call__(scope, receive, send)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            status, headers, content = await self.door.answer(scope, receive)
        except Exception as error:  # noqa: BLE001 - whatever it is, the last resort answers and logs it
            await LastResort(_failing(error), _rendered)(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})


def _failing(error: Exception) -> ASGIApp:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise error

    return app


def _with_token(scope: Scope, slash: int) -> Scope:
    """The request with the token at the end of its path among the headers, and nowhere that is logged."""
    path: str = scope["path"]
    token = (PATH_TOKEN.encode(), path[slash + 1 :].encode("latin-1", "replace"))
    bare = path[:slash]
    return {**scope, "path": bare, "raw_path": bare.encode(), "headers": [*scope["headers"], token]}


class WebhookRoute(StrictRoute):
    """The door as a route, which documents it and refuses other methods."""

    def __init__(self, door: WebhookDoor) -> None:
        async def deliver() -> None:
            """Take one delivery. It is durable when the answer comes.

            An authentic delivery that cannot be understood is kept, quarantined, and answered `202` too.
            """

        super().__init__(
            PREFIX + "{source}",
            deliver,
            methods=["POST"],
            status_code=202,
            summary="Deliver a vendor's webhook",
            tags=["webhooks"],
            openapi_extra=_OPENAPI,
        )
        self.app = door


async def probe(_request: Request) -> Response:
    """What vendors ask before they post: whether anybody is there. The same for every name, known or not."""
    return JSONResponse({"detail": "Deliveries are posted here."})


async def _body(receive: Receive, announced: bytes, most: int) -> bytes | None:
    """The body; None as soon as it is certain to have more than `most` bytes."""
    if announced and announced.isdigit() and (len(announced) > _MOST_DIGITS or int(announced) > most):
        return None
    message = await receive()
    size = 0
    chunks: list[bytes] = []
    while True:
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > most:
            return None
        if not message.get("more_body", False):
            return b"".join((*chunks, chunk)) if chunks else chunk
        chunks.append(chunk)
        message = await receive()


def _accepted(outcome: Outcome) -> Answer:
    content = _told(outcome)
    return 202, [*_ACCEPTED_HEADERS, (b"content-length", b"%d" % len(content))], content


def _told(outcome: Outcome) -> bytes:
    # To a vendor, what is of no effect was taken like anything else; our own list of deliveries says more.
    status = Status.ACCEPTED if outcome.status is Status.IGNORED else outcome.status
    # Ids and one of four words: nothing of it needs an encoder.
    events = ",".join([f'"{event}"' for event in outcome.event_ids])
    return f'{{"delivery_id":"{outcome.delivery_id}","status":"{status.value}","event_ids":[{events}]}}'.encode()


def _rendered(_request: Request, problem: Problem) -> Response:
    response = problem.response()
    response.raw_headers.extend(_SECURITY_HEADERS)
    return response


def _ready_made(problem: Problem) -> Answer:
    response = problem.response()
    return response.status_code, [*response.raw_headers, *_SECURITY_HEADERS], bytes(response.body)


def _directly(answer: Answer) -> DirectAnswer:
    status, headers, content = answer
    return status, rendered(headers), content


_SECURITY_HEADERS: Final = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
# Of those only what means something to a program that posts: each header is written anew with every answer.
_ACCEPTED_HEADERS: Final = [
    (b"content-type", b"application/json"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
]
_UNAUTHENTICATED: Final = _ready_made(
    of_status(
        401,
        detail="There is no such source, the signature is missing, wrong or stale, or the address is not the vendor's.",
        headers={"WWW-Authenticate": 'Signature realm="otklik"'},
    )
)
_TOO_LARGE: Final = _ready_made(
    of_status(413, detail="The delivery is larger than deliveries may be.", headers={"Connection": "close"})
)
_QUEUE_FULL: Final = _ready_made(
    of_status(429, detail="More deliveries are waiting than may wait.", headers={"Retry-After": "1"})
)
_UNAVAILABLE: Final = _ready_made(unavailable())

# The same as they go straight to the connection.
_ACCEPTED_LINES: Final = rendered(_ACCEPTED_HEADERS) + b"content-length: "
_DIRECTLY_UNAUTHENTICATED: Final = _directly(_UNAUTHENTICATED)
_DIRECTLY_QUEUE_FULL: Final = _directly(_QUEUE_FULL)
_DIRECTLY_UNAVAILABLE: Final = _directly(_UNAVAILABLE)

_PROBLEM: Final[dict[str, Any]] = {MEDIA_TYPE: {"schema": SCHEMA}}
_OPENAPI: Final[dict[str, Any]] = {
    "security": [],
    "parameters": [
        {
            "name": "source",
            "in": "path",
            "required": True,
            "description": "The source's name. The sender is known by its vendor's signature, not by a key.",
            "schema": {"type": "string"},
        }
    ],
    "requestBody": {
        "required": True,
        "description": "What the vendor sends, signed over its raw bytes.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    },
    "responses": {
        "202": {
            "description": "Durable: accepted, known already, or kept for somebody to look at",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["delivery_id", "status", "event_ids"],
                        "properties": {
                            "delivery_id": {"type": "string", "format": "uuid"},
                            "status": {"enum": ["accepted", "duplicate", "quarantined"]},
                            "event_ids": {"type": "array", "items": {"type": "string", "format": "uuid"}},
                        },
                    }
                }
            },
        },
        "401": {
            "description": "No such source, a missing, wrong or stale signature, or an address of others",
            "content": _PROBLEM,
        },
        "413": {"description": "Too large", "content": _PROBLEM},
        "415": {"description": "Authentic, but not of the vendor's content type", "content": _PROBLEM},
        "429": {"description": "Too many at once; see Retry-After", "content": _PROBLEM},
        "503": {"description": "Nothing can be made durable; see Retry-After", "content": _PROBLEM},
    },
}
