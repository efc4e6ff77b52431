"""Notify on a real database and a real mail server: deliveries as the runtime makes them, and what went out."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from aiohttp import web

from libs.events.crashpoint import VARIABLE
from libs.events.database import Database
from libs.webapi import keys
from services.notify.api import HookRules, build_app
from services.notify.clients import Receipts
from services.notify.letters import Letters
from services.notify.links import ConfirmationLinks
from services.notify.mime import Mailbox
from tests.handlers.notify.gateway import Gateway
from tests.handlers.notify.mail_trap import MailTrap
from tests.handlers.notify.post import Post
from tests.handlers.notify.web_hooks import LOOPBACK, Api, Hooks, Receiver
from tests.handlers.notify.world import Clock, World

ROOT: Final = Path(__file__).parents[3]
DEADLINE_SECONDS: Final = 60.0

Victim = Callable[..., Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def database(service_database: Callable[[str], str], clock: Clock) -> AsyncIterator[Database]:
    database = Database.connect(service_database("notify"), pool_size=12, clock=clock)
    yield database
    await database.close()


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], Awaitable[object]]], Awaitable[None]]:
    """Waits until a condition holds, and not for ever."""

    async def wait(condition: Callable[[], Awaitable[object]]) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not await condition():
                await asyncio.sleep(0.01)

    return wait


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


@pytest.fixture
async def trap() -> AsyncIterator[MailTrap]:
    trap = MailTrap()
    await trap.start()
    yield trap
    await trap.stop()


@pytest.fixture
async def receipts(trap: MailTrap) -> AsyncIterator[tuple[Receipts, list[Any]]]:
    """The receiving side as it can be asked, over HTTP; the list holds what it answers instead, once each."""
    instead: list[Any] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        listed = [{"id": str(number), "message_id": str(mail["Message-ID"])} for number, mail in enumerate(trap.mails)]
        status, body = instead.pop(0) if instead else ("200 OK", json.dumps(listed))
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(f"{head}{body}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    receipts = Receipts(f"http://127.0.0.1:{port}/api/messages", timeout=timedelta(seconds=5))
    yield receipts, instead
    await receipts.close()
    server.close()
    await server.wait_closed()


@pytest.fixture(scope="session")
def links() -> ConfirmationLinks:
    return ConfirmationLinks("https://otklik.example", ["the present secret, thirty-two characters"])


@pytest.fixture(scope="session")
def letters(links: ConfirmationLinks) -> Letters:
    return Letters(
        sender=Mailbox("Ромашка", "care@romashka.example"),
        links=links,
        portal_url="https://portal.example",
        time_zone="Europe/Moscow",
    )


@pytest.fixture
async def a_post(world: World, trap: MailTrap, letters: Letters) -> AsyncIterator[Callable[..., Post]]:
    made: list[Post] = []

    def make(receipts: Receipts | None = None) -> Post:
        made.append(Post(world, trap, letters, receipts))
        return made[-1]

    yield make
    for post in made:
        await post.killed()


@pytest.fixture
def post(a_post: Callable[..., Post]) -> Post:
    return a_post()


@pytest.fixture
async def client(database: Database, links: ConfirmationLinks) -> AsyncIterator[httpx.AsyncClient]:
    """The HTTP app, as an operator's service with all rights."""
    app = build_app(
        database, links=links, sender=Mailbox("Ромашка", "care@romashka.example"), time_zone="Europe/Moscow"
    )
    async with database.transaction() as tx:
        key = await keys.create_key(
            tx,
            name="operator",
            scopes=[
                "messages:read",
                "messages:write",
                "templates:write",
                "campaigns:read",
                "campaigns:write",
                "contacts:write",
                "bounces:write",
                "providers:write",
                "on-behalf",
            ],
        )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://notify.test", headers={"Authorization": f"Bearer {key}"}
    ) as client:
        yield client


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    gateway = Gateway()
    await gateway.start()
    yield gateway
    await gateway.stop()


@pytest.fixture
async def victim(database: Database, trap: MailTrap, tmp_path: Path) -> AsyncIterator[Victim]:
    """Starts a process that sends; it kills itself at a point of its own, or of `libs.events.crashpoint`."""
    started: list[asyncio.subprocess.Process] = []
    url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)

    async def start(kill_point: str = "") -> asyncio.subprocess.Process:
        if "." in kill_point:
            (tmp_path / kill_point).touch()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("sending_process.py")),
            url,
            trap.url,
            *([kill_point] if kill_point else []),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), VARIABLE: str(tmp_path)},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
async def a_receiver() -> AsyncIterator[Callable[[], Awaitable[Receiver]]]:
    runners: list[web.AppRunner] = []

    async def start() -> Receiver:
        receiver = Receiver()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", receiver.handle)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        runners.append(runner)
        receiver.port = runner.addresses[0][1]
        return receiver

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def receiver(a_receiver: Callable[[], Awaitable[Receiver]]) -> Receiver:
    return await a_receiver()


@pytest.fixture
async def api(database: Database, links: ConfirmationLinks) -> AsyncIterator[Api]:
    """Makes clients of the API, each as a service of its own."""
    sender = Mailbox("Ромашка", "care@romashka.example")
    rules = HookRules(LOOPBACK, plain_http=True)
    app = build_app(database, links=links, sender=sender, time_zone="Europe/Moscow", hooks=rules)
    made: list[httpx.AsyncClient] = []

    async def client(name: str, *scopes: str) -> httpx.AsyncClient:
        async with database.transaction() as tx:
            key = await keys.create_key(tx, name=name, scopes=["subscriptions:read", "subscriptions:write", *scopes])
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {key}"}
        made.append(httpx.AsyncClient(transport=transport, base_url="http://notify.test", headers=headers))
        return made[-1]

    yield client
    for each in made:
        await each.aclose()


@pytest.fixture
async def hooks(world: World, api: Api) -> AsyncIterator[Hooks]:
    hooks = Hooks(world, await api("billing", "events:comments", "events:people", "on-behalf"))
    yield hooks
    await hooks.close()
