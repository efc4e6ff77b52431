"""Scoring, as the portal asks it: how likely customers are to recommend us."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from services.portal.clients.customers import Customers
from services.portal.clients.drivers import Drivers
from services.portal.clients.instruments import Instruments
from services.portal.clients.measures import Measures
from services.portal.clients.responses import ScoredResponses
from services.portal.clients.segments import Segments
from services.portal.clients.themes import Themes
from services.portal.domain.plot import Nps

if TYPE_CHECKING:
    from services.portal.clients.service import Service
    from services.portal.domain.people import Person

Grouping = Literal["touchpoint", "program", "segment"]


class _Item(msgspec.Struct, frozen=True):
    kind: str
    group: str | None
    n: int | None
    promoters: int | None
    passives: int | None
    detractors: int | None
    nps: float | None
    ci_low: float | None
    ci_high: float | None


class Break(msgspec.Struct, frozen=True):
    """From here on the question was asked otherwise."""

    at: datetime
    program: str
    touchpoint: str | None


class _Answer(msgspec.Struct, frozen=True):
    items: list[_Item]
    instrument_breaks: list[Break] = []


class Group(msgspec.Struct, frozen=True):
    """The NPS of one group of answers of one survey kind; kinds are never added up."""

    kind: str
    name: str | None
    nps: Nps


class Measured(msgspec.Struct, frozen=True):
    """What was asked for, and where its series break."""

    groups: list[Group]
    breaks: list[Break]

    @property
    def answered(self) -> list[Group]:
        """The groups that somebody answered in; the survey kinds always in the same order."""
        return sorted((group for group in self.groups if group.nps.n), key=lambda group: group.kind, reverse=True)


class Scoring:
    """The scoring service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.measures: Final = Measures(service)
        self.drivers: Final = Drivers(service)
        self.segments: Final = Segments(service)
        self.customers: Final = Customers(service)
        self.instruments: Final = Instruments(service)
        self.themes: Final = Themes(service)
        self.responses: Final = ScoredResponses(service)

    async def close(self) -> None:
        """Close the connections."""
        await self._service.close()

    async def nps(
        self,
        person: Person,
        *,
        since: datetime,
        until: datetime,
        program: str | None = None,
        touchpoint: str | None = None,
        by: Grouping | None = None,
    ) -> Measured:
        """The NPS of the answers from `since` until before `until`."""
        params = {"from": since.isoformat(), "to": until.isoformat()}
        params |= {
            name: value
            for name, value in (("program", program), ("touchpoint", touchpoint), ("by", by))
            if value is not None
        }
        answer = await self._service.get("/v1/metrics/nps", _Answer, person=person, params=params)
        return Measured([group for item in answer.items if (group := _group(item))], answer.instrument_breaks)


def _group(item: _Item) -> Group | None:
    """None where too few answered for scoring to tell."""
    if item.n is None or item.promoters is None or item.passives is None or item.detractors is None:
        return None
    counted = Nps(
        item.n, item.promoters, item.passives, item.detractors, nps=item.nps, low=item.ci_low, high=item.ci_high
    )
    return Group(item.kind, item.group, counted)
