"""The list of cases: filters that people save, work on many cases at once, and the list as a file."""

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from libs.webapi.problem import of_status
from services.portal.api.access import Form, Visit, needs, posted_form, posted_long_form
from services.portal.api.mentions import unread_of
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, cursor_in, refused_draft, uuid_in, version_in
from services.portal.api.view import Pages
from services.portal.clients import Casework, Refusal, ServiceAwayError
from services.portal.clients.case_lists import BulkReport
from services.portal.clients.casework import Agent
from services.portal.clients.people import Team
from services.portal.domain import casefile
from services.portal.domain.caselists import (
    BULK_KINDS,
    Filters,
    Ticked,
    WrongActError,
    act_of,
    filters_in,
    filters_of_query,
    filters_saved,
)
from services.portal.domain.forms import NOTHING, Draft
from services.portal.domain.people import Person, Right
from services.portal.texts import Words

_BULK: Final = ("kind", "owner_id", "reason", "priority", "note")
_AT_ONCE: Final = 500


def routes(pages: Pages, casework: Casework) -> APIRouter:
    """`/cases`, its file, its saved filters, and work on many."""
    router = APIRouter(include_in_schema=False)
    reader = CaseListPages(pages, casework)

    @router.get("/cases")
    async def listed(request: Request, visit: Annotated[Visit, needs(Right.CASES)]) -> Response:
        return await reader.listed(request, visit, filters_in(request.query_params, visit.person), NOTHING)

    @router.get("/cases.csv")
    async def file(request: Request, visit: Annotated[Visit, needs(Right.CASES)]) -> Response:
        return await reader.file(request, visit)

    @router.post("/cases/filters")
    async def save_filter(
        request: Request,
        visit: Annotated[Visit, needs(Right.CASES)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await reader.save_filter(request, visit, form)

    @router.post("/cases/filters/{filter_id}")
    async def delete_filter(
        request: Request,
        filter_id: str,
        visit: Annotated[Visit, needs(Right.CASES)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await reader.delete_filter(request, visit, uuid_in(filter_id), form)

    @router.post("/cases/bulk")
    async def act_on_many(
        request: Request,
        visit: Annotated[Visit, needs(Right.LEAD)],
        form: Annotated[Form, Depends(posted_long_form)],
    ) -> Response:
        return await reader.act_on_many(request, visit, form)

    return router


class CaseListPages:
    """Reads lists from casework, and does there what people do with them."""

    def __init__(self, pages: Pages, casework: Casework) -> None:
        self._pages = pages
        self._casework = casework

    async def listed(
        self, request: Request, visit: Visit, filters: Filters, draft: Draft, *, status: int = 200
    ) -> Response:
        """The list, what is due first on top, and under which names filters are saved."""
        cursor = cursor_in(request)
        done = request.query_params.get("done", "")
        words = self._pages.words(request, visit.person)
        context: dict[str, Any] = {
            "filters": filters,
            "casefile": casefile,
            "cursor": cursor,
            "draft": draft,
            "most": _AT_ONCE,
            "done": done if done in ("saved", "deleted") else "",
            "cases": None,
            "agents": [],
            "unread": 0,
        }
        try:
            page, agents, saved, teams, unread = await asyncio.gather(
                self._casework.cases(visit.person, filters.params(visit.person, now=words.now), cursor=cursor),
                self._casework.agents(visit.person),
                self._casework.lists.filters(visit.person),
                self._teams(visit.person),
                unread_of(self._casework, visit.person),
            )
        except ServiceAwayError:
            return self._pages.page(request, visit, "cases.html", status=503, **context)
        others = sorted((agent for agent in agents if agent.id != visit.person.id), key=lambda agent: agent.name)
        context |= {
            "cases": page.items,
            "next_cursor": page.next_cursor,
            "agents": others,
            "unread": unread,
            "choices": _choices(words, agents),
            "saved": [(each, filters_saved(each.filter, visit.person).query()) for each in saved],
            "teams": [(team.id, words("lists.with_team", team=team.name)) for team in teams],
        }
        return self._pages.page(request, visit, "cases.html", status=status, **context)

    async def _teams(self, person: Person) -> list[Team]:
        """With whom the person may share: leads with any team, everybody with their own."""
        agents, teams = await asyncio.gather(self._casework.people.agents(person), self._casework.people.teams(person))
        if person.may(Right.LEAD):
            return [team for team in teams if not team.retired]
        own = next((agent.team_id for agent in agents if agent.id == person.id), None)
        return [team for team in teams if team.id == own]

    async def file(self, request: Request, visit: Visit) -> Response:
        """The cases of the filter, passed on as casework writes them: in the order of what is due."""
        filters = filters_in(request.query_params, visit.person)
        params = filters.params(visit.person, now=self._pages.words(request, visit.person).now)
        params.pop("sort", None)
        pieces = await self._casework.lists.exported(visit.person, params)
        return StreamingResponse(
            pieces,
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="cases.csv"', "Cache-Control": "no-store"},
        )

    async def save_filter(self, request: Request, visit: Visit, form: Form) -> Response:
        """Under a name, for oneself or with a team."""
        filters = filters_of_query(form.get("query"), visit.person)
        words = self._pages.words(request, visit.person)
        entered = {name: form.get(name) for name in ("name", "team_id")}
        if not entered["name"]:
            draft = Draft("filter", entered, {}, {"name": words("case.missing")}, words("case.check"))
            return await self.listed(request, visit, filters, draft, status=WRONG)
        body: dict[str, object] = {"name": entered["name"], "filter": filters.body(visit.person)}
        team = {"team_id": entered["team_id"]} if entered["team_id"] else {}
        try:
            await self._casework.lists.save_filter(
                visit.person, body | team, command_id=uuid_in(form.get("command_id"))
            )
        except Refusal as refusal:
            draft = refused_draft("filter", entered, {}, refusal, words)
            return await self.listed(request, visit, filters, draft, status=refusal.status)
        return _to(filters, "saved")

    async def delete_filter(self, request: Request, visit: Visit, filter_id: str, form: Form) -> Response:
        """One's own, for everybody with whom it was shared."""
        filters = filters_of_query(form.get("query"), visit.person)
        try:
            await self._casework.lists.delete_filter(
                visit.person, filter_id, command_id=uuid_in(form.get("command_id")), version=version_in(form)
            )
        except Refusal as refusal:
            if refusal.status == NOT_FOUND:
                raise
            draft = refused_draft("filters", {}, {}, refusal, self._pages.words(request, visit.person))
            return await self.listed(request, visit, filters, draft, status=refusal.status)
        return _to(filters, "deleted")

    async def act_on_many(self, request: Request, visit: Visit, form: Form) -> Response:
        """What an act would do to each case; then, on that page, do it; then what became of each."""
        words = self._pages.words(request, visit.person)
        filters = filters_of_query(form.get("query"), visit.person)
        entered = {name: form.get(name).replace("\r\n", "\n") for name in _BULK}
        ticked = _ticked(form)
        whole = form.get("of") == "filter" and not form.get("cases")
        if not ticked and not whole:
            draft = Draft("bulk", entered, {}, {}, words("lists.nothing_ticked"))
            return await self.listed(request, visit, filters, draft, status=WRONG)
        try:
            act = act_of(entered)
        except WrongActError as error:
            draft = Draft("bulk", entered, {}, {error.field: words("lists.wrong_" + error.field)}, words("case.check"))
            return await self._many(request, visit, filters, ticked, draft, None, whole=whole, status=WRONG)
        body: dict[str, object] = {"action": act}
        body |= {"filter": filters.body(visit.person)} if whole else {"cases": [each.body() for each in ticked]}
        body |= {"note": entered["note"]} if entered["note"] else {}
        try:
            if form.get("do") == "act":
                command_id = uuid_in(form.get("command_id"))
                report = await self._casework.lists.act(visit.person, body, command_id=command_id)
            else:
                report = await self._casework.lists.try_act(visit.person, body)
        except Refusal as refusal:
            wrong = {error.pointer.rpartition("/")[2]: words("case.invalid") for error in refusal.errors}
            refused = refused_draft("bulk", entered, {}, refusal, words)
            draft = Draft("bulk", entered, {}, wrong, refused.message)
            return await self._many(request, visit, filters, ticked, draft, None, whole=whole, status=refusal.status)
        # What was looked at is done, and no case that came to the filter meanwhile.
        seen = ticked if not whole else [Ticked(item.case_id, None) for item in report.items]
        return await self._many(request, visit, filters, seen, Draft("bulk", entered), report)

    async def _many(
        self,
        request: Request,
        visit: Visit,
        filters: Filters,
        ticked: list[Ticked],
        draft: Draft,
        report: BulkReport | None,
        *,
        whole: bool = False,
        status: int = 200,
    ) -> Response:
        agents, unread = await asyncio.gather(
            self._casework.agents(visit.person), unread_of(self._casework, visit.person)
        )
        return self._pages.page(
            request,
            visit,
            "cases_many.html",
            status=status,
            filters=filters,
            choices=_choices(self._pages.words(request, visit.person), agents),
            draft=draft,
            report=report,
            most=_AT_ONCE,
            of="filter" if whole else "ticked",
            unread=unread,
            cases=" ".join(str(each) for each in ticked),
            names={agent.id: agent.name for agent in agents},
        )


def _ticked(form: Form) -> list[Ticked]:
    """The boxes of the list, or those that the page of what would change carries along."""
    try:
        found = [Ticked.of(each) for each in (*form.all("case"), *form.get("cases").split())]
    except ValueError as error:
        raise of_status(400) from error
    return list({each.id: each for each in found}.values())[:_AT_ONCE]


def _choices(words: Words, agents: list[Agent]) -> dict[str, list[tuple[str, str]]]:
    """What the fields of an act on many cases offer."""
    return {
        "kind": [(kind, words.word("lists.kind", kind)) for kind in BULK_KINDS],
        "owner_id": sorted(
            ((agent.id, agent.name) for agent in agents if not agent.disabled), key=lambda each: each[1]
        ),
        "reason": [(reason, words.word("reason", reason)) for reason in casefile.ESCALATION_REASONS],
    }


def _to(filters: Filters, done: str) -> Response:
    return RedirectResponse(f"/cases?{filters.query(done=done)}", SEE_OTHER)
