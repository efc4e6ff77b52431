"""The way out of Kafka: one member of a consumer group, whose offsets move only when it says so."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from libs.events.errors import Unavailable
from libs.events.kafka import bounds
from libs.events.kafka.beginning import begin
from libs.events.kafka.fetching import fetch_patiently, fetching, seek
from libs.events.kafka.parting import away, end_tasks
from libs.events.kafka.reading import record_of
from libs.events.offsets import lost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from datetime import timedelta

    from aiokafka import ConsumerRecord

    from libs.events.codec import Record
    from libs.events.offsets import Begun

log: Final = structlog.get_logger()

Offsets = dict[tuple[str, int], int]
"""The next offset to be read, by topic and partition: the last one done, plus one."""


class _WaitForBatch(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka publishes no types
    """Holds a rebalance back until the batch in hand is done and committed; tells of its end."""

    def __init__(self, lock: asyncio.Lock, assigned: Callable[[], None]) -> None:
        self._lock = lock
        self._assigned = assigned

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        async with self._lock:
            log.info("rebalance.revoked", partitions=len(revoked))

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        log.info("rebalance.assigned", partitions=len(assigned))
        self._assigned()


class KafkaSubscription:
    """One member of a consumer group on one topic, and on that of its replays."""

    def __init__(
        self,
        *,
        bootstrap_servers: str,
        group: str,
        topic: str,
        replays: str | None = None,
        begun: Begun | None = None,
        session_timeout_ms: int = 10_000,
        rebalance_timeout_ms: int = 60_000,
    ) -> None:
        """`begun` tells lost offsets from those of a new group; without it, every group without offsets is new."""
        self._bootstrap_servers = bootstrap_servers
        self._group = group
        self._topics = [topic] if replays is None else [topic, replays]
        self._begun = begun
        self._session_timeout_ms = session_timeout_ms
        self._rebalance_timeout_ms = rebalance_timeout_ms
        self._batch_in_hand = asyncio.Lock()
        self.assignment = 0
        """How many times partitions have been handed to this member."""
        self._looked_at = 0
        """The last assignment of which the offsets were looked at."""
        self._out_of_range: dict[TopicPartition, int] = {}
        self._consumer: AIOKafkaConsumer | None = None

    async def start(self) -> None:
        """Join the group, where that is not done; raises Unavailable."""
        if self._consumer is not None:
            return
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap_servers,
            group_id=self._group,
            enable_auto_commit=False,
            # What is missing or out of range is looked at here: aiokafka would jump without a word.
            auto_offset_reset="none",
            session_timeout_ms=self._session_timeout_ms,
            heartbeat_interval_ms=self._session_timeout_ms // 4,
            # A batch may wait for a slow database; the other members wait for it that long.
            rebalance_timeout_ms=self._rebalance_timeout_ms,
            # To join is one request, which is answered when the last of the others has done its batch.
            request_timeout_ms=self._rebalance_timeout_ms + bounds.REQUEST_MS,
            metadata_max_age_ms=bounds.METADATA_MS,
            # So much of each partition may wait in memory beside the batch in hand; a larger record comes all the same.
            max_partition_fetch_bytes=1024 * 1024,
        )
        try:
            await begin(self._consumer, self._consumer._client)  # noqa: SLF001 - aiokafka has no other way
        except (KafkaError, OSError) as error:
            await self.stop()
            raise away(error) from error
        fetch_patiently(self._consumer)
        # After the start: subscribed before it, the start would wait for partitions, without a bound.
        self._consumer.subscribe(self._topics, listener=_WaitForBatch(self._batch_in_hand, self._assigned))

    async def stop(self) -> None:
        """Leave the group, within a bound: the broker may be away."""
        consumer, self._consumer = self._consumer, None
        if consumer is None:
            return
        # In a task of its own: aiokafka lets cancellations of its own tasks out, and they are not ours.
        leaving = asyncio.create_task(consumer.stop())
        await asyncio.wait([leaving], timeout=bounds.STOP_SECONDS)
        if not leaving.done() or leaving.cancelled() or leaving.exception() is not None:
            # To leave politely is a courtesy: the session ends by itself. But nothing of it may live on here.
            log.info("kafka.left_without_farewell", group=self._group)
            await end_tasks(leaving, *_tasks_of(consumer))
            await consumer._client.close()  # noqa: SLF001 - aiokafka has no other way
        else:
            # A politely stopped one may have died before of what it did not know; nobody has looked at that.
            await end_tasks(*_tasks_of(consumer))

    @asynccontextmanager
    async def batch(self, limit: int, wait: timedelta) -> AsyncIterator[Sequence[Record]]:
        """Up to `limit` records, in order per partition; a rebalance waits until the block is left.

        The poll itself is outside the lock, because it waits for the end of a rebalance, which waits for the lock.
        Nothing comes between the two: a poll returns no records while a rebalance is on, and neither the way out of
        the poll nor taking a free lock gives way to other tasks.
        """
        fetched = await self._poll(limit, wait)
        async with self._batch_in_hand:
            yield [record_of(record) for records in fetched.values() for record in records]

    async def _poll(self, limit: int, wait: timedelta) -> Mapping[TopicPartition, Sequence[ConsumerRecord]]:
        consumer = self._started()
        end = time.monotonic() + wait.total_seconds()
        while True:
            try:
                if self._looked_at != self.assignment:
                    async with asyncio.timeout(bounds.COMMIT_SECONDS):
                        await self._look_at_offsets(consumer)
                left = max(end - time.monotonic(), 0.0)
                # While partitions are being handed out, the poll disregards its own bound.
                async with asyncio.timeout(left + 1):
                    with fetching(consumer):
                        return await consumer.getmany(  # type: ignore[no-any-return]  # aiokafka publishes no types
                            timeout_ms=int(left * 1000), max_records=limit
                        )
            except TimeoutError:
                return {}
            except OffsetOutOfRangeError as error:
                self._out_of_range |= error.args[0]
                self._looked_at = 0
            except NoOffsetForPartitionError:
                self._looked_at = 0  # aiokafka looked before this did, or they were lost since
            except (CommitFailedError, IllegalStateError):
                pass  # the partitions were being handed out anew while their offsets were looked at
            except (KafkaError, OSError) as error:
                # The parts of aiokafka that run in the background die of what they do not know: begin anew.
                await self.stop()
                raise away(error) from error
            if time.monotonic() > end:
                return {}

    async def _look_at_offsets(self, consumer: AIOKafkaConsumer) -> None:
        """Go on at the earliest record where there is no offset after an assignment, or one that is of no use."""
        number, assigned = self.assignment, consumer.assignment()
        before = await self._begun.before() if self._begun is not None else frozenset()
        useless = {partition: None for partition in assigned if await consumer.committed(partition) is None}
        new = {partition for partition in useless if (partition.topic, partition.partition) not in before}
        useless |= {partition: offset for partition, offset in self._out_of_range.items() if partition in assigned}
        if useless:
            earliest = await consumer.beginning_offsets(list(useless))
            seek(consumer, earliest)
            # At once: who finds none from now on knows that it was lost, and who finds one does not tell of it again.
            await consumer.commit(earliest)
            for partition in useless.keys() - new:
                place = (partition.topic, partition.partition)
                lost(self._group, place, offset=useless[partition], earliest=earliest[partition])
        places = {(partition.topic, partition.partition) for partition in assigned}
        if self._begun is not None and not places <= before:
            await self._begun.note(places)
        self._out_of_range.clear()
        self._looked_at = number

    async def commit(self, offsets: Offsets) -> None:
        """Tell the group how far this member is. Explicit offsets: a bare commit commits the position of the poll."""
        consumer = self._started()
        # In a task of its own, which sees to its end whatever of it is under way when the client is given up.
        told = consumer.commit({TopicPartition(*place): offset for place, offset in offsets.items()})
        committing = asyncio.create_task(told)
        try:
            await asyncio.wait([committing], timeout=bounds.COMMIT_SECONDS)
            if not committing.done():
                raise TimeoutError
            committing.result()
        except (CommitFailedError, IllegalStateError) as error:
            # Normal after a rebalance or a long pause: the partition has another owner, who reads the records again
            # and finds them in the inbox.
            log.info("commit.refused", group=self._group, error=type(error).__name__)
        except (KafkaError, OSError) as error:
            # Once its coordinator was gone, this client may look for another one for ever: another client does not.
            await self.stop()
            raise away(error) from error
        finally:
            await end_tasks(committing)

    def rewind(self, records: Sequence[Record]) -> None:
        """Read `records` again at the next poll, where their partitions are still ours.

        Without a client there is nothing to do: the next one begins where the group has committed.
        """
        if self._consumer is None:
            return
        first: Offsets = {}
        for record in records:
            place = (record.topic, record.partition)
            first[place] = min(first.get(place, record.offset), record.offset)
        consumer = self._consumer
        assigned = consumer.assignment()
        ours = {TopicPartition(*place): offset for place, offset in first.items()}
        seek(consumer, {partition: offset for partition, offset in ours.items() if partition in assigned})

    async def reachable(self) -> None:
        """Raise Unavailable unless a broker answers and has the topics."""
        consumer = self._started()
        if consumer._fetcher.error_future.done():  # noqa: SLF001 - aiokafka tells nobody, and polls in vain for ever
            await self.stop()
            raise Unavailable("the fetcher has died")
        try:
            async with asyncio.timeout(bounds.STOP_SECONDS):
                answered = await consumer._client.force_metadata_update()  # noqa: SLF001 - this member's own picture
        except (KafkaError, OSError) as error:
            raise away(error) from error
        if not answered:
            raise Unavailable("broker away")
        for topic in self._topics:
            if consumer.partitions_for_topic(topic) is None:
                # It would be a member that gets no partitions, and all would seem well.
                raise Unavailable(f"no topic {topic}")

    def _assigned(self) -> None:
        self.assignment += 1

    def _started(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise Unavailable("not connected")
        return self._consumer


def _tasks_of(consumer: AIOKafkaConsumer) -> list[asyncio.Task[object] | None]:
    coordinator, fetcher = consumer._coordinator, consumer._fetcher  # noqa: SLF001 - aiokafka has no other way
    of_group = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task")
    return [
        *(getattr(coordinator, name, None) for name in of_group),
        *([fetcher._fetch_task, *fetcher._pending_tasks] if fetcher is not None else ()),  # noqa: SLF001
    ]
