"""What moves the NPS, as the portal asks scoring for it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

if TYPE_CHECKING:
    from services.portal.clients.service import Service
    from services.portal.domain.people import Person


class Interval(msgspec.Struct, frozen=True):
    """A value with its interval."""

    value: float
    low: float = msgspec.field(name="ci_low")
    high: float = msgspec.field(name="ci_high")

    @property
    def unsure(self) -> bool:
        """Whether the interval holds zero: there may be nothing at all."""
        return self.low <= 0 <= self.high


class Stake(msgspec.Struct, frozen=True):
    """What the customers concerned are worth."""

    customers: int
    valued: int
    current_value: float


class Level(msgspec.Struct, frozen=True):
    """One touchpoint, one channel, one theme."""

    name: str
    n: int
    nps: Interval | None
    effect: Interval
    at_stake: Stake | None


class Driver(msgspec.Struct, frozen=True):
    """A factor or a theme."""

    factor: str
    name: str | None
    share: Interval
    levels: list[Level]


class Refused(msgspec.Struct, frozen=True):
    """Why there is no result."""

    reason: str
    needed: int | None


class LeftOut(msgspec.Struct, frozen=True):
    """What could not be compared."""

    factor: str
    name: str | None
    reason: str


class Run(msgspec.Struct, frozen=True):
    """What was asked for, and what was found."""

    id: UUID
    program: str
    kind: str
    since: datetime = msgspec.field(name="from")
    until: datetime = msgspec.field(name="to")
    status: str
    finished_at: datetime | None
    n: int | None
    refused: Refused | None
    nps: Interval | None
    r_squared: Interval | None
    drivers: list[Driver]
    left_out: list[LeftOut]

    @property
    def widest_share(self) -> float:
        """The end of the longest interval of a share."""
        return max((driver.share.high for driver in self.drivers), default=0) or 1.0

    @property
    def widest_effect(self) -> float:
        """The end of the longest interval of an effect, to either side."""
        effects = [level.effect for driver in self.drivers for level in driver.levels]
        return max((max(abs(each.low), abs(each.high)) for each in effects), default=0) or 1.0


class Drivers:
    """`/v1/metrics/drivers` and `/v1/driver-runs` of scoring."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def newest(self, person: Person, program: str, kind: str) -> Run | None:
        """The newest finished run; None where there is none yet."""
        params = {"program": program, "kind": kind}
        return await self._service.find("/v1/metrics/drivers", Run, person=person, params=params)

    async def run(self, person: Person, run_id: str) -> Run | None:
        """A run, waiting or finished."""
        return await self._service.find(f"/v1/driver-runs/{run_id}", Run, person=person)

    async def ask(
        self, person: Person, program: str, kind: str, since: datetime, until: datetime, *, command_id: str
    ) -> Run:
        """Ask for a run; it is computed within moments."""
        body = {"program": program, "kind": kind, "from": since.isoformat(), "to": until.isoformat()}
        return await self._service.order("/v1/driver-runs", body, Run, person=person, command_id=command_id)
