"""The people who close loops: who has how much to do, who is away, and who leads whom."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from services.portal.api.access import Visit, needs
from services.portal.api.view import Pages
from services.portal.clients import Casework, Refusal, ServiceAwayError
from services.portal.clients.people import Colleague, Department, Team
from services.portal.domain.people import Right


@dataclass(frozen=True, slots=True)
class Group:
    """A team with its people; without one: those who are in none."""

    team: Team | None
    department: str
    members: list[Colleague]

    @property
    def running(self) -> int:
        """How many cases they work on."""
        return sum(each.running_cases for each in self.members)

    @property
    def room(self) -> int:
        """How many they can have."""
        return sum(each.capacity for each in self.members if not each.disabled)


def routes(pages: Pages, casework: Casework) -> APIRouter:
    """`/people`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/people")
    async def load(request: Request, visit: Annotated[Visit, needs(Right.SETUP)]) -> Response:
        context: dict[str, Any] = {"groups": None}
        try:
            agents, teams, departments = await asyncio.gather(
                casework.people.agents(visit.person),
                casework.people.teams(visit.person),
                casework.people.departments(visit.person),
            )
        except (ServiceAwayError, Refusal):
            return pages.page(request, visit, "people.html", status=503, **context)
        names = {each.id: each.name for each in agents}
        groups = _groups(agents, teams, departments)
        return pages.page(request, visit, "people.html", groups=groups, names=names, departments=departments)

    return router


def _groups(agents: Iterable[Colleague], teams: Iterable[Team], departments: Iterable[Department]) -> list[Group]:
    """Teams by their names, those in none last; in each the fullest first, who left at the end."""
    named = {each.id: each.name for each in departments}
    members: dict[str | None, list[Colleague]] = {}
    known = {team.id for team in teams}
    for agent in agents:
        members.setdefault(agent.team_id if agent.team_id in known else None, []).append(agent)
    for each in members.values():
        each.sort(key=lambda agent: (agent.disabled, -agent.running_cases, agent.name))
    found = [
        Group(team, named.get(team.department_id or "", ""), members.get(team.id, []))
        for team in sorted(teams, key=lambda team: team.name)
        if not team.retired or team.id in members
    ]
    return found + ([Group(None, "", members[None])] if None in members else [])
