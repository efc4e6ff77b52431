"""Statistics over ten million answers: NPS over REST for filters and groupings, from first byte to last.

The counts are filled directly (`bench.counts`), as two years of answers leave them, with 5,000 answers that are not
counted in yet, and with the answers of the two days whose hours a period cuts. One request at a time, on a kept
connection; the milliseconds include the service, its database and the network of one machine.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from bench.counts import fill_counts
from bench.figures import Better, Figure
from bench.load import write_requests
from deploy.local.ports import free_ports
from libs.events.database import Database
from libs.webapi.keys import create_key

if TYPE_CHECKING:
    from pathlib import Path

    from bench.bench import Bench

_FIRST: Final = date(2024, 1, 1)
_DAYS: Final = 731
_SECONDS: Final = 4.0
_RED_MS, _GOAL_MS = 200.0, 100.0


async def run(bench: Bench) -> list[Figure]:
    """Milliseconds of each question, the median and the 99th percentile of a request alone."""
    last = _FIRST + timedelta(days=max(70, bench.amount(_DAYS)) - 1)
    edges = (_FIRST + timedelta(days=10), last - timedelta(days=10))
    url = await bench.service_database("scoring")
    bench.say("filling counts")
    counted = await fill_counts(url, _FIRST, last, edges)
    database = Database.connect(url)
    async with database.transaction() as tx:
        key = await create_key(tx, name="bench", scopes=["metrics:read"])
    await database.close()
    (port,) = free_ports(1)
    environment = {"SCORING_DATABASE_URL": url, "SCORING_PORT": str(port)}
    server = await bench.start_serving(port, "-m", "services.scoring", "api", environment=environment)
    figures = []
    for name, params in _questions(edges).items():
        request = (
            f"GET /v1/metrics/nps?{urlencode(params)} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n"
        )
        file = bench.folder / "question.bin"
        write_requests(file, [request.encode()])
        await _ask(bench, port, file)
        rounds = [await _ask(bench, port, file) for _ in range(bench.rounds)]
        figures.append(
            Figure(
                stage="statistics",
                name=f"{name}, of {counted:,} answers".replace(",", "\u202f"),
                unit="ms",
                rounds=[each["p50_ms"] for each in rounds],
                red=_RED_MS,
                goal=_GOAL_MS,
                better=Better.LOWER,
                notes={"p99_ms": round(max(each["p99_ms"] for each in rounds), 1)},
            )
        )
    server.stop()
    return figures


def _questions(edges: tuple[date, date]) -> dict[str, dict[str, str]]:
    """What is asked, by what it is called: wide and narrow, by each kind of group."""
    since, until = (datetime.combine(day, time(9, 30), UTC).isoformat() for day in edges)
    narrow = {"program": "program-1", "touchpoint": "touchpoint-1", "segment": "key", "region": "region-3"}
    return {
        "all": {},
        "by touchpoint, hours at both edges": {"by": "touchpoint", "from": since, "to": until},
        "by segment": {"by": "segment"},
        "by region": {"by": "region"},
        "by department": {"by": "department"},
        "by day": {"by": "day"},
        "by week, of key customers": {"by": "week", "segment": "key"},
        "by month, of one region": {"by": "month", "region": "region-3"},
        "weighted, by region": {"by": "region", "weights": "customers"},
        "four filters, by day": narrow | {"by": "day"},
    }


async def _ask(bench: Bench, port: int, file: Path) -> dict[str, Any]:
    seconds = max(1.0, _SECONDS * bench.scale)
    arguments = ("--port", port, "--connections", 1, "--seconds", seconds, file)
    result: dict[str, Any] = json.loads(await asyncio.to_thread(bench.run, "-m", "bench.load", *map(str, arguments)))
    if set(result["statuses"]) != {"200"}:
        raise RuntimeError(f"answers: {result['statuses']}")
    return result
