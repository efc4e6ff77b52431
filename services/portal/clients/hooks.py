"""Subscriptions as notify keeps them: events sent to end points of other systems, and the log of what was sent."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from services.portal.clients.service import Listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person


class Contact(msgspec.Struct, frozen=True):
    """The colleague who answers for a subscription."""

    employee_id: str
    name: str
    email: str
    language: str


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent where."""

    id: str
    owner: str
    name: str
    url: str
    types: list[str]
    sees: list[str]
    contact: Contact
    enabled: bool
    disabled_reason: str | None
    failing_since: datetime | None
    paused_until: datetime | None
    previous_secret_until: datetime | None
    created_at: datetime
    changed_at: datetime

    @property
    def state(self) -> str:
        """In one word: `on`, `failing` while it is on, or why it is off."""
        if not self.enabled:
            return self.disabled_reason or "by_hand"
        return "trouble" if self.failing_since else "on"


class Made(Subscription, frozen=True, kw_only=True):
    """A new subscription with its secret, which is told this once."""

    secret: str


class Secret(msgspec.Struct, frozen=True):
    """A new secret, told this once."""

    secret: str
    previous_secret_until: datetime


class EventType(msgspec.Struct, frozen=True):
    """What can be subscribed to."""

    type: str
    topic: str
    summary: str


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event for one end point."""

    event_id: str
    type: str
    status: str
    attempts: int
    status_code: int | None
    trouble: str | None
    took_ms: int | None
    due_at: datetime | None
    created_at: datetime
    changed_at: datetime


class Attempt(msgspec.Struct, frozen=True):
    """An attempt that failed."""

    at: datetime
    status_code: int | None
    trouble: str | None
    took_ms: int


class DeliveryFile(Delivery, frozen=True, kw_only=True):
    """A delivery with its failed attempts, and what is sent."""

    failed_attempts: list[Attempt]
    body: dict[str, Any] | None


class Replayed(msgspec.Struct, frozen=True):
    """How many are made anew, and whether there are more."""

    replayed: int
    more: bool


class _Started(msgspec.Struct, frozen=True):
    event_id: str


class Hooks:
    """Subscriptions and their deliveries."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def page(self, person: Person, *, limit: int, cursor: str | None) -> Listed[Subscription]:
        """By owner and name."""
        params = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        return await self._service.get("/v1/subscriptions", Listed[Subscription], person=person, params=params)

    async def event_types(self, person: Person) -> list[EventType]:
        """All types, by name."""
        return await self._service.get("/v1/event-types", list[EventType], person=person)

    async def one(self, person: Person, id_: str) -> tuple[Subscription, int]:
        """One of them, and its version."""
        return await self._service.get_version(f"/v1/subscriptions/{id_}", Subscription, person=person)

    async def make(self, person: Person, body: Mapping[str, object], *, command_id: str) -> Made:
        """Subscribe an end point; the only time that its secret is told."""
        return await self._service.order("/v1/subscriptions", body, Made, person=person, command_id=command_id)

    async def change(
        self, person: Person, id_: str, body: Mapping[str, object], *, command_id: str, version: int | None
    ) -> None:
        """Send other things, or elsewhere."""
        await self._service.put(f"/v1/subscriptions/{id_}", body, person=person, command_id=command_id, version=version)

    async def delete(self, person: Person, id_: str, *, command_id: str) -> None:
        """Send nothing any more, and forget the log."""
        await self._service.delete(f"/v1/subscriptions/{id_}", person=person, command_id=command_id)

    async def rotate(self, person: Person, id_: str, *, command_id: str) -> Secret:
        """A new secret; the present one signs, too, for a day."""
        path = f"/v1/subscriptions/{id_}/secret"
        return await self._service.order(path, {}, Secret, person=person, command_id=command_id)

    async def act(self, person: Person, id_: str, step: str, *, command_id: str) -> None:
        """Enable or disable it."""
        path = f"/v1/subscriptions/{id_}/{step}"
        await self._service.post(path, {}, person=person, command_id=command_id, version=None)

    async def test(self, person: Person, id_: str, *, command_id: str) -> str:
        """Send a test; the id of its event."""
        path = f"/v1/subscriptions/{id_}/test"
        return (await self._service.order(path, {}, _Started, person=person, command_id=command_id)).event_id

    async def deliveries(
        self, person: Person, id_: str, filters: Mapping[str, str], *, limit: int, cursor: str | None
    ) -> Listed[Delivery]:
        """The log, the newest first."""
        params = {**filters, "limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        path = f"/v1/subscriptions/{id_}/deliveries"
        return await self._service.get(path, Listed[Delivery], person=person, params=params)

    async def delivery(self, person: Person, id_: str, event_id: str) -> DeliveryFile:
        """One delivery."""
        return await self._service.get(f"/v1/subscriptions/{id_}/deliveries/{event_id}", DeliveryFile, person=person)

    async def replay(self, person: Person, id_: str, event_id: str, *, command_id: str) -> None:
        """Deliver one anew."""
        path = f"/v1/subscriptions/{id_}/deliveries/{event_id}/replay"
        await self._service.post(path, {}, person=person, command_id=command_id, version=None)

    async def replay_range(self, person: Person, id_: str, body: Mapping[str, object], *, command_id: str) -> Replayed:
        """Deliver what was written in a span of time anew."""
        path = f"/v1/subscriptions/{id_}/deliveries/replay"
        return await self._service.order(path, body, Replayed, person=person, command_id=command_id)
