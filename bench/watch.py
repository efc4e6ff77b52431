"""How far each service is, watched from outside: ends of topics, offsets of groups, mails at the receiving side."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from libs.events.topics import SURVEY_RESPONSES, TOPICS

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.system import System

Reading = tuple[str, str]
"""A consumer group and the topic that it reads."""

READINGS: Final[tuple[Reading, ...]] = tuple((group, topic.name) for topic in TOPICS for group in topic.consumers)
_BOUND_S: Final = 30.0
_STILL_S: Final = 60.0
"""What has not moved for so long will not: deliveries that were taken and not understood, say."""
_WAITING: Final = """
    SELECT (SELECT count(*) FROM (SELECT FROM ingest.outbox LIMIT 1))
         + (SELECT count(*) FROM (SELECT FROM scoring.outbox LIMIT 1))
         + (SELECT count(*) FROM (SELECT FROM casework.outbox LIMIT 1))
         + (SELECT count(*) FROM (SELECT FROM notify.outbox LIMIT 1))
         + (SELECT count(*) FROM (SELECT FROM notify.messages WHERE status = 'queued' LIMIT 1))
         + (SELECT count(*) FROM (SELECT FROM notify.messages WHERE status IN ('sending', 'transmitting') LIMIT 1))
           AS waiting
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """How far everything was at a moment."""

    at: float
    """As `time.time()` has it."""
    ends: dict[str, int]
    """How many records each topic had."""
    done: dict[Reading, int]
    """How many of them each group had done."""
    mails: int

    @property
    def reached(self) -> tuple[dict[str, int], dict[Reading, int], int]:
        """All that a later sample can have more of."""
        return self.ends, self.done, self.mails

    def lag(self, *groups: str) -> int:
        """How many records wait for these groups, or for all."""
        asked = (reading for reading in self.done if not groups or reading[0] in groups)
        return sum(self.ends[topic] - self.done[group, topic] for group, topic in asked)


class Watch:
    """Looks at a system."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._admin = AdminClient({"bootstrap.servers": system.addresses.bootstrap_servers, "log_level": 0})
        self._places = {
            topic.name: [TopicPartition(topic.name, number) for number in range(topic.partitions)] for topic in TOPICS
        }

    def look(self) -> Sample:
        """One sample."""
        at = time.time()
        # Offsets before ends: what is done is never more than what there is.
        asked = {
            (group, topic): self._admin.list_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(group, self._places[topic])]
            )[group]
            for group, topic in READINGS
        }
        done = {
            reading: sum(max(0, place.offset) for place in answer.result(_BOUND_S).topic_partitions)
            for reading, answer in asked.items()
        }
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client types most
        answered = self._admin.list_offsets({place: latest for places in self._places.values() for place in places})
        ends = {
            topic: sum(answered[place].result(_BOUND_S).offset for place in places)
            for topic, places in self._places.items()
        }
        return Sample(at, ends, done, self._system.mails())

    async def until(self, met: Callable[[Sample], bool], *, bound_s: float) -> Sample:
        """The first sample of which `met` holds."""
        deadline = time.monotonic() + bound_s
        while True:
            sample = await asyncio.to_thread(self.look)
            if met(sample):
                return sample
            if time.monotonic() > deadline:
                raise RuntimeError(f"not after {bound_s:.0f} s: {sample}")
            await asyncio.sleep(0.1)

    async def until_rest(
        self,
        *,
        responses: int,
        bound_s: float,
        look_every_s: float = 0.25,
        check: Callable[[], object] = lambda: None,
    ) -> list[Sample]:
        """Samples until `survey.responses` has so many records and nothing waits anywhere; the last one is of rest.

        `check` raises when that will never be.
        """
        samples: list[Sample] = []
        deadline = time.monotonic() + bound_s
        moved_at = time.monotonic()
        while True:
            sample = await asyncio.to_thread(self.look)
            if not samples or sample.reached != samples[-1].reached:
                moved_at = time.monotonic()
            samples.append(sample)
            if sample.ends[SURVEY_RESPONSES.name] >= responses and await self._at_rest(sample):
                return samples
            check()
            if time.monotonic() > min(deadline, moved_at + _STILL_S):
                raise RuntimeError(
                    f"not at rest, and nothing has come for {time.monotonic() - moved_at:.0f} s: {sample}"
                )
            await asyncio.sleep(look_every_s)

    async def _at_rest(self, sample: Sample) -> bool:
        if sample.lag():
            return False
        [row] = await self._system.rows(_WAITING)
        if row["waiting"]:
            return False
        # What was published or consumed meanwhile may have caused more.
        later = await asyncio.to_thread(self.look)
        return later.ends == sample.ends and later.done == sample.done
