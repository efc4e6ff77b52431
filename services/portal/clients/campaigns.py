"""Campaigns as notify keeps them: what changed, written down, approved, and told to each once."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from services.portal.clients.service import Listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person


class Customers(msgspec.Struct, frozen=True, kw_only=True):
    """Which customers it is for; an empty filter leaves nobody out."""

    which: str
    themes: tuple[str, ...] = ()
    root_causes: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    tiers: tuple[str, ...] = ()


class Audience(msgspec.Struct, frozen=True, kw_only=True):
    """Whom it is for."""

    customers: Customers | None = None
    lists: tuple[str, ...] = ()


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What it says in one language."""

    subject: str
    about: str | None = None
    learned: str
    changed: str
    next_steps: str | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What was written down about it."""

    name: str
    initiative_ids: tuple[str, ...]
    audience: Audience
    content: dict[str, Said]
    per_minute: int
    is_public: bool


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What became of its messages, when they were last counted."""

    counted_at: datetime
    queued: int
    sent: int
    failed: int
    doubtful: int
    held_back: dict[str, int]

    @property
    def settled(self) -> int:
        """Of how many it is known, or certain that it is not."""
        return self.sent + self.failed + self.doubtful + sum(self.held_back.values())


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """One campaign."""

    id: str
    version: int
    status: str
    plan: Plan
    created_at: datetime
    edited_by: str
    approved_by: str | None
    approved_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    recipients: int | None
    told: int
    progress: Progress | None


class HistoryLine(msgspec.Struct, frozen=True):
    """Who did what with it."""

    at: datetime
    act: str
    by: str
    reason: str | None


class CampaignFile(Campaign, frozen=True, kw_only=True):
    """A campaign with its history."""

    history: list[HistoryLine]


class Group(msgspec.Struct, frozen=True):
    """So many people of an audience; `held_back` says why they would not be written to."""

    side: str
    language: str | None
    held_back: str | None
    people: int


class Preview(msgspec.Struct, frozen=True):
    """Who is meant by what is known now."""

    people: int
    reachable: int
    groups: list[Group]


class Told(msgspec.Struct, frozen=True):
    """What became of one recipient's message."""

    message_id: str
    recipient: str
    customer_id: str | None
    status: str
    reason: str | None
    changed_at: datetime


class Tellable(msgspec.Struct, frozen=True):
    """A change in force that can be told."""

    id: str = msgspec.field(name="initiative_id")
    title: str
    root_causes: list[str]
    themes: list[str]
    learned: str
    changed: str
    next_steps: str | None
    shipped_at: datetime
    communicate_by: datetime | None
    is_told: bool


class PeopleList(msgspec.Struct, frozen=True):
    """A list of employees or of partners."""

    list_id: str
    side: str
    name: str
    people: int


class _Made(msgspec.Struct, frozen=True):
    id: str


class Campaigns:
    """Campaigns, from the draft to the last recipient."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def tellable(self, person: Person) -> list[Tellable]:
        """Those first whose quarter ends first."""
        return await self._service.get("/v1/tellable-initiatives", list[Tellable], person=person)

    async def lists(self, person: Person) -> list[PeopleList]:
        """Whom of employees and partners one can tell."""
        return await self._service.get("/v1/lists", list[PeopleList], person=person)

    async def page(self, person: Person, status: str, *, limit: int, cursor: str | None) -> Listed[Campaign]:
        """The newest first."""
        params = {"limit": str(limit)} | ({"status": status} if status else {}) | ({"cursor": cursor} if cursor else {})
        return await self._service.get("/v1/campaigns", Listed[Campaign], person=person, params=params)

    async def one(self, person: Person, id_: str) -> CampaignFile:
        """One with its history."""
        return await self._service.get(f"/v1/campaigns/{id_}", CampaignFile, person=person)

    async def preview(self, person: Person, id_: str) -> Preview:
        """Who would be told if it began now."""
        return await self._service.ask(f"/v1/campaigns/{id_}/preview", {}, Preview, person=person)

    async def recipients(
        self, person: Person, id_: str, status: str, *, limit: int, cursor: str | None
    ) -> Listed[Told]:
        """What became of each message so far."""
        params = {"limit": str(limit)} | ({"status": status} if status else {}) | ({"cursor": cursor} if cursor else {})
        return await self._service.get(f"/v1/campaigns/{id_}/recipients", Listed[Told], person=person, params=params)

    async def write(self, person: Person, plan: Mapping[str, object], *, command_id: str) -> str:
        """Write one down; its id."""
        made = await self._service.order("/v1/campaigns", plan, _Made, person=person, command_id=command_id)
        return made.id

    async def rewrite(
        self, person: Person, id_: str, plan: Mapping[str, object], *, command_id: str, version: int | None
    ) -> None:
        """Write it anew; it asks for approval again."""
        await self._service.put(f"/v1/campaigns/{id_}", plan, person=person, command_id=command_id, version=version)

    async def act(
        self, person: Person, id_: str, step: str, body: Mapping[str, Any], *, command_id: str, version: int | None
    ) -> None:
        """Approve, start, pause, resume, cancel, or send a trial."""
        await self._service.post(
            f"/v1/campaigns/{id_}/{step}", body, person=person, command_id=command_id, version=version
        )
