"""Lists: 50 cases out of a million over REST, by status, by owner, by what is due."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import asyncpg

from bench.company import fill_cases, hire
from bench.figures import Figure, against_floor
from bench.load import write_requests
from deploy.local.ports import free_ports
from libs.events.database import Database
from libs.webapi.keys import create_key
from services.casework.store.reading import list_statement

if TYPE_CHECKING:
    from pathlib import Path

    from bench.bench import Bench

_CASES: Final = 1_000_000
_CONNECTIONS: Final = 16
_SECONDS: Final = 4.0
_LIMIT: Final = 50


async def run(bench: Bench) -> list[Figure]:
    """Requests per second of three lists, each beside the same statement behind a bare app."""
    amount = bench.amount(_CASES)
    url = await bench.service_database("casework")
    connection = await asyncpg.connect(url)
    await hire(connection)
    bench.say(f"filling {amount} cases")
    await fill_cases(connection, amount)
    await connection.close()
    database = Database.connect(url)
    async with database.transaction() as tx:
        key = await create_key(tx, name="bench", scopes=["cases:read"])

    due_before = datetime.now(UTC) + timedelta(days=2)
    lists: dict[str, dict[str, Any]] = {
        "open": {"status": "open"},
        "owner": {"owner": "agent-7"},
        "due": {"due_before": due_before},
    }
    statements = bench.folder / "lists.json"
    bare = {f"/{name}": _compiled(database, filters) for name, filters in lists.items()}
    statements.write_text(json.dumps(bare), encoding="utf-8")
    await database.close()
    port, floor_port = free_ports(2)
    environment = {"CASEWORK_DATABASE_URL": url, "CASEWORK_PORT": str(port)}
    server = await bench.start_serving(port, "-m", "services.casework", "api", environment=environment)
    floor_server = await bench.start_serving(
        floor_port, "-m", "bench.floors.http_list", str(floor_port), url, str(statements)
    )
    figures = []
    for name, filters in lists.items():
        path = "/v1/cases?" + urlencode(
            {each: value.isoformat() if each == "due_before" else value for each, value in filters.items()}
            | {"limit": _LIMIT}
        )
        ours_file = _request(bench.folder / f"{name}.bin", path, key)
        floor_file = _request(bench.folder / f"{name}-floor.bin", f"/{name}", key)

        async def ours(file: Path = ours_file) -> float:
            return await _load(bench, port, file)

        async def floor(file: Path = floor_file) -> float:
            return await _load(bench, floor_port, file)

        await ours()
        raw, measured = await bench.in_turns(floor, ours)
        figures.append(
            against_floor(
                "lists",
                f"50 of {amount:,} cases, by {name}".replace(",", "\u202f"),
                floor_name="the same SQL behind bare ASGI",
                floor=raw,
                ours=measured,
                measured_in="req/s",
                red=0.10,
                goal=0.20,
            )
        )
    server.stop()
    floor_server.stop()
    return figures


def _compiled(database: Database, filters: dict[str, Any]) -> tuple[str, list[object]]:
    """The SQL that the list runs, as the driver gets it, with its parameters; instants as text after an @."""
    nothing: dict[str, Any] = dict.fromkeys(("after", "status", "owner", "level", "tier", "due_before", "customer"))
    compiled = list_statement(limit=_LIMIT + 1, **(nothing | filters)).compile(dialect=database.engine.dialect)
    values = [compiled.params[name] for name in compiled.positiontup or ()]
    return str(compiled), [f"@{value.isoformat()}" if isinstance(value, datetime) else value for value in values]


def _request(file: Path, path: str, key: str) -> Path:
    write_requests(file, [f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n".encode()])
    return file


async def _load(bench: Bench, port: int, file: Path) -> float:
    seconds = max(1.0, _SECONDS * bench.scale)
    arguments = ("--port", port, "--connections", _CONNECTIONS, "--seconds", seconds, file)
    output = await asyncio.to_thread(bench.run, "-m", "bench.load", *map(str, arguments))
    result = json.loads(output)
    if set(result["statuses"]) != {"200"}:
        raise RuntimeError(f"answers: {result['statuses']}")
    return float(result["per_second"])
