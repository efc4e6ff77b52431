"""How long each thing may take and when it is counted: policies, calendars and recomputations of casework."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from services.portal.clients.service import Listed

if TYPE_CHECKING:
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
    warnings: list[float]
    calendar_id: str | None
    version: int
    program: str | None = None

    @property
    def longest_wait(self) -> timedelta:
        """How long a case may wait for its customer in one round, altogether."""
        return timedelta(days=self.longest_wait_days)


class Policies:
    """Policies as the company edits them."""

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


def _of(program: str) -> str:
    return f"/v1/programs/{quote(program, safe='')}/sla-policies"
