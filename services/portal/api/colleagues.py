"""One colleague: what they handle, when they work and are away; and handing over what they have, seen before done."""

import asyncio
import re
from typing import Annotated, Any, Final
from uuid import uuid4

import msgspec
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.webapi.problem import of_status
from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, refused_draft, uuid_in, version_in
from services.portal.api.theme_names import theme_names, ticked_themes
from services.portal.api.view import Pages
from services.portal.clients import Casework, Refusal, Scoring
from services.portal.clients.people import Colleague, HandedOver
from services.portal.domain.forms import NOTHING, Draft
from services.portal.domain.people import Person, Right
from services.portal.domain.peopleforms import AGENT, ROLES, agent_of, entered_agent
from services.portal.domain.policyforms import WrongEntryError

_ID: Final = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
_TAKEN: Final = 409
_USUAL: Final = {"role": "agent", "seniority": "1", "capacity": "20"}
REASONS: Final = ("absent", "leaves")


def routes(pages: Pages, casework: Casework, scoring: Scoring) -> APIRouter:
    """`/people/{id}`."""
    router = APIRouter(include_in_schema=False)
    desk = ColleaguePages(pages, casework, scoring)

    @router.get("/people/new")
    async def blank(request: Request, visit: Annotated[Visit, needs(Right.LEAD)]) -> Response:
        return await desk.one(request, visit, None, NOTHING)

    @router.post("/people/new")
    async def make(
        request: Request, visit: Annotated[Visit, needs(Right.LEAD)], form: Annotated[Form, Depends(posted_form)]
    ) -> Response:
        return await desk.change(request, visit, None, form)

    @router.get("/people/{agent_id}")
    async def one(request: Request, agent_id: str, visit: Annotated[Visit, needs(Right.LEAD)]) -> Response:
        return await desk.one(request, visit, _id(agent_id), NOTHING)

    @router.post("/people/{agent_id}")
    async def change(
        request: Request,
        agent_id: str,
        visit: Annotated[Visit, needs(Right.LEAD)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await desk.change(request, visit, _id(agent_id), form)

    @router.post("/people/{agent_id}/hand-over")
    async def hand_over(
        request: Request,
        agent_id: str,
        visit: Annotated[Visit, needs(Right.LEAD)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await desk.hand_over(request, visit, _id(agent_id), form)

    return router


class ColleaguePages:
    """Reads colleagues from casework and changes them there, in the person's name."""

    def __init__(self, pages: Pages, casework: Casework, scoring: Scoring) -> None:
        self._pages = pages
        self._scoring = scoring
        self._casework = casework

    async def one(
        self,
        request: Request,
        visit: Visit,
        id_: str | None,
        draft: Draft,
        *,
        handed: HandedOver | None = None,
        status: int = 200,
    ) -> Response:
        """The form, and the hand-over; without an id the form of a new colleague."""
        words = self._pages.words(request, visit.person)
        agent, agents, teams, departments, calendars, themes = await asyncio.gather(
            self._agent(visit.person, id_),
            self._casework.agents(visit.person),
            self._casework.people.teams(visit.person),
            self._casework.people.departments(visit.person),
            self._casework.policies.calendars(visit.person),
            theme_names(self._scoring, visit.person, words.language),
        )
        shown = dict.fromkeys(AGENT, "") | _USUAL | {"language": visit.person.language}
        if agent is not None:
            stored: dict[str, Any] = msgspec.structs.asdict(agent)
            stored["absences"] = [msgspec.structs.asdict(each) for each in agent.absences]
            shown = entered_agent(stored, self._pages.zone)
        done = request.query_params.get("done", "")
        if done == "left" and draft.form == "":
            draft = Draft("hand", {"reason": "leaves"})
        return self._pages.page(
            request,
            visit,
            "colleague.html",
            status=status,
            agent=agent,
            stored=shown,
            roles=ROLES,
            teams=[(each.id, each.name) for each in teams if not each.retired or each.id == shown["team_id"]],
            departments=[
                (each.id, each.name) for each in departments if not each.retired or each.id == shown["department_id"]
            ],
            calendars=[(each.id, each.name) for each in calendars],
            heirs=[(each.id, each.name) for each in agents if not each.disabled and each.id != id_],
            names={each.id: each.name for each in agents},
            theme_names=themes,
            reasons=REASONS,
            handed=handed,
            draft=draft,
            done=done if done in ("saved", "made", "left") else "",
        )

    async def _agent(self, person: Person, id_: str | None) -> Colleague | None:
        return None if id_ is None else await self._casework.people.agent(person, id_)

    async def change(self, request: Request, visit: Visit, place: str | None, form: Form) -> Response:
        """Make a colleague, or put into force what was entered; running cases stay with whom they are."""
        words = self._pages.words(request, visit.person)
        entered = {name: form.get(name).replace("\r\n", "\n") for name in AGENT}
        entered |= {"id": form.get("id"), "themes": ticked_themes(form)}
        # Mostly people are called in the portal as in their address.
        id_ = place or entered["id"] or entered["email"].partition("@")[0].lower()
        wrong = {} if _ID.fullmatch(id_) and id_ != "new" else {"id": words("calendars.wrong.id")}
        body: dict[str, object] = {}
        try:
            body = agent_of(entered, self._pages.zone)
        except WrongEntryError as error:
            wrong |= {
                name: words("people.wrong_absences" if name == "absences" else "case.invalid") for name in error.fields
            }
        if wrong:
            draft = Draft("agent", entered, {}, wrong, words("case.check"))
            return await self.one(request, visit, place, draft, status=WRONG)
        try:
            before = await self._casework.people.find_agent(visit.person, id_)
            if place is None and before is not None:
                draft = Draft("agent", entered, {}, {"id": words("calendars.taken")}, words("case.check"))
                return await self.one(request, visit, None, draft, status=_TAKEN)
            await self._casework.people.put_agent(
                visit.person,
                id_,
                body,
                command_id=uuid_in(form.get("command_id")),
                version=None if place is None else version_in(form),
            )
        except Refusal as refusal:
            draft = refused_draft("agent", entered, {}, refusal, words)
            return await self.one(request, visit, place, draft, status=refusal.status)
        leaves = before is not None and body["disabled"] and not before.disabled
        done = "made" if place is None else "left" if leaves else "saved"
        return RedirectResponse(f"/people/{id_}?done={done}{'#hand-over' if leaves else ''}", SEE_OTHER)

    async def hand_over(self, request: Request, visit: Visit, id_: str, form: Form) -> Response:
        """First what would happen to each case; then, when that is confirmed, it happens."""
        words = self._pages.words(request, visit.person)
        entered = {name: form.get(name) for name in ("reason", "to_id", "note")}
        preview = form.get("do") != "hand"
        if entered["reason"] not in REASONS:
            draft = Draft("hand", entered, {}, {"reason": words("case.missing")}, words("case.check"))
            return await self.one(request, visit, id_, draft, status=WRONG)
        body: dict[str, object] = {name: value for name, value in entered.items() if value}
        # A trial is no command: each time it is asked anew.
        command_id = str(uuid4()) if preview else uuid_in(form.get("command_id"))
        try:
            handed = await self._casework.people.hand_over(
                visit.person, id_, body | {"preview": preview}, command_id=command_id
            )
        except Refusal as refusal:
            draft = refused_draft("hand", entered, {}, refusal, words)
            return await self.one(request, visit, id_, draft, status=refusal.status)
        return await self.one(request, visit, id_, Draft("hand", entered), handed=handed)


def _id(written: str) -> str:
    if not _ID.fullmatch(written):
        raise of_status(NOT_FOUND)
    return written
