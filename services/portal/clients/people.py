"""The people who close loops, as casework keeps them: agents, teams, departments."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from services.portal.clients.service import Listed

if TYPE_CHECKING:
    from services.portal.clients.service import Service
    from services.portal.domain.people import Person


class Colleague(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may own cases, with how many they own now."""

    id: str
    version: int
    name: str
    email: str
    language: str
    role: str
    seniority: int
    team_id: str | None
    department_id: str | None
    capacity: int
    running_cases: int
    absent_from: datetime | None = None
    absent_until: datetime | None = None
    disabled: bool = False

    @property
    def full(self) -> bool:
        """Whether they have as many cases as they should have."""
        return self.running_cases >= self.capacity

    def away_until(self, now: datetime) -> datetime | None:
        """When somebody who is away now comes back; None who is there, or comes back nobody knows when."""
        return self.absent_until if self.away(now) else None

    def away(self, now: datetime) -> bool:
        """Whether they are away."""
        return (
            self.absent_from is not None
            and self.absent_from <= now
            and (self.absent_until is None or now < self.absent_until)
        )


class Team(msgspec.Struct, frozen=True, kw_only=True):
    """People who work together."""

    id: str
    version: int
    name: str
    lead_id: str | None
    department_id: str | None


class Department(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the company."""

    id: str
    version: int
    name: str
    manager_id: str | None


class People:
    """Agents, teams and departments."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def agents(self, person: Person) -> list[Colleague]:
        """Everybody who owns cases or did."""
        return await self._service.everything("/v1/agents", Listed[Colleague], person=person)

    async def teams(self, person: Person) -> list[Team]:
        """All teams."""
        return await self._service.everything("/v1/teams", Listed[Team], person=person)

    async def departments(self, person: Person) -> list[Department]:
        """All departments."""
        return await self._service.everything("/v1/departments", Listed[Department], person=person)
