"""A kept line to a mail server: commands out in one go where the server takes them so, and their answers in order.

aiosmtplib connects, negotiates TLS and logs in; this takes its connection over after that. A library that waits for the
answer to each command costs four times the time of one exchange, and most of what sending a mail costs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiosmtplib import SMTP

_LONGEST: Final = 32_768
"""Of what a server says in a go; more than any real answer, and a bound on memory."""
_CLOSING: Final = 421
_CODE_LENGTH: Final = 3


class Answer(NamedTuple):
    """What a server said to one command."""

    code: int
    """-1 where it cannot be read."""
    message: str

    @property
    def is_positive(self) -> bool:
        """Whether the command was taken (RFC 5321, 4.2.1: 2yz is success, 3yz is "go on")."""
        return 200 <= self.code < 400  # noqa: PLR2004 - see above

    def __str__(self) -> str:
        return f"{self.code} {self.message}"


class Line(asyncio.Protocol):
    """One connection, ready for mails. Used by one mail at a time."""

    def __init__(self, smtp: SMTP, *, timeout: float) -> None:
        """Take over a connected `smtp` that waits for no answer; `timeout` in seconds bounds each exchange."""
        self.timeout: Final = timeout
        self.pipelines: Final = smtp.supports_extension("pipelining")
        self.international: Final = smtp.supports_extension("smtputf8")
        self.silence = ""
        """Why no more is to be heard, when it is so: the server said nothing in time, or the connection was lost."""
        self._smtp = smtp  # holds the connection's TLS context, and must live as long
        self._loop = asyncio.get_running_loop()
        self._transport = cast("asyncio.Transport", smtp.transport)
        self._buffer = b""
        self._answers: list[Answer] = []
        self._expected = 0
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._transport.set_protocol(self)
        if self._transport.is_closing():
            self.connection_lost(None)

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return not self.silence and not self._transport.is_closing()

    def close(self) -> None:
        """End it at once, whatever is under way."""
        self._transport.abort()
        self._hang_up("the connection was lost")

    async def quit(self) -> None:
        """Take leave of the server, and end it."""
        if self.is_open:
            await self.exchange([b"QUIT\r\n"], within=1.0)
        self.close()

    def write(self, content: bytes) -> None:
        """Send what has no answer of its own; nothing where the line is dead."""
        if self.is_open:
            self._transport.write(content)

    async def exchange(self, commands: Sequence[bytes], *, within: float | None = None) -> list[Answer]:
        """Send `commands` in one go; their answers, fewer where `silence` says why there are no more.

        After a closing answer (421), after one that cannot be read, and after silence, the line is closed.
        """
        if not self.is_open:
            self._hang_up("the connection was lost")
            return []
        # What the server says without having been asked belongs to no command.
        self._buffer = b""
        answers = self._answers = []
        self._expected = len(commands)
        waiter = self._waiter = self._loop.create_future()
        self._watch(self.timeout if within is None else within)
        self._transport.write(b"".join(commands))
        try:
            await waiter
        finally:
            self._waiter = None
        if answers and answers[-1].code in (_CLOSING, -1):
            self.close()
        return answers

    def data_received(self, data: bytes) -> None:
        """Take answers as they come."""
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        self._buffer += data
        while len(self._answers) < self._expected and (answer := self._next()) is not None:
            self._answers.append(answer)
            if answer.code in (_CLOSING, -1):
                # The server is gone, or nobody knows any more which answer belongs to what.
                self._expected = len(self._answers)
        if len(self._answers) >= self._expected:
            waiter.set_result(None)

    def eof_received(self) -> bool:
        """The server has hung up."""
        self._hang_up("the connection was lost")
        return False

    def connection_lost(self, _error: Exception | None) -> None:
        """The connection is gone."""
        self._hang_up("the connection was lost")

    def _next(self) -> Answer | None:
        """The next whole answer in the buffer."""
        said: list[str] = []
        start = 0
        while True:
            end = self._buffer.find(b"\n", start)
            if end < 0:
                return Answer(-1, "an answer without an end") if len(self._buffer) > _LONGEST else None
            line = self._buffer[start:end]
            start = end + 1
            code = line[:_CODE_LENGTH]
            if not (code.isdigit() and len(code) == _CODE_LENGTH):
                return Answer(-1, f"unreadable: {line.decode('utf-8', 'replace')}")
            said.append(line[_CODE_LENGTH + 1 :].strip(b" \t\r").decode("utf-8", "replace"))
            if line[_CODE_LENGTH : _CODE_LENGTH + 1] != b"-":
                self._buffer = self._buffer[start:]
                return Answer(int(code), "\n".join(said))

    def _watch(self, seconds: float) -> None:
        """Let the wait end in `seconds`. One timer serves many exchanges: it looks again when it comes too early."""
        self._deadline = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(self._deadline, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._look)
            return
        self._transport.abort()
        self._hang_up("no answer in time")

    def _hang_up(self, why: str) -> None:
        self.silence = self.silence or why
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
