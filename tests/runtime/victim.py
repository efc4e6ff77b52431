"""A consumer or a relay in a process of its own, which kills itself with SIGKILL at a named point.

`python victim.py consumer|relay POINT DATABASE_URL BOOTSTRAP_SERVERS TOPIC GROUP`
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.events.codec import Record
from libs.events.consumer import Consumer
from libs.events.database import Database, Tx
from libs.events.event import Event
from libs.events.health import Health
from libs.events.kafka import KafkaPublisher, KafkaSubscription, Offsets
from libs.events.outbox import Outgoing
from libs.events.relay import Relay
from libs.events.testing import CONSUMER, Effects, a_topic

POINT = sys.argv[2]


def reached(point: str) -> None:
    if point == POINT:
        os.kill(os.getpid(), signal.SIGKILL)


class Subscription(KafkaSubscription):
    @asynccontextmanager
    async def batch(self, limit: int, wait: timedelta) -> AsyncIterator[Sequence[Record]]:
        async with super().batch(limit, wait) as records:
            if records:
                reached("before the transaction")
            yield records

    async def commit(self, offsets: Offsets) -> None:
        reached("after the database commit")
        await super().commit(offsets)
        reached("after the offset commit")


class Publisher(KafkaPublisher):
    async def publish(self, records: Sequence[Outgoing]) -> None:
        reached("before it publishes")
        await super().publish(records)
        reached("after the acknowledgement")


class DyingRelay(Relay):
    async def relay_once(self, connection: AsyncConnection) -> int:
        published = await super().relay_once(connection)
        if published:
            reached("after it deleted")
        return published


def a_consumer(database: Database, servers: str, topic: str, group: str) -> Consumer:
    effects = Effects(database)

    async def handle(tx: Tx, events: Sequence[Event[Any]]) -> None:
        await effects.handle(tx, events)
        reached("in the handler")

    return Consumer(
        CONSUMER,
        a_topic(topic),
        handle,
        database=database,
        subscription=Subscription(bootstrap_servers=servers, group=group, topic=topic, session_timeout_ms=6_000),
        health=Health(),
    )


async def main() -> None:
    role, _, url, servers, topic, group = sys.argv[1:]
    database = Database.connect(url)
    if role == "consumer":
        await a_consumer(database, servers, topic, group).run(asyncio.Event())
    else:
        relay = DyingRelay("victim", database, Publisher(bootstrap_servers=servers), Health())
        await relay.run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main())
