"""What every request meets first: the limit of its body, characters that nothing can hold, and the last resort.

Plain ASGI, because one `BaseHTTPMiddleware` costs nine tenths of the speed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request

from libs.events.errors import is_unavailable
from libs.webapi.problem import Problem, of_status, unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from libs.webapi.problem import Render

_log: Final = structlog.get_logger(__name__)

SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}


class SecurityHeaders:
    """Adds the security headers to every answer that does not set them itself."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class LastResort:
    """Turns what nobody caught into a problem: 503 where the database is away, else 500, logged, without a trace."""

    def __init__(self, app: ASGIApp, render: Render) -> None:
        self._app = app
        self._render = render

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_noting(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        except Problem as refused:  # of the limits below, which stand outside the framework
            if started:
                raise
            await self._render(Request(scope), refused)(scope, receive, send)
        except ClientDisconnect:
            _log.info("request.abandoned", method=scope["method"], path=scope["path"])  # nobody is left to answer
        except Exception as error:  # the boundary: everything below is answered here, nothing is swallowed unlogged
            away = is_unavailable(error)
            if away:
                _log.warning("request.unavailable", method=scope["method"], path=scope["path"], error=repr(error))
            else:
                _log.exception("request.failed", method=scope["method"], path=scope["path"])
            if started:
                raise  # half an answer is out: the server must cut the connection
            problem = unavailable() if away else of_status(500)
            await self._render(Request(scope), problem)(scope, receive, send)


class BodyLimit:
    """Refuses bodies beyond a limit: by their announced length at once, else as soon as the bytes are too many.

    `limits` gives paths (by prefix, longest first) a limit of their own; `*` in a prefix stands for one segment of the
    path, and `$` at its end for the path's end. It also refuses addresses with a NUL
    character, which no database column can hold.
    """

    def __init__(self, app: ASGIApp, default: int, limits: Mapping[str, int]) -> None:
        self._app = app
        self._default = default
        longest_first = sorted(limits.items(), key=lambda item: -len(item[0]))
        self._limits = [(_pattern(prefix), limit) for prefix, limit in longest_first]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            raise of_status(400, detail="The address holds a NUL character.")
        limit = self._limit_of(scope["path"])
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and (len(announced) > 18 or int(announced) > limit):  # noqa: PLR2004
            raise _too_large(limit)
        received = 0

        async def receive_counting() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > limit:
                    raise _too_large(limit)
            return message

        await self._app(scope, receive_counting, send)

    def _limit_of(self, path: str) -> int:
        return next((limit for pattern, limit in self._limits if pattern.match(path)), self._default)


def _pattern(prefix: str) -> re.Pattern[str]:
    return re.compile(re.escape(prefix).replace(r"\*", "[^/]+").replace(r"\$", r"\Z"))


def _too_large(limit: int) -> Problem:
    return of_status(413, detail=f"At most {limit} bytes.", headers={"Connection": "close"})
