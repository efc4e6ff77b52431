"""A process of a consumer whose handler kills it with SIGKILL when it has a poison in hand.

`python mortal.py DATABASE_URL FOLDER`, with the records in FOLDER/records.json. Their broker is in memory, so each life
begins with the same records; the committed offsets outlive it in FOLDER, as they do with the real one.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from libs.events.consumer import Consumer
from libs.events.database import Database, Tx
from libs.events.event import Event
from libs.events.health import Health
from libs.events.testing import CONSUMER, Effects, MemoryBroker, MemorySubscription, a_topic, an_answer, an_outgoing

URL, FOLDER = sys.argv[1], Path(sys.argv[2])


class Subscription(MemorySubscription):
    def __init__(self, broker: MemoryBroker, topic: str, batch: int) -> None:
        super().__init__(broker, CONSUMER, topic, timedelta(seconds=60))
        self._offsets = FOLDER / f"{topic}.offsets.json"
        if self._offsets.exists():
            broker.group(CONSUMER).committed |= {
                (topic, int(partition)): offset for partition, offset in json.loads(self._offsets.read_text()).items()
            }
        self._broker = broker
        self._batch = batch

    async def commit(self, offsets: dict[tuple[str, int], int]) -> None:
        await super().commit(offsets)
        topic = self.topics[0]
        self._offsets.write_text(json.dumps(self._broker.committed(CONSUMER, topic)))

    def batch(self, limit: int, wait: timedelta) -> Any:  # noqa: ANN401 - whatever the memory broker's gives
        return super().batch(min(limit, self._batch), wait)


async def main() -> None:
    scenario = json.loads((FOLDER / "records.json").read_text())
    database = Database.connect(URL)
    effects = Effects(database)
    stop, alone = asyncio.Event(), asyncio.Lock()

    async def handle(tx: Tx, events: Sequence[Event[Any]]) -> None:
        await effects.handle(tx, events)
        # Some are slow, so that a neighbour's poison finds them in hand.
        await asyncio.sleep(sum(0.1 for event in events if str(event.id) in scenario["slow"]))
        if any(str(event.id) in scenario["poison"] for event in events):
            os.kill(os.getpid(), signal.SIGKILL)

    topics = [a_topic(name, partitions=scenario["partitions"]) for name in scenario["topics"]]
    broker = MemoryBroker(*topics)
    for name, records in scenario["topics"].items():
        for id_, customer, number in records:
            broker.write(an_outgoing(an_answer(customer, number, id_=UUID(id_)), topic=name, key=customer))
    consumers = [
        Consumer(
            CONSUMER,
            topic,
            handle,
            database=database,
            subscription=Subscription(broker, topic.name, scenario["batch"]),
            health=Health(),
            alone=alone,
        )
        for topic in topics
    ]
    running = [asyncio.create_task(consumer.run(stop)) for consumer in consumers]
    while any(broker.lag(CONSUMER, topic.name) for topic in topics):
        for task in running:
            if task.done():
                task.result()
        await asyncio.sleep(0.01)
    stop.set()
    await asyncio.gather(*running)
    await database.close()


if __name__ == "__main__":
    asyncio.run(main())
