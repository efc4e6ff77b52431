"""How a consumer fetches: long while nothing comes, and never in the way of what has come.

aiokafka has one fetch under way per broker, and the broker answers whatever comes over a connection in order. With
short fetches that costs an idle system a wake-up of both sides for each; with long ones, as aiokafka sends them, it
costs whoever has to wait for the end of one:

    partitions left out of a fetch          aiokafka fetches without those whose records were not taken within 0.1 s
    partitions rewound or handed over       the fetch under way asks for what is no longer wanted
    requests for topics and for offsets     they follow the fetch over its connection

Here no fetch leaves a partition out, one that is of no use any more is given up together with its connection, and
fetches have a connection of their own. What is fetched is then never late, however long the fetches are.

Nor is anything fetched while a batch is in hand: it would be the first record that comes, and all that come after it
would wait for one batch more. What has gathered meanwhile makes one batch.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from aiokafka.protocol.fetch import FetchRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aiokafka import AIOKafkaConsumer, TopicPartition
    from aiokafka.client import AIOKafkaClient
    from aiokafka.consumer.fetcher import Fetcher

FETCH_MS: Final = 10_000
"""How long the broker keeps a fetch that finds nothing. It answers the moment there is a record."""
_ROUND_SECONDS: Final = 1.0
_UNTAKEN_SECONDS: Final = 3600.0
_CONNECTION: Final = "fetching"
"""aiokafka numbers its kinds of connections, and takes any key for one."""


def fetch_patiently(consumer: AIOKafkaConsumer) -> None:
    """Let a consumer that was started, and has not subscribed yet, fetch as told above; aiokafka has no option."""
    fetcher = consumer._fetcher  # noqa: SLF001 - see above, here and below
    fetcher._client = _Line(consumer._client, fetcher)  # noqa: SLF001
    fetcher._fetch_max_wait_ms = FETCH_MS  # noqa: SLF001
    # It comes round for each fetch, and for what is taken or sought; else only in case it missed one of these.
    fetcher._fetcher_timeout = _ROUND_SECONDS  # noqa: SLF001
    # Until all that was fetched is taken, the next fetch waits, so that it can ask for all partitions.
    fetcher._prefetch_backoff = _UNTAKEN_SECONDS  # noqa: SLF001


def seek(consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> None:
    """Go on at other offsets, and at once: give up the fetch under way, which asks for those of before."""
    for partition, offset in offsets.items():
        consumer.seek(partition, offset)
    consumer._fetcher._client.give_up()  # noqa: SLF001


@contextmanager
def fetching(consumer: AIOKafkaConsumer) -> Iterator[None]:
    """Let fetches be sent inside the block: somebody waits for records."""
    wanted = consumer._fetcher._client.wanted  # noqa: SLF001
    wanted.set()
    try:
        yield
    finally:
        wanted.clear()


class _Line:
    """aiokafka's client for its fetcher: fetches go over a connection of their own, and can be given up."""

    def __init__(self, client: AIOKafkaClient, fetcher: Fetcher) -> None:
        self._client = client
        self._fetcher = fetcher
        self.wanted: Final = asyncio.Event()
        self._under_way: set[asyncio.Task[Any]] = set()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else the fetcher wants of its client
        return getattr(self._client, name)

    async def send(self, node: int, request: Any) -> Any:  # noqa: ANN401 - aiokafka publishes no types
        """Send a request of the fetcher's."""
        if not isinstance(request, FetchRequest):
            return await self._client.send(node, request)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in one
        self._under_way.add(task)
        try:
            await self.wanted.wait()
            return await self._fetch(node, request)
        finally:
            self._under_way.discard(task)

    async def _fetch(self, node: int, request: FetchRequest) -> Any:  # noqa: ANN401 - aiokafka publishes no types
        try:
            return await self._client.send(node, request, group=_CONNECTION)
        except asyncio.CancelledError:
            # The broker keeps the fetch all the same, and would answer the next one after it.
            connection = self._client._conns.pop((node, _CONNECTION), None)  # noqa: SLF001
            if connection is not None:
                connection.close()
            raise

    def give_up(self) -> None:
        """End the fetches under way; the fetcher begins anew."""
        # Only inside of `send`: elsewhere a cancellation would be the end of the whole fetcher.
        for task in self._under_way:
            # The fetcher may have come round just before it took note of the end, and would then wait in vain.
            task.add_done_callback(self._come_round)
            task.cancel()

    def _come_round(self, _: object) -> None:
        self._fetcher._notify(self._fetcher._wait_consume_future)  # noqa: SLF001
