"""How long each thing may take and when it is counted: policies, calendars and recomputations of casework."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import msgspec

from services.portal.clients.service import Listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How long each thing may take for customers of one tier; of one program, where it names one."""

    tier: str
    first_contact_hours: int
    resolution_hours: int
    reopened_first_contact_hours: int
    reopened_resolution_hours: int
    management_hours: int
    executive_hours: int
    confirmation_days: int
    longest_wait_days: int
    unanswered_attempts: int
    warnings: list[float]
    calendar_id: str | None
    version: int
    program: str | None = None

    @property
    def longest_wait(self) -> timedelta:
        """How long a case may wait for its customer in one round, altogether."""
        return timedelta(days=self.longest_wait_days)


class Calendar(msgspec.Struct, frozen=True):
    """When a region works."""

    id: str
    name: str
    zone: str
    week: dict[str, list[dict[str, str]]]
    holidays: list[str]
    special_days: list[dict[str, Any]]
    version: int

    def coming(self, today: date) -> list[date]:
        """The holidays that are still ahead, the next first."""
        return sorted(day for day in map(date.fromisoformat, self.holidays) if day >= today)


class Recomputation(msgspec.Struct, frozen=True, kw_only=True):
    """How far the clocks of open cases have been counted anew, or what that would do."""

    id: str
    dry_run: bool
    program: str | None
    tier: str | None
    level: str | None
    calendar_id: str | None
    asked_by: str
    asked_at: datetime
    status: Literal["running", "done", "failed"]
    seen: int
    changed: int
    breached: int
    failure: str | None
    ended_at: datetime | None

    @property
    def scope(self) -> list[tuple[str, str]]:
        """Of which cases, where not of all."""
        named = (
            ("program", self.program),
            ("tier", self.tier),
            ("level", self.level),
            ("calendar_id", self.calendar_id),
        )
        return [(name, value) for name, value in named if value]


class RecomputedBreach(msgspec.Struct, frozen=True):
    """A case of which these clocks breached at once, or would."""

    case_id: str
    clocks: list[str]


class Policies:
    """Policies, calendars and recomputations as the company edits them."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def company(self, person: Person) -> list[Policy]:
        """The company's, one for each tier, the most valuable first."""
        return (await self._service.get("/v1/sla-policies", Listed[Policy], person=person)).items

    async def of_program(self, person: Person, program: str) -> list[Policy]:
        """Those that a program has of its own."""
        return (await self._service.get(_of(program), Listed[Policy], person=person)).items

    async def in_force(self, person: Person, program: str, tier: str) -> Policy:
        """The one by which a case of this program and tier goes."""
        own = await self._service.find(f"{_of(program)}/{tier}", Policy, person=person)
        if own is not None:
            return own
        return await self._service.get(f"/v1/sla-policies/{tier}", Policy, person=person)

    async def find(self, person: Person, program: str, tier: str) -> Policy | None:
        """The one that the program has of its own for this tier, the company's where `program` is empty."""
        return await self._service.find(_path(program, tier), Policy, person=person)

    async def put(
        self,
        person: Person,
        program: str,
        tier: str,
        body: Mapping[str, object],
        *,
        command_id: str,
        version: int | None,
    ) -> None:
        """Make or replace it."""
        await self._service.put(_path(program, tier), body, person=person, command_id=command_id, version=version)

    async def delete(self, person: Person, program: str, tier: str, *, command_id: str, version: int | None) -> None:
        """Take the program's own away: the company's holds again."""
        await self._service.delete(_path(program, tier), person=person, command_id=command_id, version=version)

    async def calendars(self, person: Person) -> list[Calendar]:
        """Those of all regions."""
        return await self._service.everything("/v1/calendars", Listed[Calendar], person=person)

    async def calendar(self, person: Person, id_: str) -> Calendar | None:
        """That of one region."""
        return await self._service.find(_calendar(id_), Calendar, person=person)

    async def put_calendar(
        self, person: Person, id_: str, body: Mapping[str, object], *, command_id: str, version: int | None
    ) -> None:
        """Make or replace it."""
        await self._service.put(_calendar(id_), body, person=person, command_id=command_id, version=version)

    async def delete_calendar(self, person: Person, id_: str, *, command_id: str, version: int | None) -> None:
        """Take it away."""
        await self._service.delete(_calendar(id_), person=person, command_id=command_id, version=version)

    async def recomputations(self, person: Person, *, limit: int, cursor: str | None) -> Listed[Recomputation]:
        """The latest first."""
        params = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        return await self._service.get(
            "/v1/sla-policies/recomputations", Listed[Recomputation], person=person, params=params
        )

    async def recomputation(self, person: Person, id_: str) -> Recomputation:
        """One of them."""
        return await self._service.get(f"/v1/sla-policies/recomputations/{id_}", Recomputation, person=person)

    async def breaches(self, person: Person, id_: str, *, limit: int, cursor: str | None) -> Listed[RecomputedBreach]:
        """What it makes breach, or would."""
        params = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        path = f"/v1/sla-policies/recomputations/{id_}/breaches"
        return await self._service.get(path, Listed[RecomputedBreach], person=person, params=params)

    async def recompute(self, person: Person, body: Mapping[str, object], *, command_id: str) -> Recomputation:
        """Count anew, or say what that would do."""
        path = "/v1/sla-policies/recompute"
        return await self._service.order(path, body, Recomputation, person=person, command_id=command_id)


def _calendar(id_: str) -> str:
    return f"/v1/calendars/{quote(id_, safe='')}"


def _path(program: str, tier: str) -> str:
    return f"{_of(program)}/{tier}" if program else f"/v1/sla-policies/{tier}"


def _of(program: str) -> str:
    return f"/v1/programs/{quote(program, safe='')}/sla-policies"
