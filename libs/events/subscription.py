"""What a consumer needs of the broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import timedelta

    from libs.events.codec import Record


class Subscription(Protocol):
    """One member of a consumer group: real Kafka, or the memory broker of the tests."""

    assignment: int
    """How many times partitions have been handed to this member."""

    async def start(self) -> None:
        """Join, where that is not done; raises Unavailable."""

    async def stop(self) -> None:
        """Leave."""

    def batch(self, limit: int, wait: timedelta) -> AbstractAsyncContextManager[Sequence[Record]]:
        """Up to `limit` records in order per partition; a rebalance waits until the block is left."""

    async def commit(self, offsets: dict[tuple[str, int], int]) -> None:
        """Note the next offset to be read of each (topic, partition)."""

    def rewind(self, records: Sequence[Record]) -> None:
        """Deliver `records` again at the next poll, where their partitions are still ours."""

    async def reachable(self) -> None:
        """Raise Unavailable unless a broker answers."""
