"""Consumer `portal.events`: every event that people may follow becomes a row of the stream, and counts for its day."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from services.portal import store
from services.portal.domain.health import steps_of
from services.portal.domain.stream import stored_facts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from zoneinfo import ZoneInfo

    from libs.events.database import Tx
    from libs.events.event import Contract, Event
    from services.portal.domain.health import LoopStep


class EventsHandler:
    """Takes the batches; days are those of the company's time zone."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone

    async def __call__(self, tx: Tx, events: Sequence[Event[Contract]]) -> None:
        """Append a batch to the stream, without contact details, and count it: two statements, whatever its size."""
        arrivals: list[store.Arrival] = []
        counts: Counter[tuple[date, LoopStep]] = Counter()
        for event in events:
            facts = stored_facts(msgspec.to_builtins(event.payload))
            day = event.time.astimezone(self._zone).date()
            counts.update((day, step) for step in steps_of(event.type, facts))
            arrivals.append(
                store.Arrival(event.id, event.type, event.subject, event.time, msgspec.json.encode(facts).decode())
            )
        await store.add_events(tx, arrivals)
        if counts:
            await store.count_steps(tx, counts)
