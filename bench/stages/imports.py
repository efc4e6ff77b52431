"""Imports: a CSV file sent piece by piece as `otklik import` sends it; beside a script that stores the same rows."""

from __future__ import annotations

import asyncio
import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.bench import last_number
from bench.deliveries import SOURCE, operator
from bench.figures import Better, Figure, against_floor
from bench.servers import Ingest, cpu_of_postgres

if TYPE_CHECKING:
    import httpx

    from bench.bench import Bench

STAGE: Final = "imports"
_ROWS: Final = 100_000
_PIECE: Final = 2 << 20
_BOUND_S: Final = 300.0
_COMMENT: Final = "Заказ привезли на два дня позже, чем обещали, и никто не позвонил; the box was torn open"


async def run(bench: Bench) -> list[Figure]:
    """Rows a second, each of them new, and the memory of the process that takes them."""
    amount = bench.amount(_ROWS)
    ingest = await Ingest.start(bench, "api")
    files = _Files(bench, amount)
    cpu: dict[str, float] = {"our": 0.0, "postgresql": 0.0}

    async def floor() -> float:
        # Its tables are as full as ours: what grows costs both the same.
        return last_number(await asyncio.to_thread(bench.run, "-m", "bench.floors.file_rows", floor_url, files.next()))

    async def ours() -> float:
        path = Path(files.next())
        own, server = ingest.process.cpu_seconds(), cpu_of_postgres(bench)
        per_second = await _import(client, path, amount)
        cpu["our"] += ingest.process.cpu_seconds() - own
        cpu["postgresql"] += cpu_of_postgres(bench) - server
        return per_second

    floor_url = await bench.service_database("ingest")
    async with await operator(ingest.url, ingest.port) as client:
        measured_floor, measured = await bench.in_turns(floor, ours)
    peak = ingest.process.memory_mb(peak=True)
    ingest.process.stop()
    return [
        against_floor(
            STAGE,
            f"rows of a file of {amount:,}".replace(",", "\u202f"),
            floor_name="a CSV reader, one raw statement per 500",
            floor=measured_floor,
            ours=measured,
            measured_in="rows/s",
            notes={f"{who}_cpu_us": round(used / (amount * len(measured)) * 1e6, 1) for who, used in cpu.items()},
        ),
        Figure(
            stage=STAGE, name="memory, at its highest", unit="MB", rounds=[peak], red=250, goal=130, better=Better.LOWER
        ),
    ]


class _Files:
    """Files whose rows are all different."""

    def __init__(self, bench: Bench, rows: int) -> None:
        self._bench = bench
        self._rows = rows
        self._made = 0

    def next(self) -> str:
        """One more."""
        first = self._made * self._rows
        self._made += 1
        path = self._bench.folder / f"rows-{self._made}.csv"
        with path.open("w", encoding="utf-8") as file:
            file.write("response_id,answered_at,score,comment,customer_id,touchpoint,language\n")
            for number in range(first, first + self._rows):
                file.write(
                    f"r-{number:09d},2026-03-02T08:28:11+00:00,{number % 11},"
                    f'"{_COMMENT} {number}",'
                    f"c-{number % 50_000:06d},branch-{number % 40},ru\n"
                )
        return str(path)


async def _import(client: httpx.AsyncClient, path: Path, rows: int) -> float:
    content = path.read_bytes()
    query = {"source": SOURCE, "digest": hashlib.sha256(content).hexdigest(), "size": str(len(content))}
    began = time.perf_counter()
    answer = await client.post("/v1/imports", params=query)
    answer.raise_for_status()
    state: dict[str, Any] = answer.json()
    while not state["finished"]:
        place: int = state["offset"]
        piece = content[place : place + _PIECE]
        path_of_it = f"/v1/imports/{state['id']}/content"
        answer = await client.put(path_of_it, params={"offset": str(place)}, content=piece, timeout=_BOUND_S)
        answer.raise_for_status()
        state = answer.json()
    took = time.perf_counter() - began
    if state["accepted"] != rows:
        raise RuntimeError(f"of {rows} rows: {state}")
    return rows / took
