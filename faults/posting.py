"""One HTTP request over a connection of its own: all that a sender of webhooks needs, at a tenth of a client's cost.

The load must not take the processor from what it tests, and a pool of connections would hide which of them broke.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping


class NoAnswer(Exception):
    """Nobody was there, the line broke, or it took too long: the sender knows nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - JSON
        """The body's content."""
        return json.loads(self.body)


async def post(url: str, body: bytes, headers: Mapping[str, str], *, within_s: float) -> Answer:
    """Post a body; raises NoAnswer unless the answer came whole and in time."""
    parts = urlsplit(url)
    head = {"host": parts.netloc, "content-length": str(len(body)), "connection": "close", **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                writer.write(f"POST {parts.path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
                return await _answer(reader)
            finally:
                writer.transport.abort()
    except (OSError, EOFError, TimeoutError) as error:
        raise NoAnswer(type(error).__name__) from error


async def _answer(reader: asyncio.StreamReader) -> Answer:
    head = await reader.readuntil(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    length = next(int(line.partition(":")[2]) for line in lines if line.lower().startswith("content-length:"))
    return Answer(int(status_line.split(" ", 2)[1]), await reader.readexactly(length))
