"""A mail server that takes every mail, forgets it and counts: `python -m bench.mail_sink PORT`.

`NOOP` is answered with how many it took. It does as little as can be, so that it is not what is measured.
"""

from __future__ import annotations

import asyncio
import smtplib
import sys
from typing import Final, cast

import uvloop

_GREETING: Final = b"220 sink\r\n"
_OK: Final = b"250 ok\r\n"
_END: Final = b"\r\n.\r\n"


class Sink(asyncio.Protocol):
    """One connection."""

    taken = 0
    """Of all connections."""

    def __init__(self) -> None:
        self._buffer = b""
        self._in_mail = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are of a class of their own
        self._transport.write(_GREETING)

    def data_received(self, data: bytes) -> None:
        """Take commands and mails, as they come."""
        self._buffer += data
        while self._take_mail() if self._in_mail else self._take_command():
            pass

    def _take_mail(self) -> bool:
        end = self._buffer.find(_END)
        if end < 0:
            return False
        self._buffer = self._buffer[end + len(_END) :]
        self._in_mail = False
        Sink.taken += 1
        self._transport.write(b"250 taken\r\n")
        return True

    def _take_command(self) -> bool:
        line, found, rest = self._buffer.partition(b"\r\n")
        if not found:
            return False
        self._buffer = rest
        match line[:4].upper():
            case b"EHLO":
                self._transport.write(b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n")
            case b"DATA":
                self._in_mail = True
                # What is found at once must begin with a line's end, also where a mail is empty.
                self._buffer = b"\r\n" + self._buffer
                self._transport.write(b"354 go ahead\r\n")
            case b"NOOP":
                self._transport.write(b"250 %d\r\n" % Sink.taken)
            case b"QUIT":
                self._transport.write(b"221 bye\r\n")
                self._transport.close()
            case _:
                self._transport.write(_OK)
        return True


def taken(port: int) -> int:
    """How many mails the sink at `port` took."""
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as server:
        return int(server.noop()[1])


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(int(sys.argv[1])))
