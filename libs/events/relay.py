"""The relay: publishes the outbox, oldest first, and deletes what the broker has acknowledged.

One relay per schema is active at a time; an advisory lock on its own connection decides which. It is the only place
that holds a transaction across the network: rows are deleted in the transaction that read them, after the last
acknowledgement, so a crash or a failed send at any point leaves every row, and what was already published is published
again under the same event id.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from sqlalchemy import text

from libs.events import outbox
from libs.events.crashpoint import crashpoint
from libs.events.loop import Outage, wait_for
from libs.events.telemetry import OUTBOX_AGE, RELAYED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from libs.events.database import Database
    from libs.events.health import Health
    from libs.events.outbox import Outgoing

BATCH: Final = 2_000
_IDLE: Final = timedelta(seconds=1)
"""How long a wake-up may be lost before rows are found by looking."""

_LOCK: Final = text("SELECT pg_try_advisory_lock(hashtextextended('otklik.relay.' || current_schema(), 0))")
_SCHEMA: Final = text("SELECT current_schema()")


class Publisher(Protocol):
    """Sends records and says when the broker has them; real Kafka, or the memory broker of the tests."""

    async def start(self) -> None:
        """Connect, where that is not done; raises Unavailable."""

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Send in order and return when all are acknowledged by all replicas; raises Unavailable otherwise.

        What a failed call has sent may have arrived or not; after it has returned, it sends nothing more.
        """

    async def stop(self) -> None:
        """Disconnect."""


class Relay:
    """Runs until it is told to stop, as the active relay of its schema or as its stand-by."""

    def __init__(
        self,
        service: str,
        database: Database,
        publisher: Publisher,
        health: Health,
        *,
        pace: timedelta = timedelta(0),
    ) -> None:
        """`pace`: how long after a batch the next one begins at the earliest, unless it was a full one."""
        self._pace = pace
        self.name: Final = f"{service}.relay"
        self._service = service
        self._database = database
        self._publisher = publisher
        self._health = health
        self._outage = Outage(self.name, health)

    async def run(self, stop: asyncio.Event) -> None:
        """Publish whatever is committed, until `stop`."""
        try:
            while not stop.is_set():
                self._health.beat(self.name)
                try:
                    async with self._database.connection() as connection:
                        await self._stand_by_or_relay(connection, stop)
                except Exception as error:  # noqa: BLE001 - an absent database has many types; all others go up
                    await self._outage.wait(error, stop)
        finally:
            await self._publisher.stop()

    async def _stand_by_or_relay(self, connection: AsyncConnection, stop: asyncio.Event) -> None:
        try:
            while not stop.is_set():
                active = (await connection.execute(_LOCK)).scalar_one()
                await connection.commit()
                if active:
                    await self._relay(connection, stop)
                    return
                self._outage.over()
                await wait_for(stop, _IDLE)
        finally:
            self._database.relayed_here = False
            # The lock and the listener belong to this connection alone: it is closed, not given back to the pool.
            await connection.invalidate()

    async def _relay(self, connection: AsyncConnection, stop: asyncio.Event) -> None:
        woken = self._database.committed

        def notified(*_: object) -> None:
            woken.set()

        schema = (await connection.execute(_SCHEMA)).scalar_one()
        await connection.commit()
        raw: Any = (await connection.get_raw_connection()).driver_connection
        await raw.add_listener(f"{outbox.CHANNEL_PREFIX}{schema}", notified)
        self._database.relayed_here = True
        while not stop.is_set():
            woken.clear()
            self._health.beat(self.name)
            published = await self.relay_once(connection)
            self._outage.over()
            if published == 0:
                await _either(woken, stop, _IDLE)
            elif published < BATCH and self._pace:
                await wait_for(stop, self._pace)

    async def relay_once(self, connection: AsyncConnection) -> int:
        """Publish one batch of the oldest rows; how many."""
        async with connection.begin():
            waiting = await outbox.oldest(connection, BATCH)
            # Read before the broker is asked for: the age is what tells how long it has been away.
            age = (self._database.clock() - waiting[0].emitted_at).total_seconds() if waiting else 0.0
            OUTBOX_AGE.labels(self._service).set(age)
            await self._publisher.start()
            if not waiting:
                return 0
            crashpoint("relay.before_produce")
            await self._publisher.publish([row.record for row in waiting])
            crashpoint("relay.after_ack")
            await outbox.delete(connection, waiting)
        crashpoint("relay.after_delete")
        RELAYED.labels(self._service).inc(len(waiting))
        return len(waiting)


async def _either(first: asyncio.Event, second: asyncio.Event, bound: timedelta) -> None:
    """Wait until one of two events is set or `bound` has passed."""
    waits = [asyncio.ensure_future(first.wait()), asyncio.ensure_future(second.wait())]
    try:
        await asyncio.wait(waits, timeout=bound.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
