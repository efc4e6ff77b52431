"""uvicorn's HTTP protocol without endless patience: slow senders are cut off, and so are heads without an end.

uvicorn by itself waits for ever for the rest of a head or a body. Here a request on its way has to bring a kilobyte in
each ten seconds, unless we ourselves told it to pause because its bytes are not taken that fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

_log: Final = structlog.get_logger()

LOOK_SECONDS: Final = 10.0
LEAST_BYTES: Final = 1_024
"""In each of these periods."""
MOST_HEAD_BYTES: Final = 65_536


class ImpatientProtocol(HttpToolsProtocol):
    """One connection."""

    look_seconds: float = LOOK_SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to watch."""
        super().connection_made(transport)
        self._bytes = 0
        self._head_bytes = 0
        self._in_head = True  # the first request is due from the start
        self._in_message = True
        self._looking = self.loop.call_later(self.look_seconds, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        self._looking.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes."""
        self._bytes += len(data)
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self._cut_off("head_too_large")

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_message = self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is whole."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of it is here: now it waits for us."""
        self._in_message = False
        super().on_message_complete()

    def _look(self) -> None:
        if self._in_message and self._bytes < LEAST_BYTES and not self.flow.read_paused:
            self._cut_off("too_slow")
            return
        self._bytes = 0
        self._looking = self.loop.call_later(self.look_seconds, self._look)

    def _cut_off(self, why: str) -> None:
        if not self.transport.is_closing():
            _log.info("connection.cut_off", why=why)
            self.transport.close()
