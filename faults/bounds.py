"""What a build may hold at rest: memory, connections, open transactions; as the system and the server see it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import asyncpg

if TYPE_CHECKING:
    from faults.stage import Stage

MEMORY_MB: Final = 250
"""Of one process; the red line of the product's own figures."""
CONNECTIONS: Final = 16
"""Of one service: the largest pool, the relay's and the sender's own, and the ledger's."""
TRANSACTION_S: Final = 30
_CONNECTIONS: Final = "SELECT usename, count(*) FROM pg_stat_activity WHERE datname = current_database() GROUP BY 1"
_OLD_TRANSACTIONS: Final = """
    SELECT usename, pid, state, left(query, 80) AS query FROM pg_stat_activity
     WHERE datname = current_database() AND xact_start < now() - make_interval(secs => $1)
"""


async def beyond_bounds(stage: Stage) -> list[str]:
    """Whatever is more than it may be."""
    found = [
        f"{name} has {memory} MB of memory, more than {MEMORY_MB}"
        for name, process in stage.services.items()
        if (memory := memory_mb(process.pid)) > MEMORY_MB
    ]
    connection = await asyncpg.connect(stage.admin_dsn)
    try:
        found += [
            f"{row['usename']} has {row['count']} connections, more than {CONNECTIONS}"
            for row in await connection.fetch(_CONNECTIONS)
            if row["usename"] in stage.names and row["count"] > CONNECTIONS
        ]
        found += [
            f"{row['usename']}'s transaction {row['pid']} is open for more than {TRANSACTION_S} s: {row['query']}"
            for row in await connection.fetch(_OLD_TRANSACTIONS, TRANSACTION_S)
        ]
    finally:
        await connection.close()
    return found


def memory_mb(pid: int, *, peak: bool = False) -> int:
    """A process's memory, as the system sees it now, or the most that it ever was."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    name = "VmHWM:" if peak else "VmRSS:"
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name)) // 1024
