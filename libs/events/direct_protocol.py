"""uvicorn's HTTP protocol with a short way for small requests that an app answers without being asked through ASGI.

A request through ASGI costs a task, a dictionary, several objects and six messages, which is as much as all the work on
a delivery that is accepted. So an app that has a `direct` is shown what is small, whole, and posted below its prefix;
what it does not take goes the usual way, as does everything else.

    bytes ──> one whole request of the plainest form? ──no──> the parser
                │ yes                                           │
                │                              head ──> is it simple, small, and is nothing else being answered?
                │                                               │ yes: its body is kept       └─no──> as usual
                │                                             whole
                └──────────────> direct.take(...) <─────────────┘
                                   │ True                └─False──> as usual
                                 answer(...), now or later

The plainest form is a narrow part of what the parser would read in the same way (a test holds them together): a request
that is all the bytes there are, whose head has no byte that could be read in two ways.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from libs.events.http_protocol import ImpatientProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_BYTES: Final = 65_536
"""Of a body. A larger one is read as fast as it is taken, which is ASGI's business."""
_MOST_DIGITS: Final = 5

# Words of printable ASCII with one space between them: nothing that one reader strips or refuses and another does not.
_PLAIN: Final = (
    rb"([A-Za-z0-9._~-]++) HTTP/1\.1\r\n"
    rb"((?:[A-Za-z0-9-]++: [!-~]++(?: [!-~]++)*+\r\n)++)\r\n"
)
_LINES: Final = re.compile(rb"([^:]++): ([^\r]++)\r\n")
_NOT_PLAIN: Final = frozenset({b"transfer-encoding", b"upgrade", b"expect", b"connection"})

Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, bytes, bytes]
"""Status, lines of headers (`rendered`; the content's length among them, whether the connection stays not) and body."""


def rendered(headers: Headers) -> bytes:
    """Headers as they are written."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


class Direct(Protocol):
    """What an app has as `direct`."""

    prefix: bytes
    """Of the paths that it wants to see, those of POST only; there is at least one character after it."""

    def take(self, name: str, headers: Headers, body: bytes, answer: Callable[[Answer], None]) -> bool:
        """Take the request to `prefix` + `name` and call `answer` once, or return False; raises nothing."""


class _Exchange:
    """Stands for the request that is answered directly, where uvicorn looks whether one is under way."""

    __slots__ = ("disconnected", "keep_alive", "message_event", "response_complete")

    def __init__(self) -> None:
        self.disconnected = False
        self.keep_alive = True
        self.response_complete = True
        self.message_event = _NOBODY_WAITS


class _NobodyWaits:
    def set(self) -> None:
        """Wake nobody."""


_NOBODY_WAITS: Final = _NobodyWaits()


class DirectProtocol(ImpatientProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*arguments, **named)
        direct: Direct | None = getattr(self.config.app, "direct", None)
        self._direct = None if self.limit_concurrency is not None or self.root_path else direct
        self._exchange = _Exchange()
        self._kept: list[bytes] | None = None
        self._between = True
        """Whether the parser has seen nothing of a request that is not whole."""
        self._shown = False
        """Whether what the parser is given was shown already, and not taken."""
        self._default: Headers | None = None
        self._default_lines = b""
        self._unused_looks = 0

    def data_received(self, data: bytes) -> None:
        """Take a whole request of the plainest form; all else is the parser's."""
        direct = self._direct
        if direct is not None and self._between and not self.flow.write_paused and not self._is_answering():
            plain = plain_request(direct.prefix, data)
            if plain is not None:
                self._unset_keepalive_if_required()
                if self._taken(direct, *plain):
                    self._bytes += len(data)
                    self._in_head = self._in_message = False
                    return
                self._shown = True
        super().data_received(data)
        self._shown = False

    def on_message_begin(self) -> None:
        """From here on until it is whole all bytes are the parser's."""
        self._between = False
        super().on_message_begin()

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
        self._between = True
        kept, self._kept = self._kept, None
        if kept is not None and not self._kept_taken(kept):
            super().on_headers_complete()
            for part in kept:
                super().on_body(part)
            kept = None
        if kept is None:
            super().on_message_complete()
        else:
            self._in_message = False

    def _kept_taken(self, kept: list[bytes]) -> bool:
        direct = self._direct
        if direct is None:
            return False
        name = self.url[len(direct.prefix) :].decode("ascii", "replace")
        return self._taken(direct, name, self.headers, b"".join(kept))

    def _may_be_direct(self, direct: Direct) -> bool:
        url = self.url
        if self._shown or not url.startswith(direct.prefix) or b"/" in (rest := url[len(direct.prefix) :]):
            return False
        if not rest.isalnum() and (b"%" in rest or b"?" in rest or not rest):
            return False
        if (
            self.parser.get_method() != b"POST"
            or self.parser.get_http_version() != "1.1"
            or self.parser.should_upgrade()
            or not self.parser.should_keep_alive()
            or self.expect_100_continue
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

    def _taken(self, direct: Direct, name: str, headers: Headers, body: bytes) -> bool:
        exchange = self._exchange
        exchange.response_complete, exchange.keep_alive = False, True
        before, self.cycle = self.cycle, exchange  # type: ignore[assignment]  # all that is asked of it while it stands there
        taken = direct.take(name, headers, body, self._answer)
        if not taken:
            self.cycle = before
            exchange.response_complete = True
        return taken

    def _answer(self, answered: Answer) -> None:
        exchange = self._exchange
        exchange.response_complete = True
        if exchange.disconnected or self.transport.is_closing():
            return
        status, lines, body = answered
        default = self.server_state.default_headers
        if default is not self._default:  # it says the time, and is another one every second
            self._default, self._default_lines = default, rendered(default)
        ending = b"\r\n" if exchange.keep_alive else b"connection: close\r\n\r\n"
        self.transport.write(b"".join((STATUS_LINE[status], self._default_lines, lines, ending, body)))
        if exchange.keep_alive and not self.pipeline and not self.flow.read_paused:
            self.server_state.total_requests += 1  # and no timer for each: see `_look`
            return
        if not exchange.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _look(self) -> None:
        """As ever; and a connection that was answered directly and is not used any more is closed here."""
        unused = not (self._bytes or self._in_message or self._is_answering() or self.timeout_keep_alive_task)
        self._unused_looks = self._unused_looks + 1 if unused else 0
        if self._unused_looks * self.look_seconds > self.timeout_keep_alive:
            self.transport.close()
        else:
            super()._look()


def plain_request(prefix: bytes, content: bytes) -> tuple[str, Headers, bytes] | None:
    """Name after `prefix`, headers and body, if `content` is one whole request of the plainest form."""
    match = _pattern(prefix).match(content)
    if match is None:
        return None
    headers: Headers = []
    length = -1
    for written, value in _LINES.findall(match[2]):
        name = written.lower()
        if name == b"content-length":
            if length >= 0 or not value.isdigit() or len(value) > _MOST_DIGITS:
                return None
            length = int(value)
        elif name in _NOT_PLAIN and (name != b"connection" or value.lower() != b"keep-alive"):
            return None
        headers.append((name, value))
    body = content[match.end() :]
    if len(body) != length or length > MOST_BYTES:
        return None
    return match[1].decode(), headers, body


@lru_cache
def _pattern(prefix: bytes) -> re.Pattern[bytes]:
    return re.compile(b"POST " + re.escape(prefix) + _PLAIN)
