"""Fetches: announced answers asked for at a vendor's API; beside a script that asks and stores the same.

A vendor allows a few questions a second for each account, and ingest keeps to it. So there are many sources, of which
none comes near what it is allowed: measured is the work, and not the politeness.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from bench.bench import last_number
from bench.company import hold_relay
from bench.deliveries import INSTRUMENT, SECRET, operator
from bench.figures import Figure, against_floor
from bench.servers import cpu_of_postgres
from deploy.local.ports import free_ports
from libs.events.kafka import create_topics

if TYPE_CHECKING:
    import httpx

    from bench.bench import Bench, Process

_FETCHES: Final = 6_000
_SOURCES: Final = 200
_AT_ONCE: Final = 20
_TOKEN: Final = "the-vendor-s-token"  # noqa: S105 - of a server of ours
_BOUND_S: Final = 300.0
_ANNOUNCE: Final = """
    INSERT INTO fetches (source, vendor_response_id, delivery_id, traceparent, asked, attempts, due_at)
    SELECT 'shop-' || n % $3, 'R_' || $1 || '_' || n, gen_random_uuid(),
           '00-00000000000000000000000000000001-0000000000000001-01', 1, 0, now() - ($2 - n) * interval '1 millisecond'
      FROM generate_series(0, $2 - 1) AS n
"""
_FETCHED: Final = "SELECT count(*) FROM deliveries WHERE via = 'api' AND status = 'accepted'"


async def run(bench: Bench) -> list[Figure]:
    """Answers a second, from the first to the last of them."""
    await create_topics(bench.kafka)  # nothing is written to them here
    amount, sources = bench.amount(_FETCHES, at_least=400), bench.amount(_SOURCES, at_least=100)
    api_port, port = free_ports(2)
    api = await bench.start_serving(api_port, "-m", "bench.floors.vendor_api", str(api_port), _TOKEN)
    floor_url, url = await bench.service_database("ingest"), await bench.service_database("ingest")
    holder, watching = await asyncpg.connect(url), await asyncpg.connect(url)
    await hold_relay(holder)
    settings = {
        "INGEST_DATABASE_URL": url,
        "INGEST_PORT": str(port),
        "INGEST_PLAIN_HTTP": "true",
        "OTKLIK_KAFKA_BOOTSTRAP_SERVERS": bench.kafka,
    }
    ingest = await bench.start_serving(port, "-m", "services.ingest", "all", environment=settings)
    async with await operator(url, port) as client:
        for first in range(0, sources, _AT_ONCE):
            numbers = range(first, min(sources, first + _AT_ONCE))
            await asyncio.gather(*(_put_source(client, f"shop-{number}", api_port) for number in numbers))
    cpu = {"our": 0.0, "postgresql": 0.0}
    rounds = 0

    async def ours() -> float:
        nonlocal rounds
        rounds += 1
        before: int = await watching.fetchval(_FETCHED)
        await watching.execute(_ANNOUNCE, str(rounds), amount, sources)
        first = await _until(ingest, watching, before + 1)
        began, own, server = time.perf_counter(), ingest.cpu_seconds(), cpu_of_postgres(bench)
        last = await _until(ingest, watching, before + amount)
        cpu["our"] += ingest.cpu_seconds() - own
        cpu["postgresql"] += cpu_of_postgres(bench) - server
        return (last - first) / (time.perf_counter() - began)

    async def floor() -> float:
        arguments = (floor_url, str(api_port), _TOKEN, str(amount))
        return last_number(await asyncio.to_thread(bench.run, "-m", "bench.floors.fetched_rows", *arguments))

    measured_floor, measured = await bench.in_turns(floor, ours)
    for connection in (holder, watching):
        await connection.close()
    ingest.stop()
    api.stop()
    return [
        against_floor(
            "fetches",
            f"announced answers of {sources} sources",
            floor_name="20 connections, each answer stored when it comes",
            floor=measured_floor,
            ours=measured,
            measured_in="answers/s",
            notes={f"{who}_cpu_us": round(used / (amount * len(measured)) * 1e6, 1) for who, used in cpu.items()},
        )
    ]


async def _put_source(client: httpx.AsyncClient, name: str, api_port: int) -> None:
    field_map = {"score": {"question": "QID1"}, "comment": {"question": "QID2_TEXT"}}
    source: dict[str, Any] = {
        "vendor": "qualtrics",
        "program": "retail",
        "instrument": INSTRUMENT,
        "secret": SECRET,
        "field_map": field_map,
    }
    account = {"token": _TOKEN, "survey": "SV_bench", "base_url": f"http://127.0.0.1:{api_port}"}
    (await client.put(f"/v1/sources/{name}", json=source)).raise_for_status()
    (await client.put(f"/v1/sources/{name}/account", json=account)).raise_for_status()


async def _until(ingest: Process, connection: asyncpg.Connection, amount: int) -> int:
    """Wait until so many are there; how many there are."""
    deadline = time.monotonic() + _BOUND_S
    while (found := await connection.fetchval(_FETCHED)) < amount:
        if ingest.popen.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{found} of {amount}: {ingest.log.read_text(encoding='utf-8')[-2000:]}")
        await asyncio.sleep(0.03)
    return int(found)
