"""What happens to records: replayed from the start, poisoned, of unknown types, committed late with low ids."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from faults.catalogue import Fault
from faults.poison import poison, unknown
from libs.events import outbox
from libs.events.database import Database
from libs.events.topics import TOPICS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from faults.catalogue import Strike
    from faults.trial import Trial

_REPLAYED_AT_MOST: Final = 3_000
_HELD_S: Final = 2.5


def record_faults(services: Sequence[str]) -> list[Fault]:
    """Faults of records."""
    read = {topic.name for topic in TOPICS for consumer in topic.consumers if consumer.partition(".")[0] in services}
    topics = [topic for topic in TOPICS if topic.name in read]
    # One outbox each: the first of its topics is enough.
    written = {topic.producer: topic.name for topic in reversed(topics) if topic.producer in services}
    return [
        *(Fault(f"replay@{topic.name}", _replayed(topic.name)) for topic in topics),
        *(Fault(f"poison@{topic.name}", _poisoned(topic.name)) for topic in topics),
        *(Fault(f"late-commit@{service}", _committed_late(service, topic)) for service, topic in written.items()),
    ]


def _replayed(topic: str) -> Strike:
    """Nothing may change of it: every effect is there already."""

    async def strike(trial: Trial, _random: Random) -> str:
        await trial.streams.read_on()
        records = [record for record in trial.streams.records if record.topic == topic][:_REPLAYED_AT_MOST]
        await trial.streams.write(records)
        return f"{len(records)} records from the start of {topic}, once more"

    return strike


def _poisoned(topic: str) -> Strike:
    async def strike(trial: Trial, random: Random) -> str:
        records = [poison(random, topic) for _ in range(random.randint(1, 8))]
        records += [unknown(random, topic) for _ in range(random.randint(1, 3))]
        random.shuffle(records)
        await trial.streams.write(records)
        return f"{len(records)} records among those of {topic}"

    return strike


def _committed_late(service: str, topic: str) -> Strike:
    """A transaction draws a low id in the outbox and commits when higher ones have long been published."""

    async def strike(trial: Trial, random: Random) -> str:
        record = unknown(random, topic)
        outgoing = outbox.Outgoing(topic, "late", record.value, tuple(record.headers.items()))
        database = Database.connect(trial.stage.dsn(service), pool_size=1)
        try:
            async with database.connection() as connection, connection.begin():
                await outbox.store(connection, [outgoing], now=datetime.now(UTC))
                await asyncio.sleep(_HELD_S)
        finally:
            await database.close()
        return f"a row with a low id in the outbox of {service}, committed {_HELD_S} s late"

    return strike
