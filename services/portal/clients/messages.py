"""The ledger of messages, as notify keeps it: what was written to whom, and what was held back."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from services.portal.clients.service import Listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person


class Message(msgspec.Struct, frozen=True):
    """One message of the ledger."""

    id: str
    kind: str
    status: str
    reason: str | None
    channel: str | None
    bounce: str | None
    case_id: str | None
    customer_id: str | None
    employee_id: str | None
    attempts: int
    due_at: datetime | None
    created_at: datetime
    changed_at: datetime


class Hold(msgspec.Struct, frozen=True):
    """One time that a message had to wait (`until`), or was held back for good."""

    message_id: str
    kind: str
    reason: str
    until: datetime | None
    at: datetime
    channel: str | None
    case_id: str | None
    customer_id: str | None
    employee_id: str | None
    status: str


class Messages:
    """Messages, and why some do not go out."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def page(
        self, person: Person, filters: Mapping[str, str], *, limit: int, cursor: str | None = None
    ) -> Listed[Message]:
        """The newest first."""
        params = {**filters, "limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        return await self._service.get("/v1/messages", Listed[Message], person=person, params=params)

    async def held(
        self, person: Person, filters: Mapping[str, str], *, limit: int, cursor: str | None = None
    ) -> Listed[Hold]:
        """What was held back, the newest first."""
        params = {**filters, "limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        return await self._service.get("/v1/holds", Listed[Hold], person=person, params=params)

    async def one(self, person: Person, id_: str) -> Message:
        """One of them."""
        return await self._service.get(f"/v1/messages/{id_}", Message, person=person)

    async def resolve(self, person: Person, id_: str, outcome: str, *, command_id: str) -> None:
        """What somebody found out about it."""
        await self._service.post(
            f"/v1/messages/{id_}/resolve", {"outcome": outcome}, person=person, command_id=command_id, version=None
        )
