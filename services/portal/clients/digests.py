"""The employees' digests, as notify keeps them: what each said, and whether one gets them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from services.portal.clients.service import Service
    from services.portal.domain.people import Person


class Line(msgspec.Struct, frozen=True):
    """What it is about, and what is said of it."""

    about: str
    said: str


class Thanked(msgspec.Struct, frozen=True):
    """Somebody who was named."""

    agent_id: str
    about: str
    said: str


class Listed(msgspec.Struct, frozen=True):
    """A digest of a week or month."""

    id: str
    kind: str
    span: str
    frozen_at: datetime


class Digest(Listed, frozen=True):
    """A digest and what it says."""

    scores: list[Line]
    quotes: list[Line]
    themes: list[Line]
    departments: list[Line]
    deeds: list[Line]
    loop: list[Line]
    thanked: list[Thanked]
    owed: list[Line]


class Choices(msgspec.Struct, frozen=True):
    """Which digests one gets."""

    weekly: bool
    monthly: bool


class Digests:
    """Digests, for everybody."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def latest(self, person: Person, kind: str, language: str) -> list[Listed]:
        """The latest first."""
        params = {"kind": kind, "language": language}
        return await self._service.get("/v1/digests", list[Listed], person=person, params=params)

    async def one(self, person: Person, id_: str, language: str) -> Digest | None:
        """One with what it says; None where there is none."""
        return await self._service.find(f"/v1/digests/{id_}", Digest, person=person, params={"language": language})

    async def preview(self, person: Person, kind: str, language: str, reader: str) -> Digest:
        """What the next one would say."""
        params = {"language": language, "reader": reader}
        return await self._service.get(f"/v1/digest-previews/{kind}", Digest, person=person, params=params)

    async def choices(self, person: Person) -> Choices:
        """One's own."""
        return await self._service.get("/v1/digests/choices", Choices, person=person)

    async def choose(self, person: Person, kind: str, *, wanted: bool, command_id: str) -> None:
        """Turn one's own on or off."""
        path, body = f"/v1/digests/choices/{kind}", {"wanted": wanted}
        await self._service.put(path, body, person=person, command_id=command_id, version=None)
