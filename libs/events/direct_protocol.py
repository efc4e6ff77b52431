"""uvicorn's HTTP protocol with a short way for small requests that an app answers without being asked through ASGI.

A request through ASGI costs a task, a dictionary, several objects and six messages, which is as much as all the work on
a delivery that is accepted. So an app that has a `direct` is shown what is small, whole, and posted below its prefix;
what it does not take goes the usual way, as does everything else.

    head ──> is it simple, small, and is nothing else being answered? ──no──> as usual
               │ yes: its body is kept
             whole ──> direct.take(...) ──False──> as usual, with the body that was kept
                         │ True
                       answer(...), now or later
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from libs.events.http_protocol import ImpatientProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_BYTES: Final = 65_536
"""Of a body. A larger one is read as fast as it is taken, which is ASGI's business."""
_MOST_DIGITS: Final = 5

Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, Headers, bytes]
"""Status, headers (lower case; the content's length among them, whether the connection stays not) and body."""


class Direct(Protocol):
    """What an app has as `direct`."""

    prefix: bytes
    """Of the paths that it wants to see, those of POST only; there is at least one character after it."""

    def take(self, name: str, headers: Headers, body: bytes, answer: Callable[[Answer], None]) -> bool:
        """Take the request to `prefix` + `name` and call `answer` once, or return False; raises nothing."""


class _Exchange:
    """Stands for a request that is answered directly, where uvicorn looks whether one is under way."""

    __slots__ = ("disconnected", "keep_alive", "message_event", "response_complete")

    def __init__(self) -> None:
        self.disconnected = False
        self.keep_alive = True
        self.response_complete = False
        self.message_event = _NOBODY_WAITS


class _NobodyWaits:
    def set(self) -> None:
        """Wake nobody."""


_NOBODY_WAITS: Final = _NobodyWaits()


class DirectProtocol(ImpatientProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*arguments, **named)
        self._direct: Direct | None = getattr(self.config.app, "direct", None)
        self._kept: list[bytes] | None = None

    def on_headers_complete(self) -> None:
        """Keep the body of what may be taken directly."""
        if self._direct is not None and self._may_be_direct(self._direct):
            self._in_head = False
            self._kept = []
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep it, or pass it on."""
        if self._kept is None:
            super().on_body(body)
        else:
            self._kept.append(body)

    def on_message_complete(self) -> None:
        """Have it taken, or go the usual way from the end of the head on."""
        kept, self._kept = self._kept, None
        if kept is not None and not self._taken(kept[0] if len(kept) == 1 else b"".join(kept)):
            super().on_headers_complete()
            for part in kept:
                super().on_body(part)
            kept = None
        if kept is None:
            super().on_message_complete()
        else:
            self._in_message = False

    def _may_be_direct(self, direct: Direct) -> bool:
        url = self.url
        if not url.startswith(direct.prefix) or b"/" in (rest := url[len(direct.prefix) :]):
            return False
        if not rest.isalnum() and (b"%" in rest or b"?" in rest or not rest):
            return False
        if (
            self.parser.get_method() != b"POST"
            or self.parser.get_http_version() != "1.1"
            or self.parser.should_upgrade()
            or not self.parser.should_keep_alive()
            or self.expect_100_continue
            or self.limit_concurrency is not None
            or self.root_path
            or self.flow.write_paused
            or self._is_answering()
        ):
            return False
        length = b""
        for name, value in self.headers:
            if name == b"content-length":
                length = value
            elif name == b"transfer-encoding":
                return False
        return length.isdigit() and len(length) <= _MOST_DIGITS and int(length) <= MOST_BYTES

    def _is_answering(self) -> bool:
        cycle: object = self.cycle  # none before the first request
        return cycle is not None and not self.cycle.response_complete

    def _taken(self, body: bytes) -> bool:
        direct = self._direct
        if direct is None:
            return False
        exchange = _Exchange()

        def answer(answered: Answer) -> None:
            exchange.response_complete = True
            if not exchange.disconnected and not self.transport.is_closing():
                self._write(answered, keep_alive=exchange.keep_alive)

        before, self.cycle = self.cycle, exchange  # type: ignore[assignment]  # all that is asked of it while it stands there
        name = self.url[len(direct.prefix) :].decode("ascii", "replace")
        taken = direct.take(name, self.headers, body, answer)
        if not taken:
            self.cycle = before
        return taken

    def _write(self, answered: Answer, *, keep_alive: bool) -> None:
        status, headers, body = answered
        parts = [STATUS_LINE[status]]
        for name, value in self.server_state.default_headers:
            parts += (name, b": ", value, b"\r\n")
        for name, value in headers:
            parts += (name, b": ", value, b"\r\n")
        if not keep_alive:
            parts.append(b"connection: close\r\n")
        parts += (b"\r\n", body)
        self.transport.write(b"".join(parts))
        if not keep_alive:
            self.transport.close()
        self.on_response_complete()
