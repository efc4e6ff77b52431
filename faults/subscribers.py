"""The services that have events sent to them: three subscriptions to the same types, of which one is gone soon."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from faults.hooksink import END_POINTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import httpx

    from faults.hooksink import EndPoint, HookSink

    Ask = Callable[[Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]], Awaitable[httpx.Response]]
    """Asks notify until it answers."""

TYPES: Final = ("case.opened.", "case.callback.", "campaign.", "message.sent.")
"""How the types begin that are subscribed to."""
CONTACT: Final = "boris"
_AGAIN_S: Final = 10.0
_LATER: Final = timedelta(seconds=20)


async def _pending(path: str, client: httpx.AsyncClient) -> httpx.Response:
    return await client.get(path, params={"status": "pending", "limit": "200"})


async def _post(path: str, client: httpx.AsyncClient) -> httpx.Response:
    return await client.post(path)


class Subscribers:
    """Subscriptions by end point."""

    def __init__(self, ask: Ask, sink: HookSink, run: str) -> None:
        self.ids: Final[dict[EndPoint, str]] = {}
        self._ask = ask
        self._sink = sink
        self._run = run

    async def set_up(self) -> None:
        """Subscribe, before anything happens that they want to know."""
        for name in END_POINTS:
            body = {
                "name": name,
                "url": self._sink.url(name),
                "types": [f"{each}*" for each in TYPES],
                "contact": {
                    "employee_id": CONTACT,
                    "name": CONTACT.title(),
                    "email": f"{CONTACT}@company.example",
                    "language": "en",
                },
            }
            made = await self._made(body, f"{self._run}-subscribe-{name}")
            self.ids[name], self._sink.secrets[name] = made["id"], made["secret"]

    async def hurry(self) -> None:
        """Have what failed twice sent now: the receivers behave, and nobody wants to wait five minutes for that."""
        self._sink.behave()
        while True:
            late = datetime.now(UTC) + _LATER
            for id_ in self.ids.values():
                path = f"/v1/subscriptions/{id_}/deliveries"
                answer = await self._ask(partial(_pending, path))
                for each in answer.raise_for_status().json()["items"]:
                    if each["due_at"] is not None and datetime.fromisoformat(each["due_at"]) > late:
                        await self._ask(partial(_post, f"{path}/{each['event_id']}/replay"))
            await asyncio.sleep(_AGAIN_S)

    async def _made(self, body: dict[str, Any], key: str) -> dict[str, Any]:
        headers = {"Idempotency-Key": key}
        answer = await self._ask(lambda client: client.post("/v1/subscriptions", json=body, headers=headers))
        answer.raise_for_status()
        made: dict[str, Any] = answer.json()
        return made
