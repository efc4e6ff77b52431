"""Hostile requests at a steady rate, each over a connection of its own, so that none stands in the way of good ones."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Final

from bench.deliveries import KEY, SOURCE, request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_PATH: Final = f"/v1/webhooks/{SOURCE}"
_ANSWERED_S: Final = 10.0
_MEGABYTE: Final = 1_048_576


def hostile_requests(number: int) -> list[bytes]:
    """One of each kind; `number` keeps those that are authentic apart."""
    timestamp = str(int(time.time()))
    good = b'{"response_id":"h-%d","answered_at":"2026-03-01T09:30:00Z","score":3}' % number

    def signed(kind: str, body: bytes, *, key: bytes = KEY, announced: int | None = None) -> bytes:
        return request(_PATH, body, id_=f"hostile_{kind}_{number}", timestamp=timestamp, key=key, announced=announced)

    return [
        signed("forged", good, key=b"guessed"),
        signed("broken", good[:-9]),
        signed("nested", b"[" * 20_000),
        signed("zero", good.replace(b'"score":3', b'"comment":"\\u0000"')),
        signed("bare_zero", good.replace(b"h-", b"\0-")),
        signed("announced", good, announced=100 * _MEGABYTE),
        request("/v1/webhooks/nobody", good, id_="h", timestamp=timestamp),
    ]


@asynccontextmanager
async def hostility(port: int, rate: float) -> AsyncIterator[dict[str, int]]:
    """Send hostile requests at `rate` a second until the context ends; how many of each answer there were."""
    answers: dict[str, int] = {}

    async def send_one(content: bytes) -> None:
        async with asyncio.timeout(_ANSWERED_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(content)
                status = (await reader.readuntil(b"\r\n"))[9:12].decode()
                answers[status] = answers.get(status, 0) + 1
            finally:
                writer.close()
                with suppress(ConnectionError):  # it was refused, and cut: that is what is asked for here
                    await writer.wait_closed()

    async def send_all() -> None:
        async with asyncio.TaskGroup() as group:
            began, sent = time.monotonic(), 0
            for number in count():
                for content in hostile_requests(number):
                    group.create_task(send_one(content))
                    sent += 1
                    await asyncio.sleep(max(0.0, began + sent / rate - time.monotonic()))

    sending = asyncio.create_task(send_all())
    try:
        yield answers
    finally:
        sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending
