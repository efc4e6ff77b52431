"""A receiver of web hooks that does nothing but answer, and counts: from the first to the last, and which.

python -m bench.floors.hook_sink PORT

`GET /begin` forgets, `GET /seen` tells as JSON. Deliveries are told apart by path and `webhook-id`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import cast

import uvloop

PORT = int(sys.argv[1])
YES = b"HTTP/1.1 204 No Content\r\n\r\n"


class Counted:
    """What has come."""

    def __init__(self) -> None:
        self.amount = 0
        self.distinct: set[bytes] = set()
        self.first = self.last = 0.0

    def told(self) -> bytes:
        """As an answer."""
        seen = {"amount": self.amount, "distinct": len(self.distinct), "seconds": self.last - self.first}
        body = json.dumps(seen).encode()
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


class Receiving(asyncio.Protocol):
    """One connection."""

    counted = Counted()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._waiting = b""

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self._waiting += data
        while True:
            head, end, rest = self._waiting.partition(b"\r\n\r\n")
            if not end:
                return
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
            length = int(fields.get(b"content-length", b"0"))
            if len(rest) < length:
                return
            self._waiting = rest[length:]
            path = head.split(b" ", 2)[1]
            if path == b"/begin":
                Receiving.counted = Counted()
            if head.startswith(b"GET"):
                self._transport.write(Receiving.counted.told())
                continue
            counted = Receiving.counted
            counted.last = time.perf_counter()
            counted.first = counted.first or counted.last
            counted.amount += 1
            counted.distinct.add(path + fields[b"webhook-id"])
            self._transport.write(YES)


async def main() -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Receiving, "127.0.0.1", PORT)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
