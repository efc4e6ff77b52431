"""The receiving mail server for very many mails: the same tricks and the same count, at a tenth of the cost.

It takes commands in one go (RFC 2920), and of a mail it reads no more than its Message-ID.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, cast

from faults.mailsink import AFTER_DOT, AT_RECIPIENT, Mail, MailSink
from faults.proxy import LOOPBACK

if TYPE_CHECKING:
    from faults.mailsink import Trick

_EXTENSIONS: Final = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
_ANSWERS: Final = {
    b"EHLO": _EXTENSIONS,
    b"HELO": b"250 sink\r\n",
    b"MAIL": b"250 2.1.0 ok\r\n",
    b"RSET": b"250 2.0.0 ok\r\n",
    b"NOOP": b"250 2.0.0 ok\r\n",
}
_END: Final = b"\r\n.\r\n"
_ID: Final = b"Message-ID: <"
_FINAL: Final = frozenset({"550", "552", "554"})


class QuickSink(MailSink):
    """A mail sink by a protocol of its own."""

    async def listen(self) -> asyncio.Server:
        """Take mail on the port."""
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: _Line(self), LOOPBACK, self.smtp_port)


class _Line(asyncio.Protocol):
    """One connection."""

    def __init__(self, sink: QuickSink) -> None:
        self._sink = sink
        self._buffer = bytearray()
        self._searched = 0
        self._in_content = False
        self._recipient = ""
        self._silent = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self._transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        """Answer whatever is whole."""
        self._buffer += data
        answers = b""
        while not self._silent and not self._transport.is_closing():
            answer = self._content() if self._in_content else self._command()
            if answer is None:
                break
            answers += answer
        if answers and not self._transport.is_closing():
            self._transport.write(answers)

    def _command(self) -> bytes | None:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        verb = line[:4].upper()
        if verb == b"QUIT":
            self._transport.write(b"221 2.0.0 bye\r\n")
            self._transport.close()
            return b""
        if verb == b"RCPT":
            return self._take_recipient(line)
        if verb == b"DATA":
            if not self._recipient:
                return b"503 5.5.1 nobody to send it to\r\n"
            self._in_content, self._searched = True, 0
            return b"354 go ahead\r\n"
        return _ANSWERS.get(verb, b"500 5.5.2 what?\r\n")

    def _take_recipient(self, line: bytes) -> bytes:
        self._recipient = line[8:].partition(b">")[0].lstrip(b"<").decode()
        trick = self._sink.next_trick(AT_RECIPIENT)
        if trick is None:
            return b"250 2.1.5 ok\r\n"
        if trick in _FINAL:
            self._sink.refused.append(self._recipient)
        self._recipient = ""
        return f"{AT_RECIPIENT[trick]}\r\n".encode()

    def _content(self) -> bytes | None:
        end = self._buffer.find(_END, max(0, self._searched - len(_END)))
        if end < 0:
            self._searched = len(self._buffer)
            return None
        start = self._buffer.find(_ID, 0, end) + len(_ID)
        name = self._buffer[start : self._buffer.index(b"@", start)].decode()
        del self._buffer[: end + len(_END)]
        self._in_content = False
        mail = Mail(name, self._recipient, None, None, None, None, time.monotonic())
        self._recipient = ""
        return self._accept(mail, self._sink.next_trick())

    def _accept(self, mail: Mail, trick: Trick | None) -> bytes:
        if trick in AFTER_DOT:
            if trick in _FINAL:
                self._sink.refused.append(mail.recipient)
            return f"{AFTER_DOT[trick]}\r\n".encode()
        if trick != "silent_unkept":
            self._sink.keep(mail)
        if trick == "cut_kept":
            self._transport.abort()
        self._silent = trick in ("silent_kept", "silent_unkept")
        return b"" if self._silent or trick == "cut_kept" else b"250 2.0.0 kept\r\n"
