"""The operators: they give ingest the account at the vendor's API, and have it asked more often than it would be."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from faults.proxy import LOOPBACK
from faults.sources import THIN
from faults.thin import SURVEY, TOKEN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import httpx

    Ask = Callable[[Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]], Awaitable[httpx.Response]]
    """Asks ingest until it answers."""

_AGAIN_S: Final = 0.5
_PATH: Final = f"/v1/sources/{THIN.name}/account"


class Operators:
    """Those who look after the thin source."""

    def __init__(self, ask: Ask, *, vendor_port: int) -> None:
        """`vendor_port`: of the link to the vendor's API."""
        self._ask = ask
        self._account: Final = {
            "token": TOKEN,
            "survey": SURVEY,
            "base_url": f"http://{LOOPBACK}:{vendor_port}",
            "poll_minutes": 5,
        }

    async def reconcile(self) -> None:
        """Storing the account has it polled at once."""
        answer = await self._ask(lambda client: client.put(_PATH, json=self._account))
        answer.raise_for_status()

    async def reconciled(self, bound_s: float) -> bool:
        """Have the vendor's API asked once more; whether it was, without an error, within the bound."""
        before = (await self._poll())["polled_at"]
        await self.reconcile()
        deadline = time.monotonic() + bound_s
        while (poll := await self._poll())["polled_at"] == before or poll["error"] is not None:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_AGAIN_S)
        return True

    async def _poll(self) -> dict[str, Any]:
        answer = await self._ask(lambda client: client.get(_PATH))
        found: dict[str, Any] = answer.json()["poll"]
        return found
