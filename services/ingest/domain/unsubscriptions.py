"""Unsubscriptions: somebody told the survey vendor that they want no more messages.

Whoever it is is known by the customer's id, as responses name it, or else by a mark of the address: an address itself
is neither published nor kept (see `address_mark`).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from libs.events.contracts.responses import Channel
from libs.events.event import named
from services.ingest.domain.responses import namespace_of

if TYPE_CHECKING:
    from uuid import UUID


class Unsubscribed(msgspec.Struct, frozen=True, gc=False):
    """The payload is an unsubscription. `unsubscribed_at` is the vendor's time; the receipt's where it tells none."""

    customer_id: str | None
    address_mark: str | None
    channel: Channel
    unsubscribed_at: datetime

    @property
    def who(self) -> str:
        """The customer, else the address's mark."""
        return self.customer_id or self.address_mark or ""


def unsubscription_id(source: str, told: Unsubscribed) -> UUID:
    """The id of its event: the same one, however often and under whatever delivery it comes, gives the same."""
    of_source = named(namespace_of(source), "unsubscribed")
    return named(of_source, f"{told.channel}/{told.who}/{told.unsubscribed_at.isoformat()}")
