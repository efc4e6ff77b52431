"""Light cases: by which rules answers that are no detractor's open one, tried on what came before they hold."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, get_args

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.portal.api.access import Form, Visit, needs, posted_long_form
from services.portal.api.policies import programs_of
from services.portal.api.refusals import SEE_OTHER, WRONG, uuid_in, version_in
from services.portal.api.theme_names import theme_names
from services.portal.api.view import Pages
from services.portal.clients import Casework, Refusal, Scoring, ServiceAwayError
from services.portal.clients.outreach import Tried
from services.portal.domain import outreachforms
from services.portal.domain.casefile import TIERS
from services.portal.domain.outreachforms import OutreachForm
from services.portal.domain.people import Right
from services.portal.texts import Words

_ACTIONS: Final[tuple[outreachforms.Action, ...]] = get_args(outreachforms.Action)
_CHANGED: Final = 409


@dataclass(frozen=True, slots=True)
class Draft:
    """Rules that somebody is writing, and what is wrong with them: in words, by field."""

    form: OutreachForm
    message: str = ""
    wrong: Mapping[str, str] = field(default_factory=dict)


def routes(pages: Pages, casework: Casework, scoring: Scoring) -> APIRouter:
    """`/light-cases`."""
    router = APIRouter(include_in_schema=False)
    editor = LightCasePages(pages, casework, scoring)

    @router.get("/light-cases")
    async def rules(request: Request, visit: Annotated[Visit, needs(Right.SETUP)]) -> Response:
        return await editor.shown(request, visit)

    @router.post("/light-cases")
    async def change(
        request: Request, visit: Annotated[Visit, needs(Right.LEAD)], form: Annotated[Form, Depends(posted_long_form)]
    ) -> Response:
        return await editor.change(request, visit, form)

    return router


class LightCasePages:
    """Reads the rules from casework and changes them there, in the person's name."""

    def __init__(self, pages: Pages, casework: Casework, scoring: Scoring) -> None:
        self._pages = pages
        self._casework = casework
        self._scoring = scoring

    async def shown(
        self,
        request: Request,
        visit: Visit,
        *,
        draft: Draft | None = None,
        tried: Tried | None = None,
        status: int = 200,
        version: int | None = None,
    ) -> Response:
        """The rules in words, and the form; a draft keeps the version that it was begun from."""
        words = self._pages.words(request, visit.person)
        try:
            in_force, themes, programs = await asyncio.gather(
                self._casework.outreach.in_force(visit.person),
                theme_names(self._scoring, visit.person, words.language),
                programs_of(self._casework, visit.person, words),
            )
        except (ServiceAwayError, Refusal):
            return self._pages.page(request, visit, "light_cases.html", status=503, in_force=None)
        draft = draft or Draft(outreachforms.form_of(in_force.document()))
        known = {*themes, *(id_ for rule in draft.form.rules for id_ in rule.themes)}
        context: dict[str, Any] = {
            "in_force": in_force,
            "draft": draft,
            "rows": outreachforms,
            "tiers": TIERS,
            "names": themes,
            "themes": sorted(known, key=lambda id_: (themes.get(id_) or id_).casefold()),
            "programs": programs,
            "tried": tried,
            "version": version or in_force.version,
            "saved": request.query_params.get("done") == "saved",
        }
        return self._pages.page(request, visit, "light_cases.html", status=status, **context)

    async def change(self, request: Request, visit: Visit, form: Form) -> Response:
        """Add, move or remove a row; try the rules; or put them into force."""
        words = self._pages.words(request, visit.person)
        version = version_in(form)
        rows = outreachforms.typed(form.fields, form.lists)
        action, _, place = form.get("do").partition(":")
        known = next((each for each in _ACTIONS if each == action), None)
        if known is not None:
            draft = Draft(outreachforms.edited(rows, known, place))
            return await self.shown(request, visit, draft=draft, version=version)
        wrong = {name: words(f"light.wrong.{why}") for name, why in outreachforms.mistakes(rows).items()}
        if wrong:
            draft = Draft(rows, words("case.check"), wrong)
            return await self.shown(request, visit, draft=draft, status=WRONG, version=version)
        document = outreachforms.document_of(rows)
        try:
            if action != "save":
                tried = await self._casework.outreach.try_out(visit.person, document)
                draft = Draft(outreachforms.form_of(document))
                return await self.shown(request, visit, draft=draft, tried=tried, version=version)
            await self._casework.outreach.put(
                visit.person, document, command_id=uuid_in(form.get("command_id")), version=version
            )
        except Refusal as refusal:
            return await self._refused(request, visit, rows, refusal, words)
        return RedirectResponse("/light-cases?done=saved", SEE_OTHER)

    async def _refused(
        self, request: Request, visit: Visit, rows: OutreachForm, refusal: Refusal, words: Words
    ) -> Response:
        """The form again: with the mistakes at their fields, or beside the rules that somebody else made meanwhile."""
        if not refusal.errors:
            draft = Draft(rows, words("light.changed"))
            return await self.shown(request, visit, draft=draft, status=_CHANGED)
        places = (outreachforms.field_at(rows, error.pointer) for error in refusal.errors)
        wrong = {name: words("case.invalid") for name in places if name is not None}
        return await self.shown(request, visit, draft=Draft(rows, words("case.check"), wrong), status=WRONG)
