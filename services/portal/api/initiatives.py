"""Changes that many cases ask for: the board, one change with what is behind it, and what is decided about it."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.webapi.problem import Problem, of_status
from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.causes import cause_paths
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, cursor_in, refused_draft, uuid_in, version_in
from services.portal.api.theme_names import theme_names, ticked_themes
from services.portal.api.view import Pages
from services.portal.clients import Casework, Refusal, Scoring, ServiceAwayError
from services.portal.clients.casework import RootCause
from services.portal.clients.initiatives import InitiativeFile
from services.portal.clients.people import Colleague, Department
from services.portal.domain import initiatives as domain
from services.portal.domain.casefile import instant_in
from services.portal.domain.forms import NOTHING, Draft
from services.portal.domain.initiatives import BOARD, FIELDS, NEEDED, NEEDS, STATUSES, Step
from services.portal.domain.people import Person, Right

_ON_BOARD: Final = 12
_PAGE: Final = 30
_CASES: Final = 20
_SAID: Final = ("title", "problem", "department_id", "owner_id", "themes", "since")
_MOST_THEMES: Final = 50


def routes(pages: Pages, casework: Casework, scoring: Scoring) -> APIRouter:
    """`/initiatives` and below."""
    router = APIRouter(include_in_schema=False)
    board = InitiativePages(pages, casework, scoring)

    @router.get("/initiatives")
    async def listed(request: Request, visit: Annotated[Visit, needs(Right.CASES)]) -> Response:
        return await board.listed(request, visit)

    @router.get("/initiatives/new")
    async def blank(request: Request, visit: Annotated[Visit, needs(Right.LEAD)]) -> Response:
        causes = tuple(request.query_params.getlist("cause"))
        since = request.query_params.get("since", "")
        draft = Draft("propose", {"since": since}, {"cause": causes})
        return await board.form(request, visit, None, draft)

    @router.post("/initiatives/new")
    async def propose(
        request: Request, visit: Annotated[Visit, needs(Right.LEAD)], form: Annotated[Form, Depends(posted_form)]
    ) -> Response:
        return await board.propose(request, visit, form)

    @router.get("/initiatives/{initiative_id}")
    async def one(request: Request, initiative_id: str, visit: Annotated[Visit, needs(Right.CASES)]) -> Response:
        return await board.one(request, visit, uuid_in(initiative_id), NOTHING)

    @router.get("/initiatives/{initiative_id}/edit")
    async def edit(request: Request, initiative_id: str, visit: Annotated[Visit, needs(Right.LEAD)]) -> Response:
        return await board.form(request, visit, uuid_in(initiative_id), NOTHING)

    @router.post("/initiatives/{initiative_id}/edit")
    async def change(
        request: Request,
        initiative_id: str,
        visit: Annotated[Visit, needs(Right.LEAD)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await board.change(request, visit, uuid_in(initiative_id), form)

    @router.post("/initiatives/{initiative_id}/{step}")
    async def act(
        request: Request,
        initiative_id: str,
        step: str,
        visit: Annotated[Visit, needs(Right.LEAD)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        if step not in set(Step):
            raise of_status(NOT_FOUND)
        if not visit.person.may(NEEDS[Step(step)]):
            raise Problem(403, "role-not-allowed", "The person's role does not allow this")
        return await board.act(request, visit, uuid_in(initiative_id), Step(step), form)

    return router


class InitiativePages:
    """Reads initiatives from casework, acts there in the person's name, and shows what came of it."""

    def __init__(self, pages: Pages, casework: Casework, scoring: Scoring) -> None:
        self._pages = pages
        self._scoring = scoring
        self._casework = casework

    async def listed(self, request: Request, visit: Visit) -> Response:
        """The board of what is under way; the whole list of one status where it is asked for."""
        status = request.query_params.get("status", "")
        department = request.query_params.get("department", "").strip()
        cursor = cursor_in(request)
        filters = {"department": department} if department else {}
        shown = (status,) if status in STATUSES else BOARD
        limit = _PAGE if status in STATUSES else _ON_BOARD
        context: dict[str, Any] = {"only": status, "department": department, "columns": None, "statuses": STATUSES}
        try:
            departments, *columns = await asyncio.gather(
                self._casework.people.departments(visit.person),
                *(
                    self._casework.initiatives.page(
                        visit.person, filters | {"status": each}, limit=limit, cursor=cursor if status else None
                    )
                    for each in shown
                ),
            )
        except (ServiceAwayError, Refusal):
            context |= {"departments": []}
            return self._pages.page(request, visit, "initiatives.html", status=503, **context)
        context |= {"columns": list(zip(shown, columns, strict=True)), "departments": departments}
        return self._pages.page(request, visit, "initiatives.html", **context)

    async def one(self, request: Request, visit: Visit, id_: str, draft: Draft, *, status: int = 200) -> Response:
        """One initiative with what is behind it, what was decided, and what came of it."""
        person = visit.person
        cursor = cursor_in(request)
        words = self._pages.words(request, person)
        found, cases, causes, agents, themes = await asyncio.gather(
            self._casework.initiatives.one(person, id_),
            self._casework.initiatives.cases(person, id_, limit=_CASES, cursor=cursor),
            self._casework.root_causes(person),
            self._casework.agents(person),
            theme_names(self._scoring, person, words.language),
        )
        effect = await self._casework.initiatives.effect(person, id_) if found.shipped_at else None
        told = found.communicated_at is not None
        done = request.query_params.get("done", "")
        return self._pages.page(
            request,
            visit,
            "initiative.html",
            status=status,
            initiative=found,
            cases=cases,
            cursor=cursor,
            paths=cause_paths(causes, words.language),
            agent_names={agent.id: agent.name for agent in agents},
            theme_words=", ".join(themes.get(id_, id_) for id_ in found.themes),
            effect=effect,
            offered=domain.offered(found.status, person, told=told),
            may_edit=domain.may_edit(found.status, person, told=told),
            Step=Step,
            currencies=domain.CURRENCIES,
            draft=draft,
            done=done if words.has(f"initiative_done.{done}") else "",
        )

    async def form(
        self, request: Request, visit: Visit, id_: str | None, draft: Draft, *, status: int = 200
    ) -> Response:
        """The form of a proposal, or of one that is to be said better."""
        words = self._pages.words(request, visit.person)
        causes, departments, agents, themes, found = await asyncio.gather(
            self._casework.root_causes(visit.person),
            self._casework.people.departments(visit.person),
            self._casework.people.agents(visit.person),
            theme_names(self._scoring, visit.person, words.language),
            self._find(visit.person, id_),
        )
        paths = cause_paths(causes, words.language)
        return self._pages.page(
            request,
            visit,
            "initiative_form.html",
            status=status,
            initiative=found,
            causes=_choosable(causes, draft.lists.get("cause", ()) or tuple(found.root_causes if found else ())),
            paths=paths,
            departments=[
                (each.id, each.name)
                for each in departments
                if not each.retired or (found is not None and each.id == found.department_id)
            ],
            owners=_owners(agents, departments),
            theme_names=themes,
            draft=draft,
            form="propose" if found is None else "edit",
        )

    async def _find(self, person: Person, id_: str | None) -> InitiativeFile | None:
        return None if id_ is None else await self._casework.initiatives.one(person, id_)

    async def propose(self, request: Request, visit: Visit, form: Form) -> Response:
        """Put it forward, with the cases of its causes behind it."""
        entered, lists, body, wrong = self._said(request, visit, form, ("since",))
        since = entered["since"]
        if since:
            instant = instant_in(since[:10], self._pages.zone)
            if instant is None:
                wrong["since"] = self._pages.words(request, visit.person)("case.no_moment")
            else:
                body["since"] = instant.isoformat()
        if wrong:
            return await self._again(request, visit, None, "propose", entered, lists, wrong)
        try:
            proposed = await self._casework.initiatives.propose(
                visit.person, body, command_id=uuid_in(form.get("command_id"))
            )
        except Refusal as refusal:
            draft = refused_draft("propose", entered, lists, refusal, self._pages.words(request, visit.person))
            return await self.form(request, visit, None, draft, status=refusal.status)
        return _to(proposed.id, "proposed")

    async def change(self, request: Request, visit: Visit, id_: str, form: Form) -> Response:
        """Say it better, or give it to somebody else."""
        entered, lists, body, wrong = self._said(request, visit, form, ())
        if wrong:
            return await self._again(request, visit, id_, "edit", entered, lists, wrong)
        try:
            await self._casework.initiatives.edit(
                visit.person, id_, body, command_id=uuid_in(form.get("command_id")), version=version_in(form)
            )
        except Refusal as refusal:
            draft = refused_draft("edit", entered, lists, refusal, self._pages.words(request, visit.person))
            return await self.form(request, visit, id_, draft, status=refusal.status)
        return _to(id_, "edited")

    async def act(self, request: Request, visit: Visit, id_: str, step: Step, form: Form) -> Response:
        """Decide, begin, ship, or put more cases behind it."""
        words = self._pages.words(request, visit.person)
        entered = {name: form.get(name).replace("\r\n", "\n") for name in FIELDS[step]}
        wrong = {name: words("case.missing") for name in NEEDED[step] if not entered[name]}
        body: dict[str, object] = {name: value for name, value in entered.items() if value}
        if not wrong and step is Step.APPROVE:
            try:
                body = domain.decision(entered)
            except ValueError as error:
                wrong[str(error)] = words("case.invalid")
        if not wrong and step is Step.CASES:
            since = instant_in(entered["since"][:10], self._pages.zone)
            if since is None:
                wrong["since"] = words("case.no_moment")
            else:
                body = {"since": since.isoformat()}
        if wrong:
            draft = Draft(step.value, entered, {}, wrong, words("case.check"))
            return await self.one(request, visit, id_, draft, status=WRONG)
        try:
            await self._casework.initiatives.act(
                visit.person,
                id_,
                step.value,
                body,
                command_id=uuid_in(form.get("command_id")),
                version=version_in(form),
            )
        except Refusal as refusal:
            if refusal.status == NOT_FOUND:
                raise
            draft = refused_draft(step.value, entered, {}, refusal, words)
            return await self.one(request, visit, id_, draft, status=refusal.status)
        return _to(id_, step.value)

    def _said(
        self, request: Request, visit: Visit, form: Form, more: tuple[str, ...]
    ) -> tuple[dict[str, str], dict[str, tuple[str, ...]], dict[str, object], dict[str, str]]:
        """What was entered, as casework takes it, and what is missing."""
        words = self._pages.words(request, visit.person)
        entered = {name: form.get(name).replace("\r\n", "\n") for name in (*_SAID[:5], *more)}
        entered["themes"] = ticked_themes(form)
        lists = {"cause": form.all("cause")}
        wrong = {name: words("case.missing") for name in _SAID[:4] if not entered[name]}
        if not lists["cause"]:
            wrong["cause"] = words("initiatives.no_cause")
        themes = [part for part in (each.strip() for each in entered["themes"].split(",")) if part][:_MOST_THEMES]
        body: dict[str, object] = {name: entered[name] for name in _SAID[:4]}
        return entered, lists, body | {"root_causes": list(lists["cause"]), "themes": themes}, wrong

    async def _again(
        self,
        request: Request,
        visit: Visit,
        id_: str | None,
        name: str,
        entered: Mapping[str, str],
        lists: Mapping[str, tuple[str, ...]],
        wrong: Mapping[str, str],
    ) -> Response:
        message = self._pages.words(request, visit.person)("case.check")
        return await self.form(request, visit, id_, Draft(name, entered, lists, wrong, message), status=WRONG)


def _to(id_: str, done: str) -> Response:
    return RedirectResponse(f"/initiatives/{id_}?{urlencode({'done': done})}", SEE_OTHER)


def _choosable(causes: list[RootCause], chosen: tuple[str, ...]) -> list[RootCause]:
    """The causes that may be named: what is in use, and what is named already. In the order of the tree."""
    known = {cause.id: cause for cause in causes}

    def place(cause: RootCause) -> list[str]:
        names: list[str] = []
        at: RootCause | None = cause
        while at is not None and len(names) < len(known) + 1:
            names.insert(0, at.id)
            at = known.get(at.parent_id or "")
        return names

    return sorted((each for each in causes if not each.retired or each.id in chosen), key=place)


def _owners(agents: list[Colleague], departments: list[Department]) -> list[tuple[str, str]]:
    """Who may see to a change: everybody who works, those who manage a department first."""
    managers = {each.manager_id for each in departments}
    working = [each for each in agents if not each.disabled]
    working.sort(key=lambda each: (each.id not in managers, each.role == "agent", each.name))
    return [(each.id, each.name) for each in working]
