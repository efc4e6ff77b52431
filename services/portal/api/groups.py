"""Teams and departments: who leads what; made, renamed, given to others, and retired once nobody needs them."""

import asyncio
import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.webapi.problem import of_status
from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, refused_draft, uuid_in, version_in
from services.portal.api.theme_names import theme_names, ticked_themes
from services.portal.api.view import Pages
from services.portal.clients import Casework, Refusal, Scoring, ServiceAwayError
from services.portal.clients.people import Department, GroupKind, Team
from services.portal.domain.forms import NOTHING, Draft
from services.portal.domain.groupforms import DEPARTMENT, TEAM, department_of, entered_group, team_of
from services.portal.domain.people import Person, Right
from services.portal.domain.policyforms import WrongEntryError

_ID: Final = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
_TAKEN: Final = 409
_FIELDS: Final[dict[GroupKind, tuple[str, ...]]] = {"teams": TEAM, "departments": DEPARTMENT}
_USUAL_HOURS: Final = "48"


@dataclass(frozen=True, slots=True)
class Branch:
    """A department with its teams and how many people they are; without one: what belongs to none."""

    department: Department | None
    manager: str
    people: int
    teams: list[tuple[Team, str, int]]


def routes(pages: Pages, casework: Casework, scoring: Scoring) -> APIRouter:
    """`/teams`, `/departments` and below."""
    router = APIRouter(include_in_schema=False)
    desk = GroupPages(pages, casework, scoring)

    @router.get("/teams")
    async def listed(request: Request, visit: Annotated[Visit, needs(Right.SETUP)]) -> Response:
        return await desk.listed(request, visit)

    @router.get("/teams/{team_id}")
    async def team(request: Request, team_id: str, visit: Annotated[Visit, needs(Right.LEAD)]) -> Response:
        return await desk.one(request, visit, "teams", _id(team_id), NOTHING)

    @router.post("/teams/{team_id}")
    async def change_team(
        request: Request,
        team_id: str,
        visit: Annotated[Visit, needs(Right.LEAD)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await desk.change(request, visit, "teams", _id(team_id), form)

    @router.get("/departments/{department_id}")
    async def department(request: Request, department_id: str, visit: Annotated[Visit, needs(Right.LEAD)]) -> Response:
        return await desk.one(request, visit, "departments", _id(department_id), NOTHING)

    @router.post("/departments/{department_id}")
    async def change_department(
        request: Request,
        department_id: str,
        visit: Annotated[Visit, needs(Right.LEAD)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await desk.change(request, visit, "departments", _id(department_id), form)

    return router


class GroupPages:
    """Reads teams and departments from casework and changes them there, in the person's name."""

    def __init__(self, pages: Pages, casework: Casework, scoring: Scoring) -> None:
        self._pages = pages
        self._scoring = scoring
        self._people = casework.people
        self._policies = casework.policies

    async def listed(self, request: Request, visit: Visit) -> Response:
        """Departments with their teams, those that are retired last."""
        saved = request.query_params.get("done") == "saved"
        try:
            agents, teams, departments = await asyncio.gather(
                self._people.agents(visit.person),
                self._people.teams(visit.person),
                self._people.departments(visit.person),
            )
        except (ServiceAwayError, Refusal):
            return self._pages.page(request, visit, "groups.html", status=503, branches=None, saved=False)
        names = {each.id: each.name for each in agents}
        of_teams = {each.id: each.department_id for each in teams}
        sizes: dict[str | None, int] = {}
        in_department: dict[str | None, int] = {}
        for agent in agents:
            if not agent.disabled:
                sizes[agent.team_id] = sizes.get(agent.team_id, 0) + 1
                of = agent.department_id or of_teams.get(agent.team_id or "")
                in_department[of] = in_department.get(of, 0) + 1
        branches = []
        for department in [*sorted(departments, key=lambda each: (each.retired, each.name)), None]:
            id_ = department.id if department else None
            inside = sorted(
                (each for each in teams if each.department_id == id_), key=lambda each: (each.retired, each.name)
            )
            manager = names.get(department.manager_id or "", "") if department else ""
            shown = [(each, names.get(each.lead_id or "", ""), sizes.get(each.id, 0)) for each in inside]
            if department or shown:
                branches.append(Branch(department, manager, in_department.get(id_, 0), shown))
        return self._pages.page(request, visit, "groups.html", branches=branches, saved=saved)

    async def one(
        self, request: Request, visit: Visit, kind: GroupKind, id_: str, draft: Draft, *, status: int = 200
    ) -> Response:
        """The form; of a new one where the address says so."""
        words = self._pages.words(request, visit.person)
        stored, agents, departments, calendars, themes = await asyncio.gather(
            self._stored(visit.person, kind, id_),
            self._people.agents(visit.person),
            self._people.departments(visit.person),
            self._policies.calendars(visit.person),
            theme_names(self._scoring, visit.person, words.language),
        )
        if stored is None and id_ != "new":
            raise of_status(NOT_FOUND)
        fields = _FIELDS[kind]
        shown = dict.fromkeys(fields, "") | {"task_hours": _USUAL_HOURS}
        if stored is not None:
            shown = entered_group(msgspec.structs.asdict(stored), fields)
        led_by = shown.get("lead_id") or shown.get("manager_id")
        context: dict[str, Any] = {
            "kind": kind,
            "group": stored,
            "stored": shown,
            "people": [(each.id, each.name) for each in agents if not each.disabled or each.id == led_by],
            "departments": [
                (each.id, each.name)
                for each in departments
                if not each.retired or each.id == shown.get("department_id")
            ],
            "calendars": [(each.id, each.name) for each in calendars],
            "theme_names": themes,
            "draft": draft,
        }
        return self._pages.page(request, visit, "group.html", status=status, **context)

    async def _stored(self, person: Person, kind: GroupKind, id_: str) -> Team | Department | None:
        if id_ == "new":
            return None
        return await (self._people.team(person, id_) if kind == "teams" else self._people.department(person, id_))

    async def change(self, request: Request, visit: Visit, kind: GroupKind, place: str, form: Form) -> Response:
        """Make it, or put what was entered into force."""
        words = self._pages.words(request, visit.person)
        new = place == "new"
        id_ = form.get("id") if new else place
        entered = {name: form.get(name) for name in _FIELDS[kind]}
        entered |= {"id": id_, "themes": ticked_themes(form)}
        wrong = {} if _ID.fullmatch(id_) and id_ != "new" else {"id": words("calendars.wrong.id")}
        body: dict[str, object] = {}
        try:
            body = team_of(entered) if kind == "teams" else department_of(entered)
        except WrongEntryError as error:
            wrong |= {name: words(f"groups.wrong_{name}") for name in error.fields}
        if wrong:
            draft = Draft("group", entered, {}, wrong, words("case.check"))
            return await self.one(request, visit, kind, place, draft, status=WRONG)
        try:
            if new and await self._stored(visit.person, kind, id_) is not None:
                draft = Draft("group", entered, {}, {"id": words("calendars.taken")}, words("case.check"))
                return await self.one(request, visit, kind, place, draft, status=_TAKEN)
            await self._people.put_group(
                visit.person,
                kind,
                id_,
                body,
                command_id=uuid_in(form.get("command_id")),
                version=None if new else version_in(form),
            )
        except Refusal as refusal:
            draft = refused_draft("group", entered, {}, refusal, words)
            return await self.one(request, visit, kind, place, draft, status=refusal.status)
        return RedirectResponse("/teams?done=saved", SEE_OTHER)


def _id(written: str) -> str:
    if not _ID.fullmatch(written):
        raise of_status(NOT_FOUND)
    return written
