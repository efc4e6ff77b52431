"""Receivers of web hooks that answer as they are told, and the part of notify that delivers to them."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any, Final

import httpx
from aiohttp import web
from sqlalchemy import Row, text

from libs.events import inbox
from libs.events.event import Event
from services.notify.domain.addresses import Networks
from services.notify.hook_handlers import handle_for_hooks
from services.notify.hook_sending import HookSender
from services.notify.receivers import Receivers
from tests.handlers.notify.world import World

LOOPBACK: Final = Networks.parse(["127.0.0.0/8"])
CONTACT: Final = {"employee_id": "e-9", "name": "Олег", "email": "oleg@company.example", "language": "ru"}
_DELIVERIES = text("SELECT * FROM hook_deliveries ORDER BY created_at, event_id")
Api = Callable[..., Awaitable[httpx.AsyncClient]]


@dataclass(repr=False)
class Receiver:
    """A real end point that does as it is told."""

    port: int = 0
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    script: list[Callable[[web.Request], Awaitable[web.StreamResponse]]] = field(default_factory=list)
    usually: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    most_at_once: int = 0
    _at_once: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            body = await request.read()
            self.got.append(({name.lower(): value for name, value in request.headers.items()}, body))
            action = self.script.pop(0) if self.script else self.usually
            return web.Response(status=204) if action is None else await action(request)
        finally:
            self._at_once -= 1

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.got]

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]


def answers(status: int, **headers: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


async def hangs(_request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def goes_on_for_ever(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(status=200)
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65_536)


class Hooks:
    """The part of a process that delivers, and the API as a subscribing service sees it."""

    def __init__(self, world: World, client: httpx.AsyncClient) -> None:
        self.world = world
        self.client = client
        self._senders: list[HookSender] = []
        self.sender = self.a_sender()

    def a_sender(self, **options: Any) -> HookSender:  # noqa: ANN401 - whatever a test wants otherwise
        timeout = options.pop("timeout", timedelta(seconds=20))
        networks = options.pop("networks", LOOPBACK)
        resolver = options.pop("resolver", None)
        receivers = Receivers(networks=networks, in_flight=16, timeout=timeout, resolver=resolver)
        options = {"in_flight": 16, "per_subscription": 8, "random": Random(7), **options}
        self._senders.append(HookSender(self.world.database, receivers, **options))
        return self._senders[-1]

    async def close(self) -> None:
        for sender in self._senders:
            await sender.close()

    async def subscribe(self, url: str, **changes: object) -> dict[str, Any]:
        body = {"name": "all", "url": url, "types": ["*"], "contact": CONTACT, **changes}
        response = await self.client.post("/v1/subscriptions", json=body)
        assert response.status_code == 201, response.text
        made: dict[str, Any] = response.json()
        return made

    async def happen(self, *events: Event[Any]) -> None:
        """As the consumer of the streams takes them."""
        async with self.world.database.transaction() as tx:
            new = await inbox.mark(tx, "notify.hooks", [(event.id, event.id) for event in events])
            await handle_for_hooks(tx, [event for event in events if event.id in new])

    async def rest(self, sender: HookSender | None = None) -> None:
        """Step until nothing is due and nothing is on its way."""
        deadline = time.monotonic() + 40
        sender = sender or self.sender
        while await sender.step():
            assert time.monotonic() < deadline, "the sender does not come to rest"

    async def deliveries(self) -> Sequence[Row[Any]]:
        async with self.world.database.reading() as tx:
            rows: Sequence[Row[Any]] = await tx.fetch(_DELIVERIES)
        return rows

    async def statuses(self) -> list[tuple[str, str | None, int | None]]:
        return [(row.status, row.trouble, row.status_code) for row in await self.deliveries()]
