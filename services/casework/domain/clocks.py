"""The clocks of a case: instants that are computed once, from the moment when the customer spoke, and then stored.

    running ──at warn_at──> warned ──at due_at──> breached
       └───────────────────at due_at────────────────┘      (found late: no warning after the fact)

A changed policy moves no stored instant. A case that is reopened gets new clocks from the moment of the reopening,
by the policy of that moment. A clock is stopped by what the case does, not here: see `cases`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal, cast

import msgspec
from msgspec.structs import replace

from libs.events.event import named
from services.casework.domain.names import Clock

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from services.casework.domain.names import CaseId, Tier


class Stage(StrEnum):
    """How far a clock has come."""

    RUNNING = "running"
    WARNED = "warned"
    BREACHED = "breached"


class Deadline(msgspec.Struct, frozen=True, gc=False):
    """One clock: when the work is due, when to warn, and what has been said already."""

    due_at: datetime
    warn_at: datetime
    stage: Stage = Stage.RUNNING

    @property
    def fires_at(self) -> datetime | None:
        """The instant at which something has to happen next."""
        match self.stage:
            case Stage.RUNNING:
                return self.warn_at
            case Stage.WARNED:
                return self.due_at
            case Stage.BREACHED:
                return None

    def at(self, stage: Stage) -> Deadline:
        """The same clock at another stage."""
        return replace(self, stage=stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long each thing may take for customers of one tier. Data that the company edits."""

    tier: Tier
    first_contact: timedelta
    resolution: timedelta
    reopened_first_contact: timedelta
    reopened_resolution: timedelta
    confirmation: timedelta
    """How long the customer may be silent after a resolution before the case closes unconfirmed."""
    warn_after: float
    """The share of the time after which the owner is warned."""

    def opened(self, since: datetime) -> tuple[Deadline, Deadline]:
        """First contact and resolution, counted from the answer."""
        return self._deadline(since, self.first_contact), self._deadline(since, self.resolution)

    def reopened(self, since: datetime) -> tuple[Deadline, Deadline]:
        """First contact and resolution of a further round, counted from the moment when it began."""
        return self._deadline(since, self.reopened_first_contact), self._deadline(since, self.reopened_resolution)

    def _deadline(self, since: datetime, allowance: timedelta) -> Deadline:
        start = since.astimezone(UTC)
        return Deadline(due_at=start + allowance, warn_at=start + allowance * self.warn_after)


def started_at(spoken_at: datetime, now: datetime) -> datetime:
    """Where a clock starts: when the customer spoke. A vendor's clock that runs ahead gives us no more time."""
    return min(spoken_at, now)


DEFAULT_POLICIES: Final[Mapping[Tier, Policy]] = {
    tier: Policy(
        tier=tier,
        # 48 hours for everybody: value decides who calls and how fast a case climbs, not whether it is answered.
        first_contact=timedelta(hours=48),
        resolution=timedelta(days=days),
        # A second disappointment is answered faster than the first.
        reopened_first_contact=timedelta(hours=24),
        reopened_resolution=timedelta(days=days / 2),
        confirmation=timedelta(days=7),
        warn_after=0.75,
    )
    for tier, days in cast("dict[Tier, int]", {"key": 5, "high": 7, "standard": 10, "low": 14}).items()
}
"""What holds until the company says otherwise; the first migration writes the same numbers into the table."""


Happening = Literal["warned", "breached", "silence"]


class Firing(msgspec.Struct, frozen=True, gc=False):
    """Something that a clock makes happen to a case, once."""

    clock: Clock
    happening: Happening
    due_at: datetime

    def id(self, case_id: CaseId, reopenings: int = 0) -> UUID:
        """The cause of its events: the same firing always has the same id, whichever worker comes first.

        The number of reopenings is a part of it, as a clock that starts anew may end at an instant of an earlier one.
        """
        due_at = self.due_at.astimezone(UTC).isoformat()
        return named(case_id, f"{reopenings}/{self.clock}/{self.happening}/{due_at}")


def firing_of(clock: Clock, deadline: Deadline, now: datetime) -> Firing | None:
    """What `deadline` makes happen at `now`, if anything: never before its time."""
    if deadline.stage is Stage.BREACHED:
        return None
    if deadline.due_at <= now:
        return Firing(clock, "breached", deadline.due_at)
    if deadline.stage is Stage.RUNNING and deadline.warn_at <= now:
        return Firing(clock, "warned", deadline.due_at)
    return None
