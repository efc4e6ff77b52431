"""Who is proposed to be named for closing loops exceptionally well, as casework keeps it."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person


class Proposal(msgspec.Struct, frozen=True):
    """Somebody who is proposed, with the numbers that say why."""

    id: str
    version: int
    agent_id: str
    name: str
    place: str | None
    cases: int
    confirmed: int
    in_time: int
    never_reopened: int
    well: int
    share: float
    low: float
    high: float
    expected: float
    status: str
    decided_by_name: str | None
    decided_at: datetime | None
    reason: str | None
    opted_out: bool

    @property
    def value(self) -> float:
        """The share, as pictures of shares call it."""
        return self.share


class Proposals(msgspec.Struct, frozen=True):
    """The proposals of a month."""

    month: date | None
    months: list[date]
    minimum: int
    items: list[Proposal]


class _Named(msgspec.Struct, frozen=True):
    agent_id: str


class _Choice(msgspec.Struct, frozen=True):
    wanted: bool


class Recognition:
    """Proposals, what is decided about them, and who wants to be named."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def proposals(self, person: Person, month: str) -> Proposals:
        """Of a month, or of the last one."""
        params = {"month": month} if month else None
        return await self._service.get("/v1/recognitions", Proposals, person=person, params=params)

    async def decide(
        self, person: Person, id_: str, step: str, body: Mapping[str, object], *, command_id: str, version: int | None
    ) -> None:
        """Approve or decline."""
        path = f"/v1/recognitions/{id_}/{step}"
        await self._service.post(path, body, person=person, command_id=command_id, version=version)

    async def named(self, person: Person, since: datetime, until: datetime) -> set[str]:
        """Who was approved in this time and still wants to be named."""
        params = {"from": since.isoformat(), "to": until.isoformat()}
        found = await self._service.get("/v1/recognitions/told", list[_Named], person=person, params=params)
        return {each.agent_id for each in found}

    async def wants(self, person: Person) -> bool | None:
        """Whether one wants to be named; None for somebody whom casework does not know."""
        found = await self._service.find("/v1/recognitions/choice", _Choice, person=person)
        return None if found is None else found.wanted

    async def choose(self, person: Person, *, wanted: bool, command_id: str) -> None:
        """Say whether one wants to be named."""
        body = {"wanted": wanted}
        path = "/v1/recognitions/choice"
        await self._service.put(path, body, person=person, command_id=command_id, version=None)
