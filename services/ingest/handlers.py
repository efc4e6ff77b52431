"""What ingest hears of others: customers who asked to be forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libs.events.contracts.customers import CustomerErased
from services.ingest.store import sweeps

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from libs.events.database import Tx
    from libs.events.event import Contract, Event


async def handle_customers(tx: Tx, events: Sequence[Event[Contract]]) -> None:
    """An erasure is noted here and done by a loop: it goes through all that was ever delivered."""
    erased_at: dict[str, datetime] = {}
    for event in events:
        if isinstance(event.payload, CustomerErased):
            erased_at[event.payload.customer_id] = event.time
    if erased_at:
        await sweeps.begin_erasures(tx, erased_at)
