"""Policies: how long each thing may take, by program, tier and level. Data that the company edits.

    the company's own policy of the program and the tier       holds for cases of that program
    the company's policy of the tier                           holds for all others; there is always one

Light cases go by the policies of a program of their own (`LIGHT`), whatever program their answers are of.

Hours are hours of the calendar that the policy names, and hours of all time where it names none. The time that a
customer has to confirm, and the time that a case may wait for the customer, are always all time: customers do not keep
our hours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast

from services.casework.domain.calendars import Calendar, add
from services.casework.domain.clocks import Deadline, deadline

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from services.casework.domain.cases import CaseKind
    from services.casework.domain.names import Level, Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long each thing may take for customers of one tier."""

    tier: Tier
    first_contact: timedelta
    resolution: timedelta
    reopened_first_contact: timedelta
    reopened_resolution: timedelta
    management: timedelta
    """How long management has to act on a case that climbed to it."""
    executive: timedelta
    """The same for executives; and how often they are reminded, once they let that time pass."""
    confirmation: timedelta
    """How long the customer may be silent after a resolution before the case closes unconfirmed."""
    longest_wait: timedelta
    """How long a case may wait for the customer in one round, altogether."""
    warnings: tuple[float, ...]
    """The shares of the time after which to warn, ascending."""
    calendar: Calendar | None = None
    unanswered_attempts: int = 3
    """After how many attempts in a row at which nobody was reached the case climbs; 0: never."""

    def opened(self, since: datetime) -> tuple[Deadline, Deadline]:
        """First contact and resolution, counted from the answer."""
        return self._deadline(since, self.first_contact), self._deadline(since, self.resolution)

    def reopened(self, since: datetime) -> tuple[Deadline, Deadline]:
        """First contact and resolution of a further round, counted from the moment when it began."""
        return self._deadline(since, self.reopened_first_contact), self._deadline(since, self.reopened_resolution)

    def escalated(self, level: Level, since: datetime) -> Deadline | None:
        """By when somebody of this level has to act, counted from when the case came there; None on the frontline."""
        match level:
            case "frontline":
                return None
            case "management":
                return self._deadline(since, self.management)
            case "executive":
                return self._deadline(since, self.executive)

    def resolution_of(self, since: datetime, *, reopened: bool, paused: timedelta) -> Deadline:
        """The resolution clock of a round that began at `since` and was paused for so much working time."""
        allowance = self.reopened_resolution if reopened else self.resolution
        return deadline(self.calendar, since, allowance, self.warnings, paused)

    def reminded(self, now: datetime) -> datetime:
        """When to remind the executives again."""
        return add(self.calendar, now, self.executive)

    def _deadline(self, since: datetime, allowance: timedelta) -> Deadline:
        return deadline(self.calendar, since, allowance, self.warnings, timedelta(0))


LIGHT: Final = "~light"
"""The program under which the policies of light cases stand; no survey has it."""


@dataclass(frozen=True, slots=True)
class Policies:
    """All policies, as known in one transaction."""

    by_tier: Mapping[Tier, Policy]
    by_program: Mapping[tuple[str, Tier], Policy] = field(default_factory=dict)

    def of(self, program: str, tier: Tier, kind: CaseKind = "full") -> Policy:
        """The policy that holds for a case of this program, tier and kind."""
        if kind == "light":
            program = LIGHT
        return self.by_program.get((program, tier)) or self.by_tier[tier]


DEFAULT_POLICIES: Final[Mapping[Tier, Policy]] = {
    tier: Policy(
        tier=tier,
        # 48 hours for everybody: value decides who calls and how fast a case climbs, not whether it is answered.
        first_contact=timedelta(hours=48),
        resolution=timedelta(days=days),
        # A second disappointment is answered faster than the first.
        reopened_first_contact=timedelta(hours=24),
        reopened_resolution=timedelta(days=days / 2),
        management=timedelta(hours=management),
        executive=timedelta(hours=2 * management),
        confirmation=timedelta(days=7),
        longest_wait=timedelta(days=14),
        warnings=(0.75,),
    )
    for tier, (days, management) in cast(
        "dict[Tier, tuple[int, int]]", {"key": (5, 12), "high": (7, 24), "standard": (10, 24), "low": (14, 48)}
    ).items()
}
"""What holds until the company says otherwise; the migrations write the same numbers into the table."""
