"""The floor of imports: a CSV file is read, and its rows are stored by one raw statement for 500 of them.

python -m bench.floors.file_rows DSN FILE     prints rows per second
"""

from __future__ import annotations

import asyncio
import csv
import sys
import time
from itertools import islice
from pathlib import Path

import asyncpg

from bench.floors.response_rows import store

DSN, FILE = sys.argv[1:3]
BATCH = 500


async def main() -> None:
    """Read, store, and say how fast it went."""
    connection = await asyncpg.connect(DSN)
    stored = 0
    began = time.perf_counter()
    with Path(FILE).open(encoding="utf-8", newline="") as file:  # noqa: ASYNC230 - nothing else goes on
        rows = csv.DictReader(file)
        while batch := list(islice(rows, BATCH)):
            await store(connection, batch)
            stored += len(batch)
    print(stored / (time.perf_counter() - began))  # noqa: T201 - its output is its result
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main())
