"""What is agreed with customers and said among colleagues, as casework keeps it: callbacks and mentions."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from services.portal.clients.service import Listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """A contact that was agreed with the customer for a time."""

    id: str
    at: datetime
    channel: str
    state: str
    moves: int


class CallbackOfList(Callback, frozen=True, kw_only=True):
    """A callback with whose case it is about."""

    case_id: str
    owner_name: str | None
    customer_name: str | None
    time_zone: str | None
    tier: str
    settled_at: datetime | None = None
    outcome: str | None = None


class Reason(msgspec.Struct, frozen=True):
    """A code with its parameters."""

    code: str
    details: dict[str, Any]


class NextAttempt(msgspec.Struct, frozen=True):
    """When and how to try next to reach the customer, and why."""

    at: datetime | None
    local_time: str | None
    zone: str | None
    channel: str | None
    reasons: list[Reason]


class Speaker(msgspec.Struct, frozen=True):
    """Who said or brought something."""

    id: str
    name: str | None


class Mention(msgspec.Struct, frozen=True):
    """A comment in which somebody was asked to look."""

    case_id: str
    version: int
    at: datetime
    read_at: datetime | None
    by: Speaker
    text: str | None
    customer_name: str | None
    case_status: str


class Mentions(msgspec.Struct, frozen=True):
    """A page of them, the latest first, and how many are unread in all."""

    items: list[Mention]
    unread: int
    next_cursor: str | None = None


class Contact:
    """What helps to speak with customers and colleagues."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def next_attempt(self, person: Person, case_id: str) -> NextAttempt:
        """When to try next."""
        return await self._service.get(f"/v1/cases/{case_id}/next-attempt", NextAttempt, person=person)

    async def agreed(self, person: Person, *, until: datetime, limit: int) -> list[CallbackOfList]:
        """The callbacks that this person is to make, since a day ago."""
        params = {"owner": person.id, "state": "agreed", "to": until.isoformat(), "limit": str(limit)}
        found = await self._service.get("/v1/callbacks", Listed[CallbackOfList], person=person, params=params)
        return found.items

    async def callbacks(
        self, person: Person, filters: Mapping[str, str], *, limit: int, cursor: str | None = None
    ) -> Listed[CallbackOfList]:
        """Those that fit the filters, the earliest first."""
        params = {**filters, "limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        return await self._service.get("/v1/callbacks", Listed[CallbackOfList], person=person, params=params)

    async def mentions(self, person: Person, *, limit: int, unread: bool = True, cursor: str | None = None) -> Mentions:
        """Where this person was asked to look; with `unread` only where they have not."""
        params = {"limit": str(limit), "unread": str(unread).lower()} | ({"cursor": cursor} if cursor else {})
        return await self._service.get("/v1/mentions", Mentions, person=person, params=params)

    async def read(self, person: Person, case_id: str | None) -> None:
        """This person has seen the case; None: everything where they were mentioned."""
        await self._service.tell("/v1/mentions/read", {"case_id": case_id}, person=person)
