"""The people who close loops: agents, managers and executives, with their teams and departments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from libs.events.contracts.cases import Employee

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from services.casework.domain.calendars import CalendarId
    from services.casework.domain.names import AgentId

AgentRole = Literal["agent", "manager", "executive"]


@dataclass(frozen=True, slots=True)
class Handles:
    """What a team or an agent takes on. An empty set leaves nothing out; what is not known of a case neither."""

    programs: frozenset[str] = frozenset()
    touchpoints: frozenset[str] = frozenset()
    themes: frozenset[str] = frozenset()

    def takes(self, program: str | None, touchpoint: str | None, themes: tuple[str, ...]) -> bool:
        """Whether a case from there, about that, is theirs; of several themes one is enough."""
        return (
            (program is None or not self.programs or program in self.programs)
            and (touchpoint is None or not self.touchpoints or touchpoint in self.touchpoints)
            and (not themes or not self.themes or not self.themes.isdisjoint(themes))
        )

    def narrowed_by(self, other: Handles) -> Handles:
        """What somebody of a team that handles this takes on, who said `other` of themselves: each list replaces."""
        return Handles(
            other.programs or self.programs, other.touchpoints or self.touchpoints, other.themes or self.themes
        )


EVERYTHING: Final = Handles()


def primary_language(tag: str) -> str:
    """What of a language tag (RFC 5646) decides whether two people understand one another: "en" of "en-GB"."""
    return tag.partition("-")[0].lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """Somebody who may own a case or answer for one."""

    id: AgentId
    name: str
    email: str
    language: Literal["ru", "en"]
    role: AgentRole
    seniority: int
    """1 (new) to 3 (most experienced)."""
    capacity: int
    """How many running cases they should have at most."""
    team_lead_id: AgentId | None = None
    department_manager_id: AgentId | None = None
    absent_from: datetime | None = None
    absent_until: datetime | None = None
    disabled: bool = False
    running_cases: int = 0
    """How many open or contacted cases they own."""
    languages: frozenset[str] = frozenset()
    """Primary languages in which they speak with customers, besides `language`, in which mails are written to them."""
    handles: Handles = EVERYTHING
    calendar_id: CalendarId | None = None
    """When they work; None where the company did not say, which is at any time."""
    absences: tuple[tuple[datetime, datetime], ...] = ()
    """Planned ones besides `absent_from` and `absent_until`: from when, and the first moment back."""

    def speaks(self, language: str) -> bool:
        """Whether a customer of this primary language is understood."""
        return language == self.language or language in self.languages

    def is_absent(self, at: datetime) -> bool:
        """Whether `at` lies in an absence; of the unlisted one, one end alone is open on the other side."""
        if any(start <= at < end for start, end in self.absences):
            return True
        if self.absent_from is None and self.absent_until is None:
            return False
        begun = self.absent_from is None or self.absent_from <= at
        over = self.absent_until is not None and self.absent_until <= at
        return begun and not over

    def is_available(self, at: datetime) -> bool:
        """Whether work can be given to them now."""
        return not self.disabled and not self.is_absent(at)

    def as_employee(self) -> Employee:
        """As events name them."""
        return Employee(employee_id=self.id, name=self.name, email=self.email, language=self.language)


@dataclass(frozen=True, slots=True)
class Staff:
    """Everybody, by id, as known in one transaction."""

    agents: Mapping[AgentId, Agent]
    managers: tuple[Agent, ...] = field(init=False)
    """The most experienced first."""
    executives: tuple[Agent, ...] = field(init=False)
    """The most experienced first."""

    def __post_init__(self) -> None:
        # Once, and not for each of the hundreds of cases that climb in one transaction.
        object.__setattr__(self, "managers", self._ordered("manager"))
        object.__setattr__(self, "executives", self._ordered("executive"))

    @classmethod
    def of(cls, agents: Iterable[Agent]) -> Staff:
        """The staff that consists of `agents`."""
        return cls({agent.id: agent for agent in agents})

    @property
    def has_anybody(self) -> bool:
        """Whether there is one person who could own a case."""
        return any(not agent.disabled for agent in self.agents.values())

    def employee(self, id_: AgentId) -> Employee:
        """As events name them. People are disabled and never deleted, so an owner is always known."""
        return self.agents[id_].as_employee()

    def _ordered(self, role: AgentRole) -> tuple[Agent, ...]:
        found = (agent for agent in self.agents.values() if agent.role == role)
        return tuple(sorted(found, key=lambda agent: (-agent.seniority, agent.id)))
