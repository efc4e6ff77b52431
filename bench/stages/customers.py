"""Customers: a million of them loaded over REST in batches of 5,000, foretold and moved by new rules; memory meanwhile.

One process of scoring does all of it, as on one machine: the HTTP app, the loop that gives tiers, and the relay that
publishes every changed profile on Kafka. CPU is that of this process and of PostgreSQL, for each customer.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import httpx

from bench.figures import Better, Figure
from bench.servers import cpu_of_postgres
from deploy.local.ports import free_ports
from libs.events.database import Database
from libs.webapi.keys import create_key

if TYPE_CHECKING:
    from bench.bench import Bench, Process

_CUSTOMERS: Final = 1_000_000
_BATCH: Final = 5_000
_ANSWER_S: Final = 300.0
_DRAINED_S: Final = 1_800.0
_MILLION: Final = 1_000_000
_SCOPES: Final = ("customers:write", "rules:read", "rules:write")
_MEMORY_GOAL_MB: Final = 250.0
_RULES: Final = {
    "rules": [
        {"tier": "key", "when": [{"field": "potential_value", "op": "top", "value": 0.1}]},
        {"tier": "high", "when": [{"field": "potential_value", "op": "top", "value": 0.3}]},
    ]
}


async def run(bench: Bench) -> list[Figure]:
    """CPU for each customer loaded, foretold and moved; the most memory that the process had."""
    await bench.make_registry_topics()
    total = max(_BATCH, bench.amount(_CUSTOMERS) // _BATCH * _BATCH)
    url = await bench.service_database("scoring")
    key = await _key(url)
    (port,) = free_ports(1)
    environment = {
        "SCORING_DATABASE_URL": url,
        "SCORING_PORT": str(port),
        "OTKLIK_KAFKA_BOOTSTRAP_SERVERS": bench.kafka,
    }
    process = await bench.start_serving(port, "-m", "services.scoring", "all", environment=environment)
    connection = await asyncpg.connect(url)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    figures: list[Figure] = []
    base = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=_ANSWER_S) as client:
        meter = _Meter(bench, process, total)
        for first in range(0, total, _BATCH):
            bench.say(f"loading {first:,} of {total:,}")
            answer = await client.post("/v1/customers/batch", content=_batch(first))
            statuses = {each["status"] for each in answer.raise_for_status().json()["items"]}
            if statuses != {"created"}:
                raise RuntimeError(f"not all were created: {statuses}")
        await _drained(connection)
        figures.append(meter.figure("loaded, valued and published"))

        bench.say("a dry run")
        meter = _Meter(bench, process, total)
        moves = await _foretold(client)
        figures.append(meter.figure("foretold by a dry run"))

        bench.say("moving")
        meter = _Meter(bench, process, total)
        (await client.put("/v1/segment-rules", content=json.dumps(_RULES))).raise_for_status()
        await _drained(connection)
        moved = meter.figure("moved and published")
        moved.notes["moved"] = moves
        figures.append(moved)
    figures.append(
        Figure(
            stage="customers",
            name=f"memory at its highest, {total:,} customers",
            unit="MB",
            rounds=[process.memory_mb(peak=True)],
            goal=_MEMORY_GOAL_MB,
            better=Better.LOWER,
        )
    )
    await connection.close()
    process.stop()
    return figures


async def _foretold(client: httpx.AsyncClient) -> int:
    """How many would move; among many customers that is found out by the loop."""
    answer = await client.put("/v1/segment-rules", params={"dry_run": True}, content=json.dumps(_RULES))
    found = answer.raise_for_status().json()
    if answer.status_code == httpx.codes.ACCEPTED:
        async with asyncio.timeout(_DRAINED_S):
            while found["status"] == "running":
                await asyncio.sleep(0.25)
                found = (await client.get(answer.headers["Location"])).raise_for_status().json()
        found = found["result"]
    return sum(move["customers"] for move in found["moves"])


class _Meter:
    """What something cost, from now on."""

    def __init__(self, bench: Bench, process: Process, total: int) -> None:
        self._bench, self._process, self._total = bench, process, total
        self._cpu = process.cpu_seconds()
        self._postgres = cpu_of_postgres(bench)
        self._began = time.monotonic()

    def figure(self, name: str) -> Figure:
        """CPU time for each customer; the time that passed beside."""
        cpu = self._process.cpu_seconds() - self._cpu
        postgres = cpu_of_postgres(self._bench) - self._postgres
        return Figure(
            stage="customers",
            name=name,
            unit="µs/customer",
            rounds=[(cpu + postgres) / self._total * _MILLION],
            better=Better.LOWER,
            notes={
                "customers": self._total,
                "seconds": round(time.monotonic() - self._began, 1),
                "scoring, µs": round(cpu / self._total * _MILLION, 1),
                "PostgreSQL, µs": round(postgres / self._total * _MILLION, 1),
                "memory, MB": round(self._process.memory_mb(), 1),
            },
        )


def _batch(first: int) -> bytes:
    return json.dumps({"items": [_customer(number) for number in range(first, first + _BATCH)]}).encode()


def _customer(number: int) -> dict[str, Any]:
    return {
        "id": f"crm-{number:09}",
        "name": f"Анна Петрова {number}",
        "email": f"customer-{number}@example.com",
        "language": "ru",
        "time_zone": "Europe/Moscow",
        "account_id": None if number % 5 else f"account-{number // 25}",
        "account_role": None if number % 5 else "end_user",
        "current_value": number * 7919 % 1_000_003,
        "potential_value": number * 104_729 % 2_000_003,
        "attributes": {"region": f"r-{number % 80}", "seats": number % 40},
        "products": ["deposit"],
        "source_version": 1,
    }


async def _key(url: str) -> str:
    database = Database.connect(url, pool_size=1)
    try:
        async with database.transaction() as tx:
            return await create_key(tx, name="bench", scopes=_SCOPES)
    finally:
        await database.close()


async def _drained(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Until everybody has the tier that the rules in force give, and all is published."""
    waiting = """
        SELECT EXISTS (SELECT FROM outbox)
            OR EXISTS (SELECT FROM customers WHERE rules_version < (SELECT max(version) FROM segment_valuations))
    """
    async with asyncio.timeout(_DRAINED_S):
        while await connection.fetchval(waiting):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.25)
