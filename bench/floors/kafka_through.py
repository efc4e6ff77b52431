"""The floor of scoring: read a topic in a group, write a record as large for each, commit the offsets, batch by batch.

python -m bench.floors.kafka_through BOOTSTRAP FROM TO TOTAL BATCH SIZE
"""

from __future__ import annotations

import asyncio
import sys
import time

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

BOOTSTRAP, FROM, TO = sys.argv[1:4]
TOTAL, BATCH, SIZE = map(int, sys.argv[4:7])


async def main() -> None:
    """Print records a second."""
    producer = AIOKafkaProducer(
        bootstrap_servers=BOOTSTRAP, acks="all", enable_idempotence=True, max_batch_size=256 * 1024
    )
    consumer = AIOKafkaConsumer(
        FROM,
        bootstrap_servers=BOOTSTRAP,
        group_id=f"floor-of-{TO}",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    await producer.start()
    await consumer.start()
    done, first, began = 0, 0, 0.0
    while done < TOTAL:
        fetched = await consumer.getmany(timeout_ms=1000, max_records=BATCH)
        records = [record for of_partition in fetched.values() for record in of_partition]
        sent = [
            await producer.send(TO, record.value[:SIZE].ljust(SIZE), record.key, headers=list(record.headers))
            for record in records
        ]
        await asyncio.gather(*sent)
        if records:
            await consumer.commit({place: of[-1].offset + 1 for place, of in fetched.items()})
        done += len(records)
        if not began and done:
            # From here on, as the product is measured: without its first batch.
            first, began = done, time.perf_counter()
    took = time.perf_counter() - began
    await consumer.stop()
    await producer.stop()
    print((done - first) / took)  # noqa: T201 - its output is its result


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
