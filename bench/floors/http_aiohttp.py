"""The floor of web hooks: aiohttp, 64 in flight over kept connections, bytes and signature ready.

python -m bench.floors.http_aiohttp PORT IN_FLIGHT AMOUNT FILE

FILE holds the body. Prints the CPU time of a delivery in microseconds and, on the last line, deliveries a second.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import uvloop

if TYPE_CHECKING:
    from collections.abc import Iterator

PORT, IN_FLIGHT, AMOUNT = (int(argument) for argument in sys.argv[1:4])
BODY = Path(sys.argv[4]).read_bytes()
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def post(session: aiohttp.ClientSession, numbers: Iterator[int]) -> None:
    """One after the other."""
    url = f"http://127.0.0.1:{PORT}/floor"
    for number in numbers:
        headers = {"webhook-id": str(number), "webhook-timestamp": "1614265330", "webhook-signature": SIGNATURE}
        async with session.post(url, data=BODY, headers=headers) as response:
            await response.read()


async def main() -> None:
    """Send all."""
    numbers = iter(range(AMOUNT))
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    async with aiohttp.ClientSession(connector=connector, headers={"Content-Type": "application/json"}) as session:
        began, used = time.perf_counter(), time.process_time()
        await asyncio.gather(*(post(session, numbers) for _ in range(IN_FLIGHT)))
        took, used = time.perf_counter() - began, time.process_time() - used
    print(used / AMOUNT * 1e6)  # noqa: T201
    print(AMOUNT / took)  # noqa: T201


if __name__ == "__main__":
    uvloop.run(main())
