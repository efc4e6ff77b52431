"""A mail server that takes everything at once and keeps nothing but the counts.

python -m bench.floors.smtp_sink PORT

It answers PIPELINING, and four verbs of its own: XBEGIN forgets what was counted, XSEEN says it as one line of JSON,
XNAMES names all Message-IDs without their domain, XTROUBLE n has one of n mails go wrong, by turns: not now (451) at
the recipient, not now after the last dot, the line cut after DATA, the mail taken and the line cut without an answer,
and a second of silence first.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Final, cast

import uvloop

EXTENSIONS: Final = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 10485760\r\n250 SMTPUTF8\r\n"
ANSWERS: Final = {
    b"EHLO": EXTENSIONS,
    b"HELO": b"250 sink\r\n",
    b"MAIL": b"250 2.1.0 ok\r\n",
    b"RCPT": b"250 2.1.5 ok\r\n",
    b"RSET": b"250 2.0.0 ok\r\n",
    b"NOOP": b"250 2.0.0 ok\r\n",
}
END: Final = b"\r\n.\r\n"
ID: Final = b"Message-ID: <"


class Seen:
    """What arrived since XBEGIN."""

    def __init__(self) -> None:
        self.mails = 0
        self.ids: dict[bytes, int] = {}
        self.recipients: set[bytes] = set()
        self.first = self.last = 0.0

    def mail(self, recipient: bytes, content: bytearray, end: int) -> None:
        """One more."""
        self.last = time.perf_counter()
        if self.mails == 0:
            self.first = self.last
        self.mails += 1
        self.recipients.add(recipient)
        start = content.find(ID, 0, end) + len(ID)
        name = bytes(content[start : content.index(b"@", start)])
        self.ids[name] = self.ids.get(name, 0) + 1

    def line(self) -> bytes:
        """All of it."""
        seen = {
            "mails": self.mails,
            "distinct": len(self.ids),
            "recipients": len(self.recipients),
            "seconds": self.last - self.first,
            "doubled": [name.decode() for name, times in self.ids.items() if times > 1][:1000],
        }
        return b"250 %b\r\n" % json.dumps(seen).encode()


seen = Seen()
TROUBLES: Final = ("later at the recipient", "later after the dot", "cut after DATA", "taken and cut", "slow")


class Trouble:
    """What goes wrong, and when next."""

    def __init__(self) -> None:
        self.one_of = 0
        self.mails = 0

    def next(self) -> str | None:
        """What is to go wrong with the mail that begins now."""
        self.mails += 1
        if self.one_of == 0 or self.mails % self.one_of:
            return None
        return TROUBLES[self.mails // self.one_of % len(TROUBLES)]


trouble = Trouble()


class Line(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.in_content = False
        self.searched = 0
        self.recipient = b""
        self.trouble: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self.transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        """Answer whatever is whole, in one write."""
        self.buffer += data
        answers: list[bytes] = []
        while self._take_content(answers) if self.in_content else self._take_command(answers):
            pass
        if answers:
            self.transport.write(b"".join(answers))

    def _take_content(self, answers: list[bytes]) -> bool:
        end = self.buffer.find(END, max(0, self.searched - len(END)))
        if end < 0:
            self.searched = len(self.buffer)
            return False
        if self.trouble != "later after the dot":
            seen.mail(self.recipient, self.buffer, end)
        del self.buffer[: end + len(END)]
        self.in_content = False
        if self.trouble == "taken and cut":
            self.transport.abort()
            return False
        answers.append(b"451 4.3.0 later\r\n" if self.trouble == "later after the dot" else b"250 2.0.0 taken\r\n")
        if self.trouble == "slow":
            waiting = b"".join(answers)
            answers.clear()
            asyncio.get_running_loop().call_later(1.0, self.transport.write, waiting)
        return bool(self.buffer)

    def _take_command(self, answers: list[bytes]) -> bool:
        end = self.buffer.find(b"\r\n")
        if end < 0:
            return False
        line = bytes(self.buffer[:end])
        del self.buffer[: end + 2]
        verb = line[:4].upper()
        if verb == b"QUIT":
            self.transport.write(b"".join(answers) + b"221 2.0.0 bye\r\n")
            self.transport.close()
            return False
        if verb == b"DATA" and self.trouble == "cut after DATA" and self.recipient:
            self.transport.abort()
            return False
        answers.append(self._answer(verb, line))
        return bool(self.buffer)

    def _answer(self, verb: bytes, line: bytes) -> bytes:
        if verb == b"DATA":
            if not self.recipient:
                return b"503 5.5.1 nobody to send it to\r\n"
            self.in_content, self.searched = True, 0
            return b"354 go ahead\r\n"
        if verb == b"RCPT":
            self.recipient = line[8:].strip()
            self.trouble = trouble.next()
            if self.trouble == "later at the recipient":
                self.recipient = b""
                return b"451 4.3.0 later\r\n"
        return ANSWERS.get(verb) or _own(line)


def _own(line: bytes) -> bytes:
    """The answer to one of our own verbs."""
    if line == b"XSEEN":
        return seen.line()
    if line == b"XNAMES":
        return b"250 %b\r\n" % b" ".join(seen.ids)
    if line == b"XBEGIN":
        seen.__init__()  # type: ignore[misc]
        return b"250 2.0.0 ok\r\n"
    if line.startswith(b"XTROUBLE "):
        trouble.one_of = int(line[9:])
        return b"250 2.0.0 ok\r\n"
    return b"500 5.5.2 what?\r\n"


async def serve(port: int) -> None:
    """Until killed."""
    server = await asyncio.get_running_loop().create_server(Line, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
