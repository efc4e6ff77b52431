"""Calendars: when each region works, for deadlines that count in its hours."""

import re
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.webapi.problem import of_status
from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, refused_draft, uuid_in, version_in
from services.portal.api.view import Pages
from services.portal.clients import Casework, Refusal, ServiceAwayError
from services.portal.clients.policies import Calendar
from services.portal.domain.forms import NOTHING, Draft
from services.portal.domain.people import Right
from services.portal.domain.policyforms import (
    CALENDAR,
    WEEKDAYS,
    WrongEntryError,
    calendar_of,
    entered_calendar,
    written,
)

_ID: Final = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
_TAKEN: Final = 409
_USUAL: Final = dict.fromkeys(WEEKDAYS[:5], "09:00-18:00")


def routes(pages: Pages, casework: Casework) -> APIRouter:
    """`/calendars` and below."""
    router = APIRouter(include_in_schema=False)
    editor = CalendarPages(pages, casework)

    @router.get("/calendars")
    async def listed(request: Request, visit: Annotated[Visit, needs(Right.SETUP)]) -> Response:
        return await editor.listed(request, visit)

    @router.get("/calendars/new")
    async def blank(request: Request, visit: Annotated[Visit, needs(Right.LEAD)]) -> Response:
        return editor.form(request, visit, None, Draft("calendar", _USUAL | {"zone": str(pages.zone)}))

    @router.post("/calendars/new")
    async def make(
        request: Request, visit: Annotated[Visit, needs(Right.LEAD)], form: Annotated[Form, Depends(posted_form)]
    ) -> Response:
        return await editor.change(request, visit, form.get("id"), form, new=True)

    @router.get("/calendars/{calendar_id}")
    async def one(request: Request, calendar_id: str, visit: Annotated[Visit, needs(Right.LEAD)]) -> Response:
        return editor.form(request, visit, await editor.known(visit, calendar_id), NOTHING)

    @router.post("/calendars/{calendar_id}")
    async def change(
        request: Request,
        calendar_id: str,
        visit: Annotated[Visit, needs(Right.LEAD)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        if form.get("do") == "delete":
            return await editor.delete(request, visit, calendar_id, form)
        return await editor.change(request, visit, calendar_id, form, new=False)

    return router


class CalendarPages:
    """Reads calendars from casework and changes them there, in the person's name."""

    def __init__(self, pages: Pages, casework: Casework) -> None:
        self._pages = pages
        self._casework = casework

    async def listed(self, request: Request, visit: Visit) -> Response:
        """Each region with its week and its next holidays."""
        done = request.query_params.get("done", "")
        context: dict[str, Any] = {"calendars": None, "weekdays": WEEKDAYS, "written": written}
        context["done"] = done if done in ("saved", "deleted") else ""
        try:
            context["calendars"] = await self._casework.policies.calendars(visit.person)
        except (ServiceAwayError, Refusal):
            return self._pages.page(request, visit, "calendars.html", status=503, **context)
        return self._pages.page(request, visit, "calendars.html", **context)

    async def known(self, visit: Visit, id_: str) -> Calendar:
        """The calendar; 404 where there is none."""
        if not _ID.fullmatch(id_):
            raise of_status(NOT_FOUND)
        found = await self._casework.policies.calendar(visit.person, id_)
        if found is None:
            raise of_status(NOT_FOUND)
        return found

    def form(
        self, request: Request, visit: Visit, calendar: Calendar | None, draft: Draft, *, status: int = 200
    ) -> Response:
        """The form of one calendar; of a new one where there is none."""
        stored = dict.fromkeys(CALENDAR, "")
        if calendar is not None:
            stored = entered_calendar(msgspec.structs.asdict(calendar))
        return self._pages.page(
            request,
            visit,
            "calendar.html",
            status=status,
            calendar=calendar,
            stored=stored,
            weekdays=WEEKDAYS,
            draft=draft,
        )

    async def change(self, request: Request, visit: Visit, id_: str, form: Form, *, new: bool) -> Response:
        """Make or replace it, for clocks that start from now on."""
        words = self._pages.words(request, visit.person)
        entered = {name: form.get(name).replace("\r\n", "\n") for name in CALENDAR} | {"id": id_}
        calendar = None if new else await self.known(visit, id_)
        wrong = {} if _ID.fullmatch(id_) else {"id": words("calendars.wrong.id")}
        body: dict[str, object] = {}
        try:
            body = calendar_of(entered)
        except WrongEntryError as error:
            for name in error.fields:
                wrong[name] = words("calendars.wrong.hours" if name in WEEKDAYS else f"calendars.wrong.{name}")
        if wrong:
            draft = Draft("calendar", entered, {}, wrong, words("case.check"))
            return self.form(request, visit, calendar, draft, status=WRONG)
        try:
            if new and await self._casework.policies.calendar(visit.person, id_) is not None:
                draft = Draft("calendar", entered, {}, {"id": words("calendars.taken")}, words("case.check"))
                return self.form(request, visit, None, draft, status=_TAKEN)
            await self._casework.policies.put_calendar(
                visit.person, id_, body, command_id=uuid_in(form.get("command_id")), version=version_in(form)
            )
        except Refusal as refusal:
            draft = refused_draft("calendar", entered, {}, refusal, words)
            return self.form(request, visit, calendar, draft, status=refusal.status)
        return RedirectResponse("/calendars?done=saved", SEE_OTHER)

    async def delete(self, request: Request, visit: Visit, id_: str, form: Form) -> Response:
        """Take it away, if no deadline goes by it."""
        calendar = await self.known(visit, id_)
        try:
            await self._casework.policies.delete_calendar(
                visit.person, id_, command_id=uuid_in(form.get("command_id")), version=version_in(form)
            )
        except Refusal as refusal:
            draft = refused_draft("delete", {}, {}, refusal, self._pages.words(request, visit.person))
            return self.form(request, visit, calendar, draft, status=refusal.status)
        return RedirectResponse("/calendars?done=deleted", SEE_OTHER)
