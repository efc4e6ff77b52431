"""The floor of projections: read a topic in a group, decode each record, one upsert a batch, commit the offsets.

python -m bench.floors.kafka_to_table BOOTSTRAP TOPIC DATABASE TOTAL BATCH

Records are decoded as what they are, not as anything; the table has the columns of a projection and its primary key.
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer

BOOTSTRAP, TOPIC, DATABASE = sys.argv[1:4]
TOTAL, BATCH = map(int, sys.argv[4:6])

TABLE = """
    CREATE TABLE floor (
        event_id uuid PRIMARY KEY,
        type text NOT NULL,
        subject text NOT NULL,
        happened_at timestamptz NOT NULL,
        facts jsonb NOT NULL
    )
"""
UPSERT = """
    INSERT INTO floor (event_id, type, subject, happened_at, facts)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::jsonb[])
        ON CONFLICT (event_id) DO UPDATE SET facts = excluded.facts
"""


class Score(msgspec.Struct):
    """The payload."""

    response_id: str
    revision: int
    program: str
    touchpoint: str | None
    kind: str
    metric: str
    score: int | None
    nps_class: str | None
    comment: str | None
    customer_id: str | None
    account_id: str | None
    tier: str
    tier_reason: str
    language: str | None
    instrument_id: str
    instrument_version: int
    answered_at: datetime


DECODE = msgspec.json.Decoder(Score).decode
ENCODE = msgspec.json.Encoder().encode


async def main() -> None:
    """Print records a second."""
    connection = await asyncpg.connect(DATABASE)
    await connection.execute("DROP TABLE IF EXISTS floor")
    await connection.execute(TABLE)
    upsert = await connection.prepare(UPSERT)
    consumer = AIOKafkaConsumer(
        TOPIC,
        bootstrap_servers=BOOTSTRAP,
        group_id=f"floor-of-{time.time_ns()}",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    await consumer.start()
    done, first, began = 0, 0, 0.0
    while done < TOTAL:
        fetched = await consumer.getmany(timeout_ms=1000, max_records=BATCH)
        rows = []
        for of_partition in fetched.values():
            for record in of_partition:
                headers = dict(record.headers)
                payload = DECODE(record.value)
                rows.append(
                    (
                        UUID(headers["ce_id"].decode()),
                        headers["ce_type"].decode(),
                        headers["ce_subject"].decode(),
                        datetime.fromisoformat(headers["ce_time"].decode()),
                        ENCODE(payload).decode(),
                    )
                )
        if rows:
            await upsert.fetch(*(list(column) for column in zip(*rows, strict=True)))
            await consumer.commit({place: of[-1].offset + 1 for place, of in fetched.items()})
        done += len(rows)
        if not began and done:
            # From here on, as the product is measured: without its first batch.
            first, began = done, time.perf_counter()
    took = time.perf_counter() - began
    await consumer.stop()
    await connection.close()
    print((done - first) / took)  # noqa: T201 - its output is its result


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
