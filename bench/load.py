"""The load generator: HTTP requests made beforehand, over kept connections, by as little code as can be.

    python -m bench.load --port 8001 --connections 64 --seconds 5 [--rate 2000] [--once] requests.bin

`requests.bin` holds whole requests, each after its length in four bytes (big-endian); they are sent in order, over and
over if there are too few; with `--once` each is sent once, however long that takes. Without a rate every connection
sends its next request when its answer has come (closed loop); with a rate requests are due at fixed instants, and a
latency counts from the instant at which the request was due, so that a slow server cannot slow its own measurement
down (no coordinated omission). One line of JSON comes out. It imports nothing of ours, and is measured itself:
`bench/floors/http_answer.py` answers without doing anything.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import struct
import time
from collections import Counter, deque
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import uvloop

if TYPE_CHECKING:
    from collections.abc import Iterator

_LENGTH: Final = b"content-length:"
_END: Final = b"\r\n\r\n"
_LATE_S: Final = 30.0
_AS_LONG_AS_IT_TAKES_S: Final = 3600.0


class Connection(asyncio.Protocol):
    """One kept connection with at most one request under way."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._buffer = b""
        self._since = 0.0
        self._transport: asyncio.Transport
        self.connected = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are of a class of their own
        self.connected.set_result(None)

    def send(self, request: bytes, since: float) -> None:
        """Send a request whose latency counts from `since`."""
        self._since = since
        self._transport.write(request)

    def close(self) -> None:
        """End it."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Take an answer, when it is whole."""
        data = self._buffer + data if self._buffer else data
        head = data.find(_END)
        if head < 0:
            self._buffer = data
            return
        place = data.lower().find(_LENGTH, 0, head) + len(_LENGTH)
        whole = head + 4 + int(data[place : data.find(b"\r", place)])
        if len(data) < whole:
            self._buffer = data
            return
        self._buffer = b""
        self._load.answered(self, data[9:12], self._since)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count what was cut off."""
        self._load.lost(self, exc)


class Load:
    """All connections of one run."""

    def __init__(self, requests: Iterator[bytes], *, rate: float | None) -> None:
        self._requests = requests
        self._rate = rate
        self._free: deque[Connection] = deque()
        self._due: deque[float] = deque()
        self._running = True
        self.latencies: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.under_way = 0
        self.idle = asyncio.Event()
        self.spent = asyncio.Event()
        """Set when there is no further request."""
        self.began = 0.0
        """The instant, on the clock of `time.perf_counter`, from which requests are due."""

    def answered(self, connection: Connection, status: bytes, since: float) -> None:
        """Note an answer and let the connection go on."""
        now = time.perf_counter()
        self.under_way -= 1
        self.statuses[status.decode("ascii")] += 1
        self.latencies.append(now - since)
        if self._rate is not None:
            self._free.append(connection)
            self._send_due()
        elif self._running:
            self._send(connection, now)
        if self.under_way == 0 and not self._running:
            self.idle.set()

    def lost(self, _connection: Connection, _error: Exception | None) -> None:
        """Count a connection that ended while the run was on."""
        if self._running or self.under_way:
            self.statuses["lost"] += 1
            self.under_way = max(0, self.under_way - 1)
            if self.under_way == 0:
                self.idle.set()

    def _send(self, connection: Connection, since: float) -> None:
        request = next(self._requests, None)
        if request is None:
            self._running = False
            self.spent.set()
            return
        self.under_way += 1
        connection.send(request, since)

    def _send_due(self) -> None:
        while self._due and self._free:
            self._send(self._free.popleft(), self._due.popleft())

    async def run(self, host: str, port: int, connections: int, seconds: float) -> float:
        """Connect, send for `seconds`, wait for what is under way; how long it took in all."""
        loop = asyncio.get_running_loop()
        made = []
        for _ in range(connections):
            _, connection = await loop.create_connection(lambda: Connection(self), host, port)
            await connection.connected
            made.append(connection)
        began = self.began = time.perf_counter()
        if self._rate is None:
            for connection in made:
                self._send(connection, began)
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.spent.wait()
        else:
            self._free.extend(made)
            await self._keep_the_rate(began, seconds)
        self._running = False
        took = time.perf_counter() - began
        if self.under_way or self._due:
            async with asyncio.timeout(_LATE_S):
                await self.idle.wait()
        for connection in made:
            connection.close()
        return took

    async def _keep_the_rate(self, began: float, seconds: float) -> None:
        assert self._rate is not None  # noqa: S101
        sent, total = 0, int(self._rate * seconds)
        while sent < total:
            now = time.perf_counter() - began
            due = min(total, int(now * self._rate) + 1)
            for number in range(sent, due):
                self._due.append(began + number / self._rate)
            sent = due
            self._send_due()
            await asyncio.sleep(max(0.0, began + sent / self._rate - time.perf_counter()))


def read_requests(path: Path) -> list[bytes]:
    """All requests of a file."""
    content = path.read_bytes()
    requests, place = [], 0
    while place < len(content):
        (length,) = struct.unpack_from(">I", content, place)
        requests.append(content[place + 4 : place + 4 + length])
        place += 4 + length
    return requests


def write_requests(path: Path, requests: list[bytes]) -> None:
    """Write a file that `read_requests` reads."""
    path.write_bytes(b"".join(struct.pack(">I", len(request)) + request for request in requests))


def main() -> None:
    """Do as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("requests", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--once", action="store_true")
    arguments = parser.parse_args()

    async def run() -> dict[str, object]:
        requests = read_requests(arguments.requests)
        load = Load(iter(requests) if arguments.once else cycle(requests), rate=arguments.rate)
        seconds = _AS_LONG_AS_IT_TAKES_S if arguments.once and arguments.rate is None else arguments.seconds
        clock_began_at = time.time() - time.perf_counter()
        took = await load.run(arguments.host, arguments.port, arguments.connections, seconds)
        ordered = sorted(load.latencies) or [0.0]
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "requests": len(load.latencies),
            "seconds": took,
            "began_at": clock_began_at + load.began,
            "per_second": len(load.latencies) / took,
            "p50_ms": ordered[len(ordered) // 2] * 1000,
            "p99_ms": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000,
            "statuses": dict(load.statuses),
            "own_cpu_share": (used.ru_utime + used.ru_stime) / took,
        }

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(run())))  # noqa: T201 - its output is its result


if __name__ == "__main__":
    main()
