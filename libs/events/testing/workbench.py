"""A consumer of answers between a memory broker and real tables: what most tests of handlers and guarantees need."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from libs.events import outbox
from libs.events.consumer import DEAD_LETTERS_IN_A_ROW, Consumer
from libs.events.health import Health
from libs.events.retry import Backoff
from libs.events.testing.effects import Effects
from libs.events.testing.factories import a_topic, an_outgoing
from libs.events.testing.memory import MemoryBroker
from libs.events.testing.waiting import eventually

if TYPE_CHECKING:
    from libs.events.consumer import Handler, Wanted
    from libs.events.contracts.messages import ConfirmationAnswered
    from libs.events.database import Database
    from libs.events.event import Event
    from libs.events.outbox import Outgoing
    from libs.events.subscription import Subscription

CONSUMER: Final = "test.answers"
QUICK: Final = Backoff(timedelta(milliseconds=1), timedelta(milliseconds=5), attempts=5)

_MARKS: Final = text("SELECT event_id FROM inbox WHERE consumer = :consumer")


class Workbench:
    """One topic, one consumer group, and the effects of its handler."""

    def __init__(self, database: Database, *, topic: str = "answers", partitions: int = 1) -> None:
        self.database: Final = database
        self.topic: Final = a_topic(topic, partitions=partitions, consumers=(CONSUMER,))
        self.broker: Final = MemoryBroker(self.topic)
        self.effects: Final = Effects(database)
        self.health: Final = Health()

    def subscription(self) -> Subscription:
        """Another member of the group."""
        return self.broker.subscription(CONSUMER, self.topic.name, replays=self.topic.replays(CONSUMER))

    def consumer(
        self,
        handle: Handler | None = None,
        *,
        subscription: Subscription | None = None,
        dead_letters_in_a_row: int = DEAD_LETTERS_IN_A_ROW,
        backoff: Backoff = QUICK,
        wanted: Wanted | None = None,
    ) -> Consumer:
        """A consumer as the runtime makes it, but quick to retry."""
        return Consumer(
            CONSUMER,
            self.topic,
            handle or self.effects.handle,
            database=self.database,
            subscription=subscription or self.subscription(),
            health=self.health,
            backoff=backoff,
            wanted=wanted,
            dead_letters_in_a_row=dead_letters_in_a_row,
        )

    def deliver(self, *events: Event[ConfirmationAnswered]) -> None:
        """Put answers on the topic, in order, under their customers' keys."""
        for event in events:
            self.deliver_record(an_outgoing(event, topic=self.topic.name, key=event.payload.customer_id))

    def deliver_record(self, record: Outgoing) -> None:
        """Put any bytes on a topic."""
        self.broker.write(record)

    async def all_done(self) -> None:
        """Wait until the offsets of all records are committed."""
        await eventually(lambda: self.lag == 0)

    @property
    def lag(self) -> int:
        """How many records are not done."""
        return self.broker.lag(CONSUMER, self.topic.name)

    async def waiting(self) -> list[Outgoing]:
        """What stands in the outbox."""
        async with self.database.connection() as connection:
            return [row.record for row in await outbox.oldest(connection, 10_000)]

    async def dead_letters(self) -> list[Outgoing]:
        """What was set aside."""
        aside = self.topic.dead_letters(CONSUMER)
        return [record for record in await self.waiting() if record.topic == aside]

    async def marks(self) -> int:
        """How many events the inbox has."""
        async with self.database.reading() as tx:
            return len(await tx.fetch(_MARKS, {"consumer": CONSUMER}))
