"""The tree of root causes in both languages: made, renamed, moved and retired after a look at what that touches."""

import re
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.webapi.problem import of_status
from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, refused_draft, uuid_in, version_in
from services.portal.api.view import Pages
from services.portal.clients import Casework, Refusal, ServiceAwayError
from services.portal.clients.root_causes import CausePreview, StoredCause
from services.portal.domain.causetree import branches, ids_below
from services.portal.domain.forms import NOTHING, Draft
from services.portal.domain.people import Right

_ID: Final = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
_FIELDS: Final = ("id", "name_ru", "name_en", "parent_id", "retired")


def routes(pages: Pages, casework: Casework) -> APIRouter:
    """`/root-causes` and below."""
    router = APIRouter(include_in_schema=False)
    editor = CauseTreePages(pages, casework)

    @router.get("/root-causes")
    async def tree(request: Request, visit: Annotated[Visit, needs(Right.SETUP)]) -> Response:
        return await editor.tree(request, visit)

    @router.get("/root-causes/new")
    async def new(request: Request, visit: Annotated[Visit, needs(Right.LEAD)]) -> Response:
        return await editor.one(request, visit, None, NOTHING)

    @router.post("/root-causes/new")
    async def make(
        request: Request, visit: Annotated[Visit, needs(Right.LEAD)], form: Annotated[Form, Depends(posted_form)]
    ) -> Response:
        return await editor.change(request, visit, None, form)

    @router.get("/root-causes/{cause_id}")
    async def edit(request: Request, cause_id: str, visit: Annotated[Visit, needs(Right.LEAD)]) -> Response:
        return await editor.one(request, visit, _cause(cause_id), NOTHING)

    @router.post("/root-causes/{cause_id}")
    async def change(
        request: Request,
        cause_id: str,
        visit: Annotated[Visit, needs(Right.LEAD)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await editor.change(request, visit, _cause(cause_id), form)

    return router


class CauseTreePages:
    """Reads the tree from casework and changes it there, in the person's name."""

    def __init__(self, pages: Pages, casework: Casework) -> None:
        self._pages = pages
        self._casework = casework

    async def tree(self, request: Request, visit: Visit) -> Response:
        """The whole tree, retired ones marked."""
        words = self._pages.words(request, visit.person)
        saved = request.query_params.get("done") == "saved"
        try:
            causes = await self._casework.causes.tree(visit.person)
        except (ServiceAwayError, Refusal):
            return self._pages.page(request, visit, "root_causes.html", status=503, tree=None, saved=saved)
        known = {each.id: each for each in causes}
        shown = [(known[place.id], place.depth) for place in branches(causes, words.language)]
        return self._pages.page(request, visit, "root_causes.html", tree=shown, saved=saved)

    async def one(
        self,
        request: Request,
        visit: Visit,
        cause_id: str | None,
        draft: Draft,
        *,
        preview: CausePreview | None = None,
        status: int = 200,
    ) -> Response:
        """The form; with a preview, what storing it would touch."""
        words = self._pages.words(request, visit.person)
        causes = await self._casework.causes.tree(visit.person)
        known = {each.id: each for each in causes}
        if cause_id is not None and cause_id not in known:
            raise of_status(NOT_FOUND)
        stored = known[cause_id] if cause_id is not None else None
        out = ids_below(causes, stored.id) if stored else set()
        parents = [
            (place.id, "\N{NO-BREAK SPACE}" * 4 * place.depth + known[place.id].name(words.language))
            for place in branches(causes, words.language)
            if place.id not in out
        ]
        above = request.query_params.get("below", "")
        context: dict[str, Any] = {
            "cause": stored,
            "stored": _entered(stored, above if above in known else ""),
            "parents": parents,
            "preview": preview,
            "names": {each.id: each.name(words.language) for each in causes},
            "draft": draft,
            # What the form was made from, so that a look at what it touches does not hide a change of somebody else.
            "version": draft.fields.get("version") or (str(stored.version) if stored else ""),
        }
        return self._pages.page(request, visit, "root_cause.html", status=status, **context)

    async def change(self, request: Request, visit: Visit, cause_id: str | None, form: Form) -> Response:
        """Show what it would touch; or, asked to, store it."""
        words = self._pages.words(request, visit.person)
        entered = {name: form.get(name) for name in _FIELDS} | {"version": form.get("version")}
        wrong = {name: words("case.missing") for name in ("name_ru", "name_en") if not entered[name]}
        if cause_id is None and not _ID.fullmatch(entered["id"]):
            wrong["id"] = words("root_causes.wrong_id")
        if wrong:
            draft = Draft("cause", entered, {}, wrong, words("case.check"))
            return await self.one(request, visit, cause_id, draft, status=WRONG)
        id_ = cause_id or entered["id"]
        body = {
            "parent_id": entered["parent_id"] or None,
            "name_ru": entered["name_ru"],
            "name_en": entered["name_en"],
            "retired": entered["retired"] == "yes",
        }
        try:
            if form.get("do") != "save":
                preview = await self._casework.causes.preview(visit.person, id_, body)
                if cause_id is None and preview.exists:
                    taken = {"id": words("root_causes.taken")}
                    draft = Draft("cause", entered, {}, taken, words("case.check"))
                    return await self.one(request, visit, None, draft, status=409)
                return await self.one(request, visit, cause_id, Draft("cause", entered), preview=preview)
            await self._casework.causes.put(
                visit.person,
                id_,
                body,
                command_id=uuid_in(form.get("command_id")),
                version=None if cause_id is None else version_in(form),
            )
        except Refusal as refusal:
            # The form comes back beside the tree as it is now: who sends it again has seen that.
            draft = refused_draft("cause", entered | {"version": ""}, {}, refusal, words)
            return await self.one(request, visit, cause_id, draft, status=refusal.status)
        return RedirectResponse(f"/root-causes?{urlencode({'done': 'saved'})}", SEE_OTHER)


def _cause(written: str) -> str:
    if not _ID.fullmatch(written):
        raise of_status(NOT_FOUND)
    return written


def _entered(stored: StoredCause | None, above: str) -> dict[str, str]:
    if stored is None:
        return {"id": "", "name_ru": "", "name_en": "", "parent_id": above, "retired": ""}
    return {
        "id": stored.id,
        "name_ru": stored.name_ru,
        "name_en": stored.name_en,
        "parent_id": stored.parent_id or "",
        "retired": "yes" if stored.retired else "",
    }
