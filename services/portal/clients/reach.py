"""When and over which channels people may be written to, and who is not written to at all, as notify keeps it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from services.portal.clients.service import Listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person


class AskFirst(msgspec.Struct, frozen=True):
    """Where silence is no consent."""

    channel: str
    purpose: str


class Quiet(msgspec.Struct, frozen=True):
    """Hours of the recipient's clock in which nothing arrives."""

    channels: list[str]
    purposes: list[str]
    start: str
    end: str


class Cap(msgspec.Struct, frozen=True):
    """At most so many messages of these purposes within so many days."""

    purposes: list[str]
    messages: int
    days: int


class MessageRules(msgspec.Struct, frozen=True, kw_only=True):
    """The rules in force; `by` is None where they are the usual ones."""

    channels: dict[str, list[str]]
    ask_first: list[AskFirst]
    quiet_hours: list[Quiet]
    caps: list[Cap]
    patience_hours: int
    revision: int
    by: str | None
    at: datetime | None


class Suppression(msgspec.Struct, frozen=True, kw_only=True):
    """An address that is not written to. The address itself is not kept, only a mark of it."""

    id: str
    medium: str
    reason: str
    why: str
    customer_id: str | None
    message_id: str | None
    until: datetime | None
    added_at: datetime
    added_by: str
    removed_at: datetime | None
    removed_by: str | None
    removed_why: str | None


class ListedAddress(Suppression, frozen=True, kw_only=True):
    """An entry about one customer; `holds`: it is in force, and about their present address."""

    holds: bool


class ChannelDoor(msgspec.Struct, frozen=True):
    """A channel for a purpose; `closed`: why it is not used for somebody."""

    channel: str
    closed: str | None


class Prospect(msgspec.Struct, frozen=True):
    """What would become of a message of this purpose now."""

    purpose: str
    channel: str | None
    reason: str | None
    until: datetime | None
    doors: list[ChannelDoor]


class UsedCap(Cap, frozen=True):
    """A cap, and how much of it is used up."""

    sent: int


class Said(msgspec.Struct, frozen=True):
    """What a customer said last about one channel and purpose."""

    channel: str
    purpose: str
    granted: bool
    at: datetime
    by: str
    why: str


class ReachOfCustomer(msgspec.Struct, frozen=True):
    """How one customer may be reached now, and why not otherwise."""

    is_known: bool
    time_zone: str
    purposes: list[Prospect]
    caps: list[UsedCap]
    said: list[Said]
    listed: list[ListedAddress]


class Reach:
    """Rules of messages, what customers said to them, and suppressions."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def rules(self, person: Person) -> MessageRules:
        """What is in force."""
        return await self._service.get("/v1/contact-rules", MessageRules, person=person)

    async def put_rules(
        self, person: Person, body: Mapping[str, object], *, command_id: str, version: int | None
    ) -> None:
        """Set them."""
        await self._service.put("/v1/contact-rules", body, person=person, command_id=command_id, version=version)

    async def suppressions(
        self, person: Person, filters: Mapping[str, str], *, limit: int, cursor: str | None
    ) -> Listed[Suppression]:
        """The newest first."""
        params = {**filters, "limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        return await self._service.get("/v1/suppressions", Listed[Suppression], person=person, params=params)

    async def find(self, person: Person, medium: str, address: str) -> list[Suppression]:
        """What is known of an address."""
        body = {"medium": medium, "address": address}
        return await self._service.ask("/v1/suppressions/find", body, list[Suppression], person=person)

    async def suppress(self, person: Person, body: Mapping[str, object], *, command_id: str) -> None:
        """Write to an address no more."""
        await self._service.post("/v1/suppressions", body, person=person, command_id=command_id, version=None)

    async def lift(self, person: Person, id_: str, why: str, *, command_id: str) -> None:
        """It may be written to again."""
        path = f"/v1/suppressions/{id_}/remove"
        await self._service.post(path, {"why": why}, person=person, command_id=command_id, version=None)

    async def of_customer(self, person: Person, customer_id: str) -> ReachOfCustomer:
        """How a customer may be reached."""
        params = {"customer_id": customer_id}
        return await self._service.get("/v1/reach", ReachOfCustomer, person=person, params=params)

    async def note(
        self, person: Person, customer_id: str, channel: str, purpose: str, *, granted: bool, why: str, command_id: str
    ) -> None:
        """Keep what a customer said to a channel for a purpose."""
        path = f"/v1/consents/{quote(customer_id, safe='')}/{channel}/{purpose}"
        body = {"granted": granted, "why": why}
        await self._service.put(path, body, person=person, command_id=command_id, version=None)
