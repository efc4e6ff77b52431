"""Who owns a case, and who answers for it above the owner. The choice is deterministic and explains itself.

Owner, the first that applies:

    previous_owner     the customer's last owner, if present: nobody tells the story twice
    most_senior        key tier: of the suitable the most senior, then the least loaded
    experienced        high tier: of the suitable those of seniority 2 or 3, the least loaded by share of capacity
    least_loaded       others: of the suitable the least loaded by share of capacity, then the less senior
    everyone_full      as above, when every one of them is at capacity: overload is shared, not parked
    team_lead          nobody suitable is present: team leads who are, of those who would be suitable first
    manager, executive no team lead is present either
    unskilled          nor they, but agents who do not handle such cases: the least loaded
    everyone_absent    nobody at all is present: managers, then executives, then agents, absent but not disabled

Suitable is an agent who is present and handles the case's program, touchpoint or themes. Of these, who speaks the
customer's language comes before who does not. Who works now comes before who works within twelve hours, and these
before who works later; a key or high-tier customer would rather have the more experienced twelve hours later.

Only a company with nobody enabled leaves a case without an owner to be, and then there is no case yet: the answer
waits (`answers`), because a case without an owner must not exist, and neither must a lost answer.
"""

from __future__ import annotations

import heapq
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from services.casework.domain.agents import EVERYTHING, Agent, primary_language
from services.casework.domain.errors import NobodyToAssign
from services.casework.domain.timeline import Details

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from services.casework.domain.agents import Handles, Staff
    from services.casework.domain.calendars import Calendar, CalendarId
    from services.casework.domain.names import AgentId, Level, Tier

    Place = tuple[float | int | str | bool, ...]
    Order = Callable[[Agent, int, int], Place]
    """The place of an agent with this load who is so far `away`: 0 at work, 1 within twelve hours, 2 later."""

_EXPERIENCED: Final = 2
_MANAGING: Final = ("manager", "executive")
_SOON: Final = timedelta(hours=12)
"""Over night everybody is away, and who comes in the morning calls early enough; over a weekend not."""


class Choice(msgspec.Struct, frozen=True, gc=False):
    """The owner, and why: a code with parameters that the portal words in the reader's language.

    Parameters besides the numbers, each only where it says something: `language` that not all who are present speak
    and the owner does; `other_language` that nobody suitable speaks; `skilled`: not all who are present handle such
    cases, and the owner does; `nobody_skilled`: some are present, and none of them does; `off_hours`: not at work now.
    """

    agent: Agent
    reason: str
    details: Details


class Demand(msgspec.Struct, frozen=True, gc=False):
    """What a case asks of its owner, as far as it is known."""

    program: str | None = None
    touchpoint: str | None = None
    themes: tuple[str, ...] = ()
    language: str | None = None


_ANYTHING: Final = Demand()


class Desk:
    """Hands out cases one after another, and remembers what it has handed out: the load within one batch.

    People are put in order once for each kind of demand that they tell apart, of which there are few.
    """

    def __init__(self, staff: Staff, now: datetime, calendars: Mapping[CalendarId, Calendar] | None = None) -> None:
        self._everybody: Final = [agent for agent in staff.agents.values() if not agent.disabled]
        self._present: Final = [agent for agent in self._everybody if not agent.is_absent(now)]
        self._agents_present: Final = {agent.id: agent for agent in self._present if agent.role == "agent"}
        self._load: Final[dict[AgentId, int]] = {agent.id: agent.running_cases for agent in self._everybody}
        away = {id_: _away(calendar, now) for id_, calendar in (calendars or {}).items()}
        self._away: Final[dict[AgentId, int]] = {
            agent.id: 0 if agent.calendar_id is None else away.get(agent.calendar_id, 0) for agent in self._everybody
        }
        # In an order of their own, that of the agents: two who say the same of themselves count as one.
        self._handled: Final = tuple(dict.fromkeys(agent.handles for agent in self._everybody if agent.role == "agent"))
        self._crews: Final[dict[tuple[frozenset[Handles], str | None], _Crew]] = {}
        self._known: Final[dict[Demand, _Crew]] = {}

    def choose(self, tier: Tier, previous_owner: AgentId | None = None, demand: Demand = _ANYTHING) -> Choice:
        """The owner of one more case, who counts as its owner from now on; NobodyToAssign."""
        choice = self._previous(previous_owner)
        if choice is None:
            crew = self._known.get(demand)
            if crew is None:
                crew = self._known[demand] = self._crew(demand)
            choice = crew.first(tier)
        if choice is None:
            raise NobodyToAssign
        self._load[choice.agent.id] += 1
        return choice

    def _previous(self, id_: AgentId | None) -> Choice | None:
        agent = None if id_ is None else self._agents_present.get(id_)
        return None if agent is None else Choice(agent, "previous_owner", {})

    def _crew(self, demand: Demand) -> _Crew:
        if self._handled in ((), (EVERYTHING,)):
            takers = frozenset(self._handled)
        else:
            asked = demand.program, demand.touchpoint, demand.themes
            takers = frozenset(handles for handles in self._handled if handles.takes(*asked))
        language = None if demand.language is None else primary_language(demand.language)
        crew = self._crews.get((takers, language))
        if crew is None:
            crew = self._crews[takers, language] = _Crew(self, takers, language)
        return crew

    def queue(self, agents: Iterable[Agent], order: Order) -> _Queue:
        """These people, in this order."""
        return _Queue(agents, order, self._load, self._away)

    @property
    def everybody(self) -> Sequence[Agent]:
        """Who is not disabled."""
        return self._everybody

    @property
    def present(self) -> Sequence[Agent]:
        """Who is not absent either."""
        return self._present

    def load(self, agent: Agent) -> int:
        """How many running cases they own by now."""
        return self._load[agent.id]

    def is_away(self, agent: Agent) -> bool:
        """Whether they do not work at this moment."""
        return self._away[agent.id] > 0


class _Crew:
    """Who may own the cases of one kind of demand, in the order of the ladder."""

    def __init__(self, desk: Desk, takers: frozenset[Handles], language: str | None) -> None:
        self._desk = desk
        present = [agent for agent in desk.present if agent.role == "agent"]
        skilled = [agent for agent in present if agent.handles in takers]
        speaking = skilled if language is None else [agent for agent in skilled if agent.speaks(language)]
        self._why: Final[Details] = {}
        if speaking and len(skilled) < len(present):
            self._why["skilled"] = True
        if speaking and len(speaking) < len(skilled):
            self._why["language"] = language
        if skilled and not speaking:
            self._why["other_language"] = language
        self._suitable: Final = speaking or skilled
        self._queues: Final[dict[Tier, _Queue]] = {}
        self._present: Final = present
        self._takers: Final = takers
        self._stand_ins: list[tuple[str, _Queue]] | None = None

    def first(self, tier: Tier) -> Choice | None:
        """The owner of a case of this tier; None where nobody is enabled."""
        if not self._suitable:
            return self._stand_in()
        queue = self._queues.get(tier)
        if queue is None:
            queue = self._queues[tier] = self._desk.queue(self._suitable, _order(tier))
        agent = queue.first()
        if agent is None:
            return None
        load = self._desk.load(agent)
        details: Details = {"seniority": agent.seniority, "load": load, "capacity": agent.capacity, **self._why}
        if self._desk.is_away(agent):
            details["off_hours"] = True
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
        if self._stand_ins is None:
            self._stand_ins = self._ladder()
        for reason, queue in self._stand_ins:
            agent = queue.first()
            if agent is not None:
                details: Details = {"load": self._desk.load(agent)}
                if self._present:
                    details["nobody_skilled"] = True
                return Choice(agent, reason, details)
        return None

    def _ladder(self) -> list[tuple[str, _Queue]]:
        desk = self._desk
        agents = [agent for agent in desk.everybody if agent.team_lead_id is not None]
        own_leads = {agent.team_lead_id for agent in agents if agent.handles in self._takers}
        leads = {agent.team_lead_id for agent in agents}
        return [
            ("team_lead", desk.queue([agent for agent in desk.present if agent.id in own_leads], _by_load)),
            ("team_lead", desk.queue([agent for agent in desk.present if agent.id in leads], _by_load)),
            ("manager", desk.queue([agent for agent in desk.present if agent.role == "manager"], _by_load)),
            ("executive", desk.queue([agent for agent in desk.present if agent.role == "executive"], _by_load)),
            ("unskilled", desk.queue(self._present, _for_other_tiers)),
            ("everyone_absent", desk.queue(desk.everybody, _managers_first)),
        ]


class _Queue:
    """People in an order that depends on their load: a heap whose places are corrected when they come to the top.

    Loads only grow at a desk, so a place can only be too far in front; this keeps a choice at O(log n).
    """

    def __init__(
        self, agents: Iterable[Agent], order: Order, load: dict[AgentId, int], away: dict[AgentId, int]
    ) -> None:
        self._order = order
        self._load = load
        self._away = away
        self._heap = [(order(agent, load[agent.id], away[agent.id]), agent.id, agent) for agent in agents]
        heapq.heapify(self._heap)

    def first(self) -> Agent | None:
        while self._heap:
            place, id_, agent = self._heap[0]
            now = self._order(agent, self._load[id_], self._away[id_])
            if now == place:
                return agent
            heapq.heapreplace(self._heap, (now, id_, agent))
        return None


def _away(calendar: Calendar, now: datetime) -> int:
    opens_at = calendar.opens_at(now)
    return 0 if opens_at <= now else 1 if opens_at - now <= _SOON else 2


def _order(tier: Tier) -> Order:
    match tier:
        case "key":
            return _for_key_tier
        case "high":
            return _for_high_tier
        case _:
            return _for_other_tiers


def _is_full(agent: Agent, load: int) -> bool:
    return load >= agent.capacity


def _share(agent: Agent, load: int) -> float:
    return load / agent.capacity if agent.capacity else float("inf")


def _for_key_tier(agent: Agent, load: int, away: int) -> Place:
    return _is_full(agent, load), away > 1, -agent.seniority, away, _share(agent, load), load


def _for_high_tier(agent: Agent, load: int, away: int) -> Place:
    return _is_full(agent, load), away > 1, agent.seniority < _EXPERIENCED, away, _share(agent, load), load


def _for_other_tiers(agent: Agent, load: int, away: int) -> Place:
    # The less senior first, so that the most senior keep room for key customers.
    return _is_full(agent, load), away, _share(agent, load), load, agent.seniority


def _by_load(_agent: Agent, load: int, _away: int) -> Place:
    return (load,)


def _managers_first(agent: Agent, load: int, _away: int) -> Place:
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
