"""A mail server that takes everything at once and keeps nothing but the counts.

python -m bench.floors.smtp_sink PORT

It answers PIPELINING, and two verbs of its own: XBEGIN forgets what was counted, XSEEN says it as one line of JSON.
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


class Line(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.in_content = False
        self.searched = 0
        self.recipient = b""

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
        seen.mail(self.recipient, self.buffer, end)
        del self.buffer[: end + len(END)]
        self.in_content = False
        answers.append(b"250 2.0.0 taken\r\n")
        return bool(self.buffer)

    def _take_command(self, answers: list[bytes]) -> bool:
        end = self.buffer.find(b"\r\n")
        if end < 0:
            return False
        line = bytes(self.buffer[:end])
        del self.buffer[: end + 2]
        verb = line[:4].upper()
        if verb == b"DATA":
            self.in_content, self.searched = True, 0
            answers.append(b"354 go ahead\r\n")
        elif line == b"XSEEN":
            answers.append(seen.line())
        elif line == b"XBEGIN":
            seen.__init__()  # type: ignore[misc]
            answers.append(b"250 2.0.0 ok\r\n")
        elif verb == b"QUIT":
            self.transport.write(b"".join(answers) + b"221 2.0.0 bye\r\n")
            self.transport.close()
            return False
        else:
            if verb == b"RCPT":
                self.recipient = line[8:].strip()
            answers.append(ANSWERS.get(verb, b"500 5.5.2 what?\r\n"))
        return bool(self.buffer)


async def serve(port: int) -> None:
    """Until killed."""
    server = await asyncio.get_running_loop().create_server(Line, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
