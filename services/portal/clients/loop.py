"""How well the loop is closed, as casework measures it: shares with their intervals, medians, and what delay does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person


class Portion(msgspec.Struct, frozen=True):
    """`count` of `n`, as a part of 1 with its interval; None where n is 0."""

    n: int
    count: int
    value: float | None
    low: float | None = msgspec.field(name="ci_low")
    high: float | None = msgspec.field(name="ci_high")


class Middle(msgspec.Struct, frozen=True):
    """The median of `n` times, in hours from the customer's answer."""

    n: int
    hours: float | None


class Health(msgspec.Struct, frozen=True):
    """How well the loop of a group of cases was closed."""

    group: str | None
    cases: int
    running: int
    contacted_within_48_hours: Portion
    time_to_contact: Middle
    time_to_resolve: Middle
    confirmed: Portion
    unconfirmed: Portion
    reopened: Portion
    escalated: Portion

    def portion(self, name: str) -> Portion:
        """The share of this name, one of `SHARES`."""
        found: Portion = getattr(self, name)
        return found


class Told(msgspec.Struct, frozen=True):
    """What became of changes."""

    shipped: int
    communicated_within_a_quarter: Portion


class LoopHealth(msgspec.Struct, frozen=True):
    """The health of the loop in a time, by groups or as a whole."""

    groups: list[Health]
    initiatives: Told


class GroupNames(msgspec.Struct, frozen=True):
    """What teams and departments are called, by id."""

    teams: dict[str, str]
    departments: dict[str, str]


class Delay(msgspec.Struct, frozen=True):
    """How cases ended whose first contact came after so many hours."""

    from_hours: float
    to_hours: float | None
    cases: int
    confirmed: Portion
    reopened: Portion


class MeanContacts(msgspec.Struct, frozen=True):
    """The mean of `n` answers to how often the customer had to get in touch, with its interval; None where n is 0."""

    n: int
    value: float | None
    low: float | None = msgspec.field(name="ci_low")
    high: float | None = msgspec.field(name="ci_high")


class Effort(msgspec.Struct, frozen=True):
    """What it took customers of a group of cases until their problems were solved."""

    group: str | None
    resolutions: int
    contacts: MeanContacts
    once: Portion
    passed_on: Portion


class Loop:
    """The measures of the loop."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def health(
        self, person: Person, since: datetime, until: datetime, filters: Mapping[str, str], *, by: str | None = None
    ) -> LoopHealth:
        """Of the cases opened from `since` until before `until`."""
        params = {**filters, **_span(since, until)} | ({"by": by} if by else {})
        return await self._service.get("/v1/measures/loop", LoopHealth, person=person, params=params)

    async def names(self, person: Person) -> GroupNames:
        """What all teams and departments are called; everybody may know."""
        return await self._service.get("/v1/measures/groups", GroupNames, person=person)

    async def effort(
        self, person: Person, since: datetime, until: datetime, filters: Mapping[str, str], *, by: str | None = None
    ) -> list[Effort]:
        """Of the cases opened in this time that were solved."""
        params = {**filters, **_span(since, until)} | ({"by": by} if by else {})
        return await self._service.get("/v1/measures/effort", list[Effort], person=person, params=params)

    async def delay(self, person: Person, since: datetime, until: datetime, filters: Mapping[str, str]) -> list[Delay]:
        """By how late the first contact was."""
        params = {**filters, **_span(since, until)}
        return await self._service.get("/v1/measures/delay", list[Delay], person=person, params=params)


def _span(since: datetime, until: datetime) -> dict[str, str]:
    return {"from": since.isoformat(), "to": until.isoformat()}
