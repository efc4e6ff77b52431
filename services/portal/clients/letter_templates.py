"""What messages say, as notify keeps it: templates in versions, tried before they are used."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from services.portal.clients.service import Listed
from services.portal.domain.letter_templates import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person


class TemplateVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of what a kind of message says in one language."""

    kind: str
    language: str
    version: int
    in_use: bool
    shipped: bool
    note: str
    author: str
    created_at: datetime
    changed_at: datetime
    published_at: datetime | None
    published_by: str | None

    @property
    def is_draft(self) -> bool:
        """Whether it can still be changed: nobody ever got it."""
        return self.published_at is None


class Template(TemplateVersion, frozen=True, kw_only=True):
    """One version, with what it says."""

    subject: str
    text: str
    html: str


class Preview(msgspec.Struct, frozen=True):
    """What people would get, for one sample of the kind."""

    language: str
    sample: int
    subject: str
    text: str
    html: str


class Trial(msgspec.Struct, frozen=True):
    """What came of trying a version with every sample."""

    faults: list[Fault]
    previews: list[Preview]


class _Made(msgspec.Struct, frozen=True):
    version: int


class LetterTemplates:
    """Templates, from a draft to what is in use."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def versions(
        self, person: Person, *, kind: str | None = None, language: str | None = None
    ) -> list[TemplateVersion]:
        """By kind and language, the newest version first."""
        asked = {"kind": kind, "language": language}
        params = {name: value for name, value in asked.items() if value is not None}
        found = await self._service.get("/v1/templates", Listed[TemplateVersion], person=person, params=params)
        return found.items

    async def one(self, person: Person, kind: str, language: str, version: int) -> tuple[Template, int]:
        """One version, and the revision of it that was seen."""
        return await self._service.get_version(f"/v1/templates/{kind}/{language}/{version}", Template, person=person)

    async def in_use(self, person: Person, kind: str) -> list[Preview]:
        """The kind as people get it now, in both languages, for every sample."""
        return await self._service.get(f"/v1/templates/{kind}/preview", list[Preview], person=person)

    async def try_out(self, person: Person, kind: str, language: str, version: int) -> Trial:
        """What is wrong with a version, and how it looks."""
        return await self._service.ask(f"/v1/templates/{kind}/{language}/{version}/check", None, Trial, person=person)

    async def draft(
        self, person: Person, kind: str, language: str, parts: Mapping[str, object], *, command_id: str
    ) -> int:
        """Write a new version down; its number."""
        made = await self._service.order(
            f"/v1/templates/{kind}/{language}", parts, _Made, person=person, command_id=command_id
        )
        return made.version

    async def change(
        self,
        person: Person,
        kind: str,
        language: str,
        version: int,
        parts: Mapping[str, object],
        *,
        command_id: str,
        seen: int | None,
    ) -> None:
        """Write a draft anew."""
        path = f"/v1/templates/{kind}/{language}/{version}"
        await self._service.put(path, parts, person=person, command_id=command_id, version=seen)

    async def publish(
        self, person: Person, kind: str, language: str, version: int, *, command_id: str, seen: int | None
    ) -> None:
        """Use this version from now on."""
        path = f"/v1/templates/{kind}/{language}/{version}/publish"
        await self._service.post(path, {}, person=person, command_id=command_id, version=seen)
