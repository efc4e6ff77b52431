"""The people who close loops, as casework keeps them: agents, teams, departments."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

import msgspec

from services.portal.clients.service import Listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person

GroupKind = Literal["teams", "departments"]


class Absence(msgspec.Struct, frozen=True):
    """One planned time away; `absent_until` is the first moment back at work."""

    absent_from: datetime
    absent_until: datetime


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
    absences: list[Absence] = []
    languages: list[str] = []
    programs: list[str] = []
    touchpoints: list[str] = []
    themes: list[str] = []
    calendar_id: str | None = None
    disabled: bool = False

    @property
    def full(self) -> bool:
        """Whether they have as many cases as they should have."""
        return self.running_cases >= self.capacity

    def absence(self, now: datetime) -> tuple[datetime, datetime | None] | None:
        """The time away that goes on now, else the next one that is planned; without an end where none is known."""
        spans: list[tuple[datetime, datetime | None]] = [
            (each.absent_from, each.absent_until) for each in self.absences
        ]
        if self.absent_from is not None:
            spans.append((self.absent_from, self.absent_until))
        ahead = [span for span in spans if span[1] is None or now < span[1]]
        return min(ahead, key=lambda span: span[0], default=None)


class Team(msgspec.Struct, frozen=True, kw_only=True):
    """People who work together."""

    id: str
    version: int
    name: str
    lead_id: str | None
    department_id: str | None
    programs: list[str] = []
    touchpoints: list[str] = []
    themes: list[str] = []
    calendar_id: str | None = None
    retired: bool = False


class Department(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the company."""

    id: str
    version: int
    name: str
    manager_id: str | None
    task_hours: int = 48
    calendar_id: str | None = None
    retired: bool = False


class HandedCase(msgspec.Struct, frozen=True):
    """What became of one case, or would."""

    case_id: str
    result: str
    because: str | None
    owner_id: str
    owner_reason: str
    customer_is_told: bool


class HandedOver(msgspec.Struct, frozen=True):
    """What became of everything, or would."""

    preview: bool
    changed: int
    unchanged: int
    refused: int
    cases: list[HandedCase]
    more: bool


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

    async def team(self, person: Person, id_: str) -> Team | None:
        """One team."""
        return await self._service.find(f"/v1/teams/{quote(id_, safe='')}", Team, person=person)

    async def department(self, person: Person, id_: str) -> Department | None:
        """One department."""
        return await self._service.find(f"/v1/departments/{quote(id_, safe='')}", Department, person=person)

    async def put_group(
        self,
        person: Person,
        kind: GroupKind,
        id_: str,
        body: Mapping[str, object],
        *,
        command_id: str,
        version: int | None,
    ) -> None:
        """Make a team or a department, or change what was seen at `version`."""
        path = f"/v1/{kind}/{quote(id_, safe='')}"
        await self._service.put(path, body, person=person, command_id=command_id, version=version)

    async def agent(self, person: Person, id_: str) -> Colleague:
        """One of them."""
        return await self._service.get(_agent(id_), Colleague, person=person)

    async def find_agent(self, person: Person, id_: str) -> Colleague | None:
        """One of them; None where there is nobody of this id."""
        return await self._service.find(_agent(id_), Colleague, person=person)

    async def put_agent(
        self, person: Person, id_: str, body: Mapping[str, object], *, command_id: str, version: int | None
    ) -> None:
        """Replace what is known of them."""
        await self._service.put(_agent(id_), body, person=person, command_id=command_id, version=version)

    async def hand_over(self, person: Person, id_: str, body: Mapping[str, object], *, command_id: str) -> HandedOver:
        """Hand over what somebody has, or say what that would do."""
        path = f"{_agent(id_)}/hand-over"
        return await self._service.order(path, body, HandedOver, person=person, command_id=command_id)


def _agent(id_: str) -> str:
    return f"/v1/agents/{quote(id_, safe='')}"
