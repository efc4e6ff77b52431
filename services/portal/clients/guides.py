"""Conversation guides, as casework keeps them: open questions by theme, in both languages."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from services.portal.clients.service import Listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.clients.service import Service
    from services.portal.domain.people import Language, Person


class Question(msgspec.Struct, frozen=True):
    """One open question."""

    ru: str
    en: str


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """How to open the conversation, what to ask, and how to end it: for every one, where it names no theme."""

    title_ru: str
    title_en: str
    opening_ru: str
    opening_en: str
    questions: list[Question]
    closing_ru: str
    closing_en: str
    themes: list[str]
    retired: bool
    version: int

    def said(self, part: str, language: Language) -> str:
        """The title, opening or closing in a language."""
        found: str = getattr(self, f"{part}_{language}")
        return found

    def asked(self, language: Language) -> list[str]:
        """The questions in a language, in their order."""
        return [each.ru if language == "ru" else each.en for each in self.questions]


class Author(msgspec.Struct, frozen=True):
    """Who wrote a version: a person, or the key of another system."""

    kind: str
    id: str
    name: str | None


class Guide(Spoken, frozen=True, kw_only=True):
    """A guide as it reads now."""

    id: str


class GuideVersion(Spoken, frozen=True, kw_only=True):
    """How a guide read from `at` on."""

    at: datetime
    by: Author


class Guides:
    """Reads guides, and edits them."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def of_case(self, person: Person, case_id: str) -> list[Guide]:
        """How to speak with this customer, the closest guide first."""
        return await self._service.get(f"/v1/cases/{case_id}/guides", list[Guide], person=person)

    async def all(self, person: Person) -> list[Guide]:
        """Retired ones too."""
        return await self._service.everything("/v1/conversation-guides", Listed[Guide], person=person)

    async def find(self, person: Person, id_: str) -> Guide | None:
        """One of them, retired or not."""
        return await self._service.find(_path(id_), Guide, person=person)

    async def versions(self, person: Person, id_: str) -> list[GuideVersion]:
        """How it read at each version, the latest first."""
        return await self._service.get(f"{_path(id_)}/versions", list[GuideVersion], person=person)

    async def put(
        self, person: Person, id_: str, body: Mapping[str, object], *, command_id: str, version: int | None
    ) -> None:
        """Make or replace one; without a version only a new one."""
        await self._service.put(
            _path(id_), body, person=person, command_id=command_id, version=version, only_new=version is None
        )


def _path(id_: str) -> str:
    return f"/v1/conversation-guides/{quote(id_, safe='')}"
