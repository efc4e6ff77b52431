"""What the portal takes from the topics.

portal.events      every event that people may follow becomes a row of the stream, and counts for its day
portal.customers   an erasure takes the person out of the stream
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from libs.events.contracts.customers import CustomerErased
from services.portal import store
from services.portal.domain.health import steps_of
from services.portal.domain.stream import PERSONAL, stored_facts, without_person

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
        """Append a batch to the stream, without contact details, and count it: set-wise, whatever its size."""
        arrivals: list[store.Arrival] = []
        counts: Counter[tuple[date, LoopStep]] = Counter()
        stored = [(event, stored_facts(msgspec.to_builtins(event.payload))) for event in events]
        customers = {facts["customer_id"] for _, facts in stored if facts.get("customer_id") is not None}
        forgotten = await store.forgotten(tx, sorted(customers))
        for event, facts in stored:
            forgotten_at = forgotten.get(facts.get("customer_id", ""))
            kept = facts if forgotten_at is None or event.time > forgotten_at else without_person(facts)
            day = event.time.astimezone(self._zone).date()
            counts.update((day, step) for step in steps_of(event.type, facts))
            arrivals.append(
                store.Arrival(event.id, event.type, event.subject, event.time, msgspec.json.encode(kept).decode())
            )
        await store.add_events(tx, arrivals)
        if counts:
            await store.count_steps(tx, counts)


async def forget_customers(tx: Tx, events: Sequence[Event[Contract]]) -> None:
    """Take erased customers out of the stream; profiles are none of the portal's business."""
    erased = [(event.payload.customer_id, event.time) for event in events if isinstance(event.payload, CustomerErased)]
    if erased:
        await store.forget(tx, erased, PERSONAL)
