"""The proxy does to a connection what it is told, and nothing else."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from deploy.local.ports import free_ports
from faults.proxy import LOOPBACK, Link


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while content := await reader.read(1000):
            writer.write(content)
            await writer.drain()
    writer.close()


@pytest.fixture
async def link() -> AsyncIterator[Link]:
    port, upstream = free_ports(2)
    server = await asyncio.start_server(_echo, LOOPBACK, upstream)
    made = Link("client to echo", port=port, upstream=upstream)
    await made.start()
    yield made
    await made.stop()
    server.close()


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, content: bytes, *, within: float = 5.0) -> bytes:
        """What comes back; nothing when the connection is over."""
        self._writer.write(content)
        try:
            async with asyncio.timeout(within):
                return await self._reader.read(1000)
        except ConnectionError:
            return b""

    def close(self) -> None:
        self._writer.transport.abort()


@pytest.fixture
async def client(link: Link) -> AsyncIterator[Client]:
    made = Client(*await asyncio.open_connection(LOOPBACK, link.port))
    assert await made.ask(b"hello") == b"hello"
    yield made
    made.close()


async def test_a_cut_link_ends_its_connections_and_takes_new_ones(link: Link, client: Client) -> None:
    assert link.cut() == 1
    assert await client.ask(b"still there?") == b""
    again = Client(*await asyncio.open_connection(LOOPBACK, link.port))
    assert await again.ask(b"again") == b"again"
    again.close()


async def test_a_held_link_passes_everything_on_later(link: Link, client: Client) -> None:
    link.become("held")
    with pytest.raises(TimeoutError):
        await client.ask(b"patience", within=0.2)
    link.heal()
    assert await client.ask(b"") == b"patience"


async def test_what_a_dropped_link_swallowed_never_comes_and_its_connection_is_over(link: Link, client: Client) -> None:
    link.become("dropped")
    with pytest.raises(TimeoutError):
        await client.ask(b"lost", within=0.2)
    link.heal()
    assert await client.ask(b"and now?") == b""


async def test_a_late_link_is_late(link: Link, client: Client) -> None:
    link.become("late", seconds=0.1)
    began = time.monotonic()
    assert await client.ask(b"late") == b"late"
    assert time.monotonic() - began >= 0.2  # there and back


async def test_a_commit_is_cut_before_it_arrives(link: Link, client: Client) -> None:
    struck = link.watch_for_commit("cut_before")
    assert await client.ask(b"BEGIN;\x00") == b"BEGIN;\x00"
    assert not struck.is_set()
    assert await client.ask(b"Q\x00\x00\x00\x0cCOMMIT;\x00") == b""
    assert struck.is_set()


async def test_a_statement_that_commits_by_itself_is_cut_before_its_answer(link: Link, client: Client) -> None:
    struck = link.watch_for_commit("cut_after", seconds=0.1)
    assert await client.ask(b"B\x00\x00\x01\x0a\x00__asyncpg_stmt_3__\x00") != b""
    assert not struck.is_set()
    assert await client.ask(b"B\x00\x00\x01\x0a\x00at_once_3\x00") == b""
    assert struck.is_set()


async def test_a_held_commit_arrives_late(link: Link, client: Client) -> None:
    link.watch_for_commit("held", seconds=0.2)
    began = time.monotonic()
    assert await client.ask(b"COMMIT;\x00") == b"COMMIT;\x00"
    assert time.monotonic() - began >= 0.2
