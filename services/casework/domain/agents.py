"""The people who close loops: agents, managers and executives, with their teams and departments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from libs.events.contracts.cases import Employee

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from services.casework.domain.names import AgentId

AgentRole = Literal["agent", "manager", "executive"]


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

    def is_absent(self, at: datetime) -> bool:
        """Whether `at` lies in the absence; one end alone is open on the other side."""
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
