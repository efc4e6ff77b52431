"""Who carries SMS and messengers, as notify keeps it, and what they answered."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person


class Reading(msgspec.Struct, frozen=True):
    """How an answer says what was done."""

    pointer: str
    accepted: list[str]
    later: list[str]


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One provider; of its headers the names alone."""

    name: str
    channel: str
    url: str
    headers: list[str]
    body: dict[str, Any]
    idempotency_header: str | None
    repeat_hours: int
    sender: str
    reading: Reading | None
    enabled: bool
    by: str
    at: datetime


class Trouble(msgspec.Struct, frozen=True):
    """The latest that is not over."""

    said: str
    at: datetime


class Answers(msgspec.Struct, frozen=True):
    """What came of the messages of the last days; `provider` None: by mail."""

    provider: str | None
    delivered: int
    later: int
    never: int
    doubtful: int
    trouble: Trouble | None


class Sending(msgspec.Struct, frozen=True):
    """How sending goes, by mail first."""

    days: int
    counted_to: int
    items: list[Answers]
    employees_with_chat: int


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider answered to a message of ours to ourselves; `status` None: nothing."""

    outcome: str
    said: str
    status: int | None
    answer: str


class Providers:
    """`/v1/providers` and `/v1/provider-answers` of notify."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def all(self, person: Person) -> list[Provider]:
        """All of them, by name."""
        return await self._service.get("/v1/providers", list[Provider], person=person)

    async def answers(self, person: Person) -> Sending:
        """How sending goes."""
        return await self._service.get("/v1/provider-answers", Sending, person=person)

    async def one(self, person: Person, name: str) -> tuple[Provider, int]:
        """One of them, and its version."""
        return await self._service.get_version(f"/v1/providers/{name}", Provider, person=person)

    async def is_there(self, person: Person, name: str) -> bool:
        """Whether there is one of this name."""
        return await self._service.find(f"/v1/providers/{name}", Provider, person=person) is not None

    async def put(
        self, person: Person, name: str, body: Mapping[str, object], *, command_id: str, version: int | None
    ) -> None:
        """Set one."""
        path = f"/v1/providers/{name}"
        await self._service.put(path, body, person=person, command_id=command_id, version=version)

    async def try_out(self, person: Person, name: str, body: Mapping[str, object], *, command_id: str) -> Tried:
        """Have one send a message that is for no customer. More patience: it is asked meanwhile."""
        path = f"/v1/providers/{name}/test"
        return await self._service.order(path, body, Tried, person=person, command_id=command_id, long=True)
