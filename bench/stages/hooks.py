"""Web hooks out: the real loop of notify to a receiver on this machine, beside aiohttp sending bytes ready.

Four subscriptions share the receiver, and all wait in the table: the worker claims, signs, posts and settles. The
receiver counts, from the first delivery to the last; at the end each has come once, and each row says so.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.request import urlopen

import asyncpg

from bench.bench import last_number
from bench.figures import against_floor
from deploy.local.ports import free_ports

if TYPE_CHECKING:
    from pathlib import Path

    from bench.bench import Bench, Process
    from bench.figures import Figure

_DELIVERIES: Final = 40_000
_SUBSCRIPTIONS: Final = 4
_IN_FLIGHT: Final = 64
_RED, _GOAL = 0.15, 0.35
_BOUND_S: Final = 300.0
_POLL_S: Final = 0.1
_SECRET: Final = "a secret of forty-three characters, or so.."  # noqa: S105 - of links that nobody opens
_BODY: Final = {
    "type": "case.opened.v1",
    "timestamp": "2026-03-02T09:14:27.412000Z",
    "id": "58f7b4c1-4a9b-5686-98ce-ed23c7e504e6",
    "subject": "c0a8f0de-2a34-5b6e-8a2b-7d3f5e9a1c22",
    "data": {
        "case_id": "c0a8f0de-2a34-5b6e-8a2b-7d3f5e9a1c22",
        "customer_id": "customer-18211",
        "version": 1,
        "response_id": "7d9b4f6a-6f57-5a0e-9b57-0c3f2b8f5d11",
        "program": "relationship-2026",
        "touchpoint": "call-centre",
        "score": 3,
        "tier": "key",
        "level": "frontline",
        "owner": {"employee_id": "e-42", "language": "ru"},
        "answered_at": "2026-03-02T09:12:11Z",
        "first_contact_due_at": "2026-03-04T09:12:11Z",
        "resolution_due_at": "2026-03-12T09:12:11Z",
        "priority": 71,
    },
}
_SUBSCRIBE: Final = """
    INSERT INTO subscriptions (id, owner, name, url, types, sees, contact_id, contact_name, contact_email,
                               contact_language, secret, created_at, changed_at)
    SELECT md5('subscription ' || n)::uuid, 'bench', 'bench ' || n, $1 || n, ARRAY['*'], 'facts', 'e-1', 'Anna',
           'anna@company.example', 'en', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=', now(), now()
      FROM generate_series(1, $2::int) AS n
"""
_FILL: Final = """
    WITH events AS (SELECT md5($1 || n)::uuid AS id FROM generate_series(1, $2::int) AS n),
         bodies AS (
             INSERT INTO hook_bodies (event_id, sees, customer_id, body, created_at)
             SELECT id, 'facts', 'customer-18211', $3, now() FROM events)
    INSERT INTO hook_deliveries (subscription_id, event_id, type, sees, status, due_at, created_at, changed_at)
    SELECT s.id, e.id, 'case.opened.v1', 'facts', 'pending', now(), now(), now()
      FROM events e CROSS JOIN subscriptions s
"""
_DELIVERED: Final = "SELECT count(*) FROM hook_deliveries WHERE status = 'delivered' AND failures = 0"


@dataclass(frozen=True, slots=True)
class _Seen:
    amount: int
    distinct: int
    seconds: float


async def run(bench: Bench) -> list[Figure]:
    """Deliveries a second."""
    amount = bench.amount(_DELIVERIES, at_least=4_000)
    port, worker_port = free_ports(2)
    await bench.make_registry_topics()
    await bench.start_serving(port, "-m", "bench.floors.hook_sink", str(port))
    body = json.dumps(_BODY).encode()
    content = bench.folder / "hook.json"
    content.write_bytes(body)
    url = await bench.service_database("notify")
    worker = await bench.start_serving(
        worker_port,
        "-m",
        "services.notify",
        "worker",
        environment={
            "NOTIFY_DATABASE_URL": url,
            "NOTIFY_PORT": str(worker_port),
            "NOTIFY_LINK_SECRET": _SECRET,
            "NOTIFY_HOOKS_ALLOWED_NETWORKS": "127.0.0.0/8",
            "NOTIFY_HOOKS_PLAIN_HTTP": "true",
            "OTKLIK_KAFKA_BOOTSTRAP_SERVERS": bench.kafka,
        },
    )
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_SUBSCRIBE, f"http://127.0.0.1:{port}/", _SUBSCRIPTIONS)
        return await _measured(bench, connection, worker, port, content, amount)
    finally:
        await connection.close()
        worker.stop()


async def _measured(
    bench: Bench,
    connection: asyncpg.Connection[asyncpg.Record],
    worker: Process,
    port: int,
    content: Path,
    amount: int,
) -> list[Figure]:
    cpu: list[float] = []
    floors_cpu: list[float] = []
    rounds = 0

    async def ours() -> float:
        nonlocal rounds
        rounds += 1
        await _ask(port, "begin")
        used = worker.cpu_seconds()
        events = amount // _SUBSCRIPTIONS
        await connection.execute(_FILL, f"round {rounds} event ", events, content.read_bytes())
        deadline = time.monotonic() + _BOUND_S
        while await connection.fetchval(_DELIVERED) < rounds * events * _SUBSCRIPTIONS:
            if worker.popen.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(worker.log.read_text(encoding="utf-8", errors="replace")[-2000:])
            await asyncio.sleep(_POLL_S)
        seen = await _ask(port, "seen")
        if seen.amount != seen.distinct or seen.distinct != events * _SUBSCRIPTIONS:
            raise RuntimeError(f"{events * _SUBSCRIPTIONS} deliveries, and the receiver has seen {seen}")
        cpu.append((worker.cpu_seconds() - used) / seen.amount * 1e6)
        return seen.amount / seen.seconds

    async def floor() -> float:
        arguments = (str(port), str(_IN_FLIGHT), str(amount), str(content))
        said = await asyncio.to_thread(bench.run, "-m", "bench.floors.http_aiohttp", *arguments)
        floors_cpu.append(float(said.split()[0]))
        return last_number(said)

    await ours()  # the first round of a process carries its first plans and its connections
    cpu.clear()
    measured_floor, measured = await bench.in_turns(floor, ours)
    return [
        against_floor(
            "hooks",
            "web hooks claimed, signed, delivered and settled",
            floor_name="aiohttp, 64 in flight, bytes ready",
            floor=measured_floor,
            ours=measured,
            measured_in="deliveries/s",
            red=_RED,
            goal=_GOAL,
            notes={
                "cpu_us": round(sum(cpu) / len(cpu), 1),
                "floor_cpu_us": round(sum(floors_cpu) / len(floors_cpu), 1),
            },
        )
    ]


async def _ask(port: int, what: str) -> _Seen:
    def asked() -> bytes:
        with urlopen(f"http://127.0.0.1:{port}/{what}") as answer:
            content: bytes = answer.read()
        return content

    return _Seen(**json.loads(await asyncio.to_thread(asked)))
