"""A TCP proxy between two parts, whose link can be made slow, late, dead or broken while it is in use.

    open      bytes pass
    late      bytes pass after `seconds`
    slow      bytes pass at `bytes_per_second`
    held      bytes wait until the link is open again, as when a network comes back: nothing is lost, all is late
    dropped   connections are accepted, bytes are swallowed (half-open); whatever saw this is cut when it is over
    refused   connections end as soon as they begin

`cut` breaks what is connected now. `at_commit` waits for the bytes of a PostgreSQL client's COMMIT.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

Mode = Literal["open", "late", "slow", "held", "dropped", "refused"]
AtCommit = Literal["cut_before", "cut_after", "held"]
"""The COMMIT never arrives; it arrives and its answer does not; it arrives late."""

LOOPBACK: Final = "127.0.0.1"
_CHUNK: Final = 64 * 1024
_COMMITS: Final = (b"COMMIT;\x00", b"\x00at_once_")
"""The statement, and the beginning of the name of one that commits by itself (see `libs.events.statements`)."""
_CONNECT_S: Final = 5.0
_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)


@dataclass(slots=True, eq=False)
class _Line:
    """One client's connection with its counterpart."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    damaged: bool = False
    """Bytes of it were swallowed: it can never work again."""
    no_answers: bool = False
    """From now on nothing comes back to the client."""

    def cut(self) -> None:
        for writer in (self.client, self.server):
            writer.transport.abort()


@dataclass(slots=True, eq=False)
class _AtCommit:
    how: AtCommit
    seconds: float
    left: int
    struck: asyncio.Event = field(default_factory=asyncio.Event)


class Link:
    """Listens on a port of its own and passes on to `upstream`."""

    def __init__(self, name: str, *, port: int, upstream: int) -> None:
        self.name: Final = name
        self.port: Final = port
        self._upstream = upstream
        self._mode: Mode = "open"
        self._seconds = 0.0
        self._bytes_per_second = 0.0
        self._passing = asyncio.Event()
        self._passing.set()
        self._lines: set[_Line] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._at_commit: _AtCommit | None = None
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, self.port)

    async def stop(self) -> None:
        """Cut everything and listen no more."""
        if self._server is not None:
            self._server.close()
        self.heal()
        self.cut()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    @property
    def connections(self) -> int:
        """How many are connected through it."""
        return len(self._lines)

    def become(self, mode: Mode, *, seconds: float = 0.0, bytes_per_second: float = 0.0) -> None:
        """Treat all bytes in this way from now on."""
        self._mode, self._seconds, self._bytes_per_second = mode, seconds, bytes_per_second
        if mode == "held":
            self._passing.clear()
        if mode == "refused":
            self.cut()

    def heal(self) -> None:
        """Let bytes pass again; what lost some of them is cut, as the kernel of a peer that came back would do."""
        self._mode = "open"
        self._at_commit = None
        self._passing.set()
        for line in [line for line in self._lines if line.damaged or line.no_answers]:
            line.cut()

    def cut(self) -> int:
        """Reset every connection; how many there were."""
        lines = list(self._lines)
        for line in lines:
            line.cut()
        return len(lines)

    def watch_for_commit(self, how: AtCommit, *, seconds: float = 0.0, times: int = 1) -> asyncio.Event:
        """Break the next transactions that commit through this link; the event says that all were."""
        self._at_commit = _AtCommit(how, seconds, times)
        return self._at_commit.struck

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("served outside of a task")
        self._serving.add(task)
        try:
            await self._pass_on(reader, writer)
        except asyncio.CancelledError:
            if self._server is not None and self._server.is_serving():
                raise
        finally:
            self._serving.discard(task)
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _reset_at_close(writer)
        if self._mode == "refused":
            return
        await self._passing.wait()
        try:
            async with asyncio.timeout(_CONNECT_S):
                far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self._upstream)
        except (OSError, TimeoutError):
            return
        line = _Line(writer, far_writer)
        self._lines.add(line)
        try:
            # When one direction ends, so does the other: none of our protocols half-closes.
            there = asyncio.create_task(self._pump(reader, far_writer, line, to_server=True))
            back = asyncio.create_task(self._pump(far_reader, writer, line, to_server=False))
            _, pending = await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
        finally:
            self._lines.discard(line)
            far_writer.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: _Line, *, to_server: bool
    ) -> None:
        with _ended():
            while content := await reader.read(_CHUNK):
                if to_server and self._at_commit is not None and any(each in content for each in _COMMITS):
                    content = await self._commit_seen(line, content)
                await self._passing.wait()
                if self._mode == "dropped" or line.damaged:
                    line.damaged = True
                    continue
                if self._mode == "late":
                    await asyncio.sleep(self._seconds)
                elif self._mode == "slow":
                    await asyncio.sleep(len(content) / self._bytes_per_second)
                if line.no_answers and not to_server:
                    continue
                writer.write(content)
                await writer.drain()

    async def _commit_seen(self, line: _Line, content: bytes) -> bytes:
        """Do to this COMMIT what was asked for; what is to be passed on of it."""
        watch = self._at_commit
        if watch is None:
            return content
        watch.left -= 1
        if watch.left == 0:
            self._at_commit = None
            watch.struck.set()
        match watch.how:
            case "cut_before":
                line.cut()
                return b""
            case "cut_after":
                line.no_answers = True
                line.server.write(content)
                await line.server.drain()
                # Long enough for the server to take it: what it answers is not passed on, and then the line is cut.
                asyncio.get_running_loop().call_later(watch.seconds, line.cut)
                return b""
            case "held":
                await asyncio.sleep(watch.seconds)
                return content


@contextlib.contextmanager
def _ended() -> Iterator[None]:
    """A connection that breaks ends the pump, which is how the other half learns of it."""
    with contextlib.suppress(ConnectionError, OSError):
        yield


def _reset_at_close(writer: asyncio.StreamWriter) -> None:
    """Make an aborted connection a reset one, as when a machine dies, and not a polite end."""
    raw: socket.socket | None = writer.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
