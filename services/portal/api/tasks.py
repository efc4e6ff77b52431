"""Tasks: what departments are asked for by cases, what customers were promised, and what comes of each."""

import asyncio
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.webapi.problem import of_status
from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.mentions import unread_of
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, cursor_in, refused_draft, uuid_in, version_in
from services.portal.api.view import Pages
from services.portal.clients import Casework, Refusal, ServiceAwayError
from services.portal.domain.casefile import instant_in
from services.portal.domain.forms import NOTHING, Draft
from services.portal.domain.people import Right

STATES: Final = ("open", "done", "declined")
DECLINES: Final = ("not_ours", "not_possible", "not_needed", "duplicate", "other")
_FIELDS: Final = {"done": ("note",), "decline": ("reason", "note"), "assign": ("owner_id", "due_at", "note")}
_PAGE: Final = 30


def routes(pages: Pages, casework: Casework) -> APIRouter:
    """`/tasks` and below."""
    router = APIRouter(include_in_schema=False)
    reader = TaskPages(pages, casework)

    @router.get("/tasks")
    async def listed(request: Request, visit: Annotated[Visit, needs(Right.CASES)]) -> Response:
        return await reader.listed(request, visit)

    @router.get("/tasks/{task_id}")
    async def one(request: Request, task_id: str, visit: Annotated[Visit, needs(Right.CASES)]) -> Response:
        return await reader.one(request, visit, uuid_in(task_id), NOTHING)

    @router.post("/tasks/{task_id}/{step}")
    async def act(
        request: Request,
        task_id: str,
        step: str,
        visit: Annotated[Visit, needs(Right.CASES)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        if step not in _FIELDS:
            raise of_status(NOT_FOUND)
        return await reader.act(request, visit, uuid_in(task_id), step, form)

    return router


class TaskPages:
    """Reads tasks from casework, acts there in the person's name, and shows what came of it."""

    def __init__(self, pages: Pages, casework: Casework) -> None:
        self._pages = pages
        self._casework = casework

    async def listed(self, request: Request, visit: Visit) -> Response:
        """One's own tasks, or those of a department, or all."""
        query = request.query_params
        whose = query.get("whose", "mine")
        state = query.get("state", "open")
        state = state if state in STATES else "open"
        filters = {"state": state}
        if whose == "mine":
            filters["owner"] = visit.person.id
        elif whose != "all":
            filters["department"] = whose
        cursor = cursor_in(request)
        context: dict[str, Any] = {"whose": whose, "state": state, "states": STATES, "page": None, "cursor": cursor}
        context["unread"] = 0
        try:
            page, departments, unread = await asyncio.gather(
                self._casework.tasks.page(visit.person, filters, limit=_PAGE, cursor=cursor),
                self._casework.people.departments(visit.person),
                unread_of(self._casework, visit.person),
            )
        except ServiceAwayError:
            return self._pages.page(request, visit, "tasks.html", status=503, **context, departments=[])
        context |= {"page": page, "departments": departments, "unread": unread}
        return self._pages.page(request, visit, "tasks.html", **context)

    async def one(self, request: Request, visit: Visit, id_: str, draft: Draft, *, status: int = 200) -> Response:
        """One task, and what can be done about it."""
        task, agents = await asyncio.gather(
            self._casework.tasks.one(visit.person, id_), self._casework.agents(visit.person)
        )
        done = request.query_params.get("done", "")
        owners = [(each.id, each.name) for each in agents if not each.disabled and each.id != task.owner_id]
        return self._pages.page(
            request,
            visit,
            "task.html",
            status=status,
            task=task,
            owners=sorted(owners, key=lambda owner: owner[1]),
            declines=DECLINES,
            draft=draft,
            done=done if done in _FIELDS else "",
        )

    async def act(self, request: Request, visit: Visit, id_: str, step: str, form: Form) -> Response:
        """Done, declined, or somebody else's."""
        words = self._pages.words(request, visit.person)
        entered = {name: form.get(name).replace("\r\n", "\n") for name in _FIELDS[step]}
        body: dict[str, object] = {name: value for name, value in entered.items() if value}
        wrong: dict[str, str] = {}
        if step == "decline" and not entered["reason"]:
            wrong["reason"] = words("case.missing")
        if step == "assign" and not entered["owner_id"] and not entered["due_at"]:
            wrong["owner_id"] = words("tasks.whom_or_when")
        if entered.get("due_at"):
            due = instant_in(entered["due_at"], self._pages.zone)
            if due is None:
                wrong["due_at"] = words("case.no_moment")
            else:
                body["due_at"] = due.isoformat()
        if wrong:
            draft = Draft(step, entered, {}, wrong, words("case.check"))
            return await self.one(request, visit, id_, draft, status=WRONG)
        try:
            await self._casework.tasks.act(
                visit.person, id_, step, body, command_id=uuid_in(form.get("command_id")), version=version_in(form)
            )
        except Refusal as refusal:
            if refusal.status == NOT_FOUND:
                raise
            draft = refused_draft(step, entered, {}, refusal, words)
            return await self.one(request, visit, id_, draft, status=refusal.status)
        return RedirectResponse(f"/tasks/{id_}?{urlencode({'done': step})}", SEE_OTHER)
