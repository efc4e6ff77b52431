"""The load generator against a server that only counts."""

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import cycle
from pathlib import Path

import pytest

from bench.load import Load, read_requests, write_requests


class CountingServer:
    """Answers each request after `delay_s`; every `bad_every`th with 503. In two pieces, as networks may."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.delay_s = 0.0
        self.bad_every = 0
        self.port = 0
        self._serving: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.create_task(self.serve(reader, writer)))

    async def all_ended(self) -> None:
        await asyncio.wait_for(asyncio.gather(*self._serving), 10)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                body = await reader.readexactly(length)
                self.bodies.append(body)
                await asyncio.sleep(self.delay_s)
                bad = self.bad_every and int(body) % self.bad_every == 0
                status = b"503 Service Unavailable" if bad else b"202 Accepted"
                writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\n{")
                await writer.drain()
                await asyncio.sleep(0)
                writer.write(b"}")
        except asyncio.IncompleteReadError:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[CountingServer]:
    counting = CountingServer()
    listening = await asyncio.start_server(counting.accept, "127.0.0.1", 0)
    counting.port = listening.sockets[0].getsockname()[1]
    yield counting
    await counting.all_ended()
    listening.close()


def some_requests(amount: int) -> list[bytes]:
    return [
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%d" % (len(str(number)), number)
        for number in range(amount)
    ]


async def test_each_request_is_sent_once_in_a_closed_loop(server: CountingServer) -> None:
    load = Load(iter(some_requests(300)), rate=None)

    await load.run("127.0.0.1", server.port, connections=8, seconds=30)

    assert sorted(map(int, server.bodies)) == list(range(300))
    assert load.statuses == {"202": 300}
    assert len(load.latencies) == 300


async def test_requests_begin_anew_until_the_time_is_over(server: CountingServer) -> None:
    load = Load(cycle(some_requests(3)), rate=None)

    took = await load.run("127.0.0.1", server.port, connections=2, seconds=0.2)

    assert took >= 0.2
    assert load.statuses["202"] == len(server.bodies) > 3


async def test_at_a_rate_as_many_are_sent_as_are_due(server: CountingServer) -> None:
    load = Load(cycle(some_requests(3)), rate=200)

    await load.run("127.0.0.1", server.port, connections=4, seconds=0.5)

    assert load.statuses == {"202": 100}


async def test_a_slow_server_does_not_slow_its_own_measurement_down(server: CountingServer) -> None:
    # 20 a second on one connection that answers 10: the last waits for all before it, and that is counted.
    server.delay_s = 0.1
    load = Load(cycle(some_requests(3)), rate=20)

    await load.run("127.0.0.1", server.port, connections=1, seconds=0.5)

    assert load.statuses == {"202": 10}
    assert max(load.latencies) > 0.5


async def test_refusals_are_counted_apart(server: CountingServer) -> None:
    server.bad_every = 10
    load = Load(iter(some_requests(100)), rate=None)

    await load.run("127.0.0.1", server.port, connections=4, seconds=30)

    assert load.statuses == {"202": 90, "503": 10}


async def test_requests_are_due_from_the_instant_that_the_load_names(server: CountingServer) -> None:
    load = Load(cycle(some_requests(3)), rate=100)
    before = time.perf_counter()

    await load.run("127.0.0.1", server.port, connections=1, seconds=0.1)

    assert before < load.began < time.perf_counter()


def test_requests_are_read_as_they_were_written(tmp_path: Path) -> None:
    requests = [b"", b"one", bytes(range(256)) * 300]

    write_requests(tmp_path / "requests.bin", requests)

    assert read_requests(tmp_path / "requests.bin") == requests
