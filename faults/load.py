"""The sender: a constant load of deliveries, each sent again until it is answered, and a log of every answer.

The log is what the ledger holds the system to: whatever was answered `202` must be there, once.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from faults.posting import NoAnswer, post

if TYPE_CHECKING:
    from random import Random

    from faults.deliveries import Delivery, Sending, Vendor

_ACCEPTED: Final = 202
_UNAUTHENTICATED: Final = 401
_LATER: Final = frozenset({429, 503})
_IN_FLIGHT_AT_MOST: Final = 150
_ANSWER_S: Final = 15.0
_AGAIN_S: Final = (0.1, 0.6)
_LOOK_EVERY_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Receipt:
    """An answer `202`."""

    delivery: Delivery
    delivery_id: str
    status: str
    event_ids: tuple[str, ...]


@dataclass(slots=True)
class SendersLog:
    """Everything that the sender was answered."""

    receipts: list[Receipt] = field(default_factory=list)
    refused: list[Delivery] = field(default_factory=list)
    """Answered `401`."""
    odd: list[str] = field(default_factory=list)
    """Answers that nobody should get."""
    later: int = 0
    """How often something was not answered, or with "later"."""


class Sender:
    """Sends what the vendor thinks up, so many a second, until it is told to stop; `rest` sends what is left."""

    def __init__(self, vendor: Vendor, random: Random, *, url: str, secret: str, per_second: float) -> None:
        self.log: Final = SendersLog()
        self._vendor = vendor
        self._random = random
        self._urls = [url]
        self._secret = secret
        self._pause = 1.0 / per_second
        self._in_flight: set[asyncio.Task[None]] = set()
        self._loop: asyncio.Task[None] | None = None

    @property
    def answered(self) -> int:
        """How many deliveries were answered `202` so far."""
        return len(self.log.receipts)

    @property
    def waiting(self) -> int:
        """How many are under way."""
        return len(self._in_flight)

    def start(self) -> None:
        """Begin, or go on."""
        self._loop = asyncio.create_task(self._send_on(), name="load")

    async def rest(self, bound_s: float) -> bool:
        """Send nothing new; whether all that was sent is answered within the bound."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
            self._loop = None
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=bound_s)
        return not self._in_flight

    async def close(self) -> None:
        """Give up what is left."""
        await self.rest(0)
        for task in self._in_flight:
            task.cancel()
        await asyncio.gather(*self._in_flight, return_exceptions=True)

    def also_to(self, url: str) -> None:
        """Send to a second process of ingest too."""
        self._urls.append(url)

    def no_longer_to(self, url: str) -> None:
        """The second process is gone."""
        self._urls.remove(url)

    async def until_answered(self, count: int, bound_s: float) -> bool:
        """Wait until `count` deliveries in all were answered; whether they were, within the bound."""
        deadline = time.monotonic() + bound_s
        while self.answered < count:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_LOOK_EVERY_S)
        return True

    async def _send_on(self) -> None:
        due = time.monotonic()
        while True:
            due = max(due + self._pause, time.monotonic() - 1.0)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self._set_off(self._vendor.next())
            if len(self._in_flight) >= _IN_FLIGHT_AT_MOST:
                await asyncio.wait(self._in_flight, return_when=asyncio.FIRST_COMPLETED)

    def _set_off(self, sending: Sending) -> None:
        for delivery in sending.deliveries:
            for copy in range(sending.copies):
                then = sending.then if copy == 0 else None
                task = asyncio.create_task(self._deliver(delivery, then))
                self._in_flight.add(task)
                task.add_done_callback(self._in_flight.discard)

    async def _deliver(self, delivery: Delivery, then: Delivery | None) -> None:
        await self._until_taken(delivery)
        if then is not None:
            await self._until_taken(then)

    async def _until_taken(self, delivery: Delivery) -> None:
        while not await self._once(delivery):
            self.log.later += 1
            await asyncio.sleep(self._random.uniform(*_AGAIN_S))

    async def _once(self, delivery: Delivery) -> bool:
        """Send it; whether that settled it."""
        headers = delivery.headers(self._secret, datetime.now(UTC))
        url = f"{self._random.choice(self._urls)}/v1/webhooks/{delivery.source.name}"
        try:
            answer = await post(url, delivery.body, headers, within_s=_ANSWER_S)
        except NoAnswer:
            return False
        if answer.status in _LATER:
            return False
        if answer.status == _ACCEPTED:
            told = answer.json()
            self.log.receipts.append(Receipt(delivery, told["delivery_id"], told["status"], tuple(told["event_ids"])))
        elif answer.status == _UNAUTHENTICATED and delivery.kind in ("forged", "stale"):
            self.log.refused.append(delivery)
        else:
            self.log.odd.append(f"{delivery.kind} {delivery.id} was answered {answer.status} {answer.body[:200]!r}")
        return True
