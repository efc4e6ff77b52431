"""The floor of the relay: aiokafka produces records as they are, all replicas, idempotent, every one acknowledged.

python -m bench.floors.kafka_produce BOOTSTRAP TOPIC FILE BATCH
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import msgspec
import uvloop
from aiokafka import AIOKafkaProducer

BOOTSTRAP, TOPIC, FILE, BATCH = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
RECORDS = msgspec.msgpack.decode(FILE.read_bytes(), type=list[tuple[bytes, bytes, list[tuple[str, bytes]]]])


async def main() -> None:
    """Print records a second."""
    producer = AIOKafkaProducer(
        bootstrap_servers=BOOTSTRAP, acks="all", enable_idempotence=True, max_batch_size=256 * 1024
    )
    await producer.start()
    await producer.partitions_for(TOPIC)
    began = time.perf_counter()
    for place in range(0, len(RECORDS), BATCH):
        sent = [
            await producer.send(TOPIC, value, key, headers=headers)
            for key, value, headers in RECORDS[place : place + BATCH]
        ]
        await asyncio.gather(*sent)
    took = time.perf_counter() - began
    await producer.stop()
    print(len(RECORDS) / took)  # noqa: T201 - its output is its result


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
