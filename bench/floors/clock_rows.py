"""The floor of the clocks: due cases claimed 100 a transaction, one update and one row for the event of each.

python -m bench.floors.clock_rows DSN     fires all that are due, and prints how many a second
"""

from __future__ import annotations

import asyncio
import sys
import time

import asyncpg

DSN = sys.argv[1]
CLAIM = """
SELECT id, event_key, resolution_warn_at FROM cases WHERE fires_at <= $1 ORDER BY fires_at LIMIT 100
   FOR UPDATE SKIP LOCKED
"""
UPDATE = """
UPDATE cases SET first_contact_stage = 'breached', level = 'management', version = version + 1, fires_at = fired.next
  FROM unnest($1::uuid[], $2::timestamptz[]) AS fired (id, next)
 WHERE cases.id = fired.id
"""
TELL = """
INSERT INTO outbox (topic, key, headers, value, emitted_at)
SELECT 'casework.cases', key, $2, $3, now() FROM unnest($1::text[]) AS fired (key)
"""


async def main() -> None:
    """Fire, and say how fast it went."""
    connection = await asyncpg.connect(DSN)
    claim, update, tell = [await connection.prepare(each) for each in (CLAIM, UPDATE, TELL)]
    now = await connection.fetchval("SELECT now()")
    fired = 0
    began = time.perf_counter()
    while True:
        async with connection.transaction():
            rows = await claim.fetch(now)
            if not rows:
                break
            await update.fetch([row[0] for row in rows], [row[2] for row in rows])
            await tell.fetch([row[1] for row in rows], b"h" * 270, b"v" * 400)
        fired += len(rows)
    print(fired / (time.perf_counter() - began))  # noqa: T201 - its output is its result
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main())
