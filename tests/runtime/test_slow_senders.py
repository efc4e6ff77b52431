"""Who sends too slowly is cut off; who is only waiting for us is not."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from deploy.local.ports import free_ports
from libs.events.http_protocol import ImpatientProtocol

HEAD = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"


class Hasty(ImpatientProtocol):
    """As impatient as a test."""

    look_seconds = 0.2


@dataclass
class App:
    """Reads a body, when it may."""

    may_read: asyncio.Event

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await self.may_read.wait()
        size = 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
async def app() -> App:
    app = App(asyncio.Event())
    app.may_read.set()
    return app


@pytest.fixture
async def port(app: App) -> AsyncIterator[int]:
    [port] = free_ports(1)
    server = uvicorn.Server(uvicorn.Config(app, port=port, http=Hasty, log_config=None, lifespan="off"))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    yield port
    await server.shutdown()


async def answer_of(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(60):
        return await reader.read(1000)


@pytest.mark.parametrize(
    "beginning", [b"", b"POST / HT", b"POST / HTTP/1.1\r\nhost: x\r\n", HEAD % 10, HEAD % 10 + b"half"]
)
async def test_a_request_that_does_not_come_to_its_end_is_cut_off(port: int, beginning: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(beginning)
    assert await answer_of(reader) == b""
    writer.close()


async def test_a_trickle_is_cut_off(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD % 1_000_000)
    ended = asyncio.create_task(answer_of(reader))
    async with asyncio.timeout(60):
        while not ended.done():
            writer.write(b"x")
            await asyncio.wait([ended], timeout=0.02)
    assert ended.result() == b""
    writer.close()


async def test_a_head_without_an_end_is_cut_off_however_fast_it_comes(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\n" + b"".join(b"x-%d: %s\r\n" % (n, b"y" * 1000) for n in range(100)))
    with contextlib.suppress(ConnectionResetError):  # the rest of it was still on its way
        assert await answer_of(reader) == b""
    writer.close()


async def test_who_waits_for_us_is_not_cut_off(port: int, app: App) -> None:
    app.may_read.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD % 500_000 + b"x" * 500_000)
    answer = asyncio.create_task(answer_of(reader))
    # Several looks long nothing is taken.
    assert not (await asyncio.wait([answer], timeout=1.0))[0]
    app.may_read.set()
    assert (await answer).endswith(b"ok")
    writer.close()


async def test_one_request_after_another_on_a_kept_connection_is_fine(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD % 4 + b"body")
    assert (await answer_of(reader)).endswith(b"ok")
    for _ in range(3):
        answer = asyncio.create_task(answer_of(reader))
        # Nothing is on its way, for several looks.
        assert not (await asyncio.wait([answer], timeout=0.6))[0]
        writer.write(HEAD % 4 + b"body")
        assert (await answer).endswith(b"ok")
    writer.close()
