"""Who owns a case, and who answers for it above the owner. The choice is deterministic and explains itself.

Owner, the first that applies:

    previous_owner     the customer's last owner, if present: nobody tells the story twice
    most_senior        key tier: the most senior agent present, then the least loaded
    experienced        high tier: of seniority 2 or 3, the least loaded by share of capacity
    least_loaded       others: the least loaded by share of capacity, then the less senior
    everyone_full      as above, when every agent present is at capacity: overload is shared, not parked
    team_lead          no agent is present: the team leads who are, the least loaded first
    manager, executive no team lead is present either
    everyone_absent    nobody at all is present: managers, then executives, then agents, absent but not disabled

Only a company with nobody enabled leaves a case without an owner to be, and then there is no case yet: the answer
waits (`answers`), because a case without an owner must not exist, and neither must a lost answer.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

import msgspec

from services.casework.domain.agents import Agent
from services.casework.domain.errors import NobodyToAssign
from services.casework.domain.timeline import Details

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from services.casework.domain.agents import Staff
    from services.casework.domain.names import AgentId, Level, Tier

    Order = Callable[[Agent, int], tuple[float | int | str | bool, ...]]

_EXPERIENCED: Final = 2
_MANAGING: Final = ("manager", "executive")


class Choice(msgspec.Struct, frozen=True, gc=False):
    """The owner, and why: a code with parameters that the portal words in the reader's language."""

    agent: Agent
    reason: str
    details: Details


class Desk:
    """Hands out cases one after another, and remembers what it has handed out: the load within one batch."""

    def __init__(self, staff: Staff, now: datetime) -> None:
        everybody = [agent for agent in staff.agents.values() if not agent.disabled]
        present = [agent for agent in everybody if not agent.is_absent(now)]
        leads = {agent.team_lead_id for agent in everybody if agent.team_lead_id is not None}
        self._agents_present: Final = {agent.id: agent for agent in present if agent.role == "agent"}
        self._load: Final[dict[AgentId, int]] = {agent.id: agent.running_cases for agent in everybody}
        agents = list(self._agents_present.values())
        self._queues: Final[dict[Tier, _Queue]] = {
            "key": _Queue(agents, _for_key_tier, self._load),
            "high": _Queue(agents, _for_high_tier, self._load),
        }
        self._others: Final = _Queue(agents, _for_other_tiers, self._load)
        self._stand_ins: Final = [
            ("team_lead", _Queue([agent for agent in present if agent.id in leads], _by_load, self._load)),
            ("manager", _Queue([agent for agent in present if agent.role == "manager"], _by_load, self._load)),
            ("executive", _Queue([agent for agent in present if agent.role == "executive"], _by_load, self._load)),
            ("everyone_absent", _Queue(everybody, _managers_first, self._load)),
        ]

    def choose(self, tier: Tier, previous_owner: AgentId | None = None) -> Choice:
        """The owner of one more case, who counts as its owner from now on; NobodyToAssign."""
        choice = self._previous(previous_owner) or self._for_tier(tier) or self._stand_in()
        if choice is None:
            raise NobodyToAssign
        self._load[choice.agent.id] += 1
        return choice

    def _previous(self, id_: AgentId | None) -> Choice | None:
        agent = None if id_ is None else self._agents_present.get(id_)
        return None if agent is None else Choice(agent, "previous_owner", {})

    def _for_tier(self, tier: Tier) -> Choice | None:
        agent = self._queues.get(tier, self._others).first()
        if agent is None:
            return None
        load = self._load[agent.id]
        details: Details = {"seniority": agent.seniority, "load": load, "capacity": agent.capacity}
        if load >= agent.capacity:
            return Choice(agent, "everyone_full", details)
        match tier:
            case "key":
                return Choice(agent, "most_senior", details)
            case "high" if agent.seniority >= _EXPERIENCED:
                return Choice(agent, "experienced", details)
            case _:
                return Choice(agent, "least_loaded", details)

    def _stand_in(self) -> Choice | None:
        for reason, queue in self._stand_ins:
            agent = queue.first()
            if agent is not None:
                return Choice(agent, reason, {"load": self._load[agent.id]})
        return None


class _Queue:
    """People in an order that depends on their load: a heap whose places are corrected when they come to the top.

    Loads only grow at a desk, so a place can only be too far in front; this keeps a choice at O(log n).
    """

    def __init__(self, agents: Iterable[Agent], order: Order, load: dict[AgentId, int]) -> None:
        self._order = order
        self._load = load
        self._heap = [(order(agent, load[agent.id]), agent.id, agent) for agent in agents]
        heapq.heapify(self._heap)

    def first(self) -> Agent | None:
        while self._heap:
            place, id_, agent = self._heap[0]
            now = self._order(agent, self._load[id_])
            if now == place:
                return agent
            heapq.heapreplace(self._heap, (now, id_, agent))
        return None


def _is_full(agent: Agent, load: int) -> bool:
    return load >= agent.capacity


def _share(agent: Agent, load: int) -> float:
    return load / agent.capacity if agent.capacity else float("inf")


def _for_key_tier(agent: Agent, load: int) -> tuple[float | int | str | bool, ...]:
    return _is_full(agent, load), -agent.seniority, _share(agent, load), load


def _for_high_tier(agent: Agent, load: int) -> tuple[float | int | str | bool, ...]:
    return _is_full(agent, load), agent.seniority < _EXPERIENCED, _share(agent, load), load


def _for_other_tiers(agent: Agent, load: int) -> tuple[float | int | str | bool, ...]:
    # The less senior first, so that the most senior keep room for key customers.
    return _is_full(agent, load), _share(agent, load), load, agent.seniority


def _by_load(_agent: Agent, load: int) -> tuple[float | int | str | bool, ...]:
    return (load,)


def _managers_first(agent: Agent, load: int) -> tuple[float | int | str | bool, ...]:
    return ("manager", "executive", "agent").index(agent.role), load


def responsible_at(level: Level, owner: Agent, staff: Staff, now: datetime) -> Agent | None:
    """Who answers for a case of `owner` at `level`; None on the frontline, or where the company named nobody."""
    match level:
        case "frontline":
            return None
        case "management":
            nearest = [owner.department_manager_id, owner.team_lead_id]
            known = [staff.agents[id_] for id_ in nearest if id_ is not None and id_ in staff.agents]
            above = [agent for agent in known if agent.role in _MANAGING and agent.id != owner.id]
            return _first_present([*above, *staff.managers], now)
        case "executive":
            return _first_present(staff.executives, now)


def _first_present(agents: Sequence[Agent], now: datetime) -> Agent | None:
    enabled = [agent for agent in agents if not agent.disabled]
    present = (agent for agent in enabled if agent.is_available(now))
    return next(present, enabled[0] if enabled else None)
