"""The tree of root causes as the company edits it in casework."""

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


class StoredCause(msgspec.Struct, frozen=True, kw_only=True):
    """A root cause with its version; `choosable`: neither it nor one above it is retired."""

    id: str
    parent_id: str | None
    name_ru: str
    name_en: str
    retired: bool
    version: int
    choosable: bool

    def name(self, language: Language) -> str:
        """Its name in a language."""
        return self.name_ru if language == "ru" else self.name_en


class TouchedChange(msgspec.Struct, frozen=True):
    """A change under way that rests on the root cause."""

    id: str
    title: str
    status: str


class CausePreview(msgspec.Struct, frozen=True, kw_only=True):
    """What a change of a root cause would do."""

    exists: bool
    changed: list[str]
    no_longer_choosable: list[str]
    choosable_again: list[str]
    cases_resolved: int
    cases_closed: int
    last_used_at: datetime | None
    initiatives: list[TouchedChange]


class RootCauses:
    """Reads and edits the tree."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def tree(self, person: Person) -> list[StoredCause]:
        """All, retired ones too."""
        return await self._service.everything("/v1/root-causes", Listed[StoredCause], person=person)

    async def preview(self, person: Person, id_: str, body: Mapping[str, object]) -> CausePreview:
        """What it would touch to store this."""
        return await self._service.ask(f"{_path(id_)}/preview", body, CausePreview, person=person)

    async def put(
        self, person: Person, id_: str, body: Mapping[str, object], *, command_id: str, version: int | None
    ) -> None:
        """Make or replace one; without a version only a new one."""
        await self._service.put(
            _path(id_), body, person=person, command_id=command_id, version=version, only_new=version is None
        )


def _path(id_: str) -> str:
    return f"/v1/root-causes/{quote(id_, safe='')}"
