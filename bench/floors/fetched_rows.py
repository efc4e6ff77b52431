"""The floor of fetches: answers are asked for over twenty kept connections, and each is stored when it comes.

python -m bench.floors.fetched_rows DSN PORT TOKEN AMOUNT     prints answers per second
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from itertools import count

import asyncpg
import uvloop

from bench.floors.response_rows import store

DSN, PORT, TOKEN, AMOUNT = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
CONNECTIONS = 20


async def fetch(pool: asyncpg.Pool, numbers: count[int]) -> None:
    """Ask and store, over one connection, until all are asked for."""
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    while (number := next(numbers)) < AMOUNT:
        path = f"/API/v3/surveys/floor/responses/{number}"
        writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nx-api-token: {TOKEN}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        told = json.loads(await reader.readexactly(length))["result"]
        values = told["values"]
        row = {
            "response_id": f"{told['responseId']}-{number}",
            "customer_id": values["customer_id"],
            "answered_at": values["endDate"],
            "values": values,
        }
        async with pool.acquire() as connection:
            await store(connection, [row])
    writer.close()


async def main() -> None:
    """Fetch all, and say how fast it went."""
    async with asyncpg.create_pool(DSN, min_size=10, max_size=10) as pool:
        numbers = count()
        began = time.perf_counter()
        await asyncio.gather(*(fetch(pool, numbers) for _ in range(CONNECTIONS)))
        print(AMOUNT / (time.perf_counter() - began))  # noqa: T201 - its output is its result


if __name__ == "__main__":
    uvloop.run(main())
