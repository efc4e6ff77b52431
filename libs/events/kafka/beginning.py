"""How a client of aiokafka's begins: within a bound, and only where the broker knows of brokers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiokafka.errors import NodeNotReadyError

from libs.events.kafka import bounds

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
    from aiokafka.client import AIOKafkaClient


async def begin(started: AIOKafkaConsumer | AIOKafkaProducer, client: AIOKafkaClient) -> None:
    """Start a consumer or a producer, whose client is this; raises KafkaError, OSError.

    A broker that was frozen for longer than its session answers before its controller counts it again, and names no
    brokers. aiokafka goes on all the same: a producer asks then without a pause, and the task of a group dies of an
    assertion.
    """
    bootstrap = client.bootstrap

    async def find_brokers() -> None:
        await bootstrap()
        if not client.cluster.brokers():
            raise NodeNotReadyError("the broker names no brokers yet")

    client.bootstrap = find_brokers
    async with asyncio.timeout(bounds.START_SECONDS):
        await started.start()
