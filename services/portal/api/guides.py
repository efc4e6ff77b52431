"""How to speak with customers: conversation guides by theme, read by who calls and edited by who leads."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.webapi.problem import of_status
from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.mentions import unread_of
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, refused_draft, uuid_in, version_in
from services.portal.api.view import Pages
from services.portal.clients import Casework, Refusal, Scoring, ServiceAwayError
from services.portal.clients.guides import Guide, Spoken
from services.portal.domain.forms import NOTHING, Draft
from services.portal.domain.guideforms import (
    FIELDS,
    LONGEST,
    LONGEST_TITLE,
    MOST_QUESTIONS,
    changes,
    guide_of,
    id_for,
    is_id,
    lines_of,
    mistakes,
)
from services.portal.domain.people import Language, Person, Right


@dataclass(frozen=True, slots=True)
class Shelf:
    """The guides for what comments are about; without a name they are for every conversation."""

    name: str
    guides: list[Guide]


def routes(pages: Pages, casework: Casework, scoring: Scoring) -> APIRouter:
    """`/guides` and below."""
    router = APIRouter(include_in_schema=False)
    editor = GuidePages(pages, casework, scoring)

    @router.get("/guides")
    async def listed(request: Request, visit: Annotated[Visit, needs(Right.CASES)]) -> Response:
        return await editor.listed(request, visit)

    # Before `/guides/{guide_id}`, as no guide is called "new".
    @router.get("/guides/new")
    async def new(request: Request, visit: Annotated[Visit, needs(Right.LEAD)]) -> Response:
        return await editor.form(request, visit, None, NOTHING)

    @router.post("/guides/new")
    async def make(
        request: Request, visit: Annotated[Visit, needs(Right.LEAD)], form: Annotated[Form, Depends(posted_form)]
    ) -> Response:
        return await editor.change(request, visit, None, form)

    @router.get("/guides/{guide_id}")
    async def one(request: Request, guide_id: str, visit: Annotated[Visit, needs(Right.CASES)]) -> Response:
        return await editor.one(request, visit, _guide(guide_id))

    @router.get("/guides/{guide_id}/edit")
    async def edit(request: Request, guide_id: str, visit: Annotated[Visit, needs(Right.LEAD)]) -> Response:
        return await editor.form(request, visit, _guide(guide_id), NOTHING, earlier=request.query_params.get("from"))

    @router.post("/guides/{guide_id}/edit")
    async def change(
        request: Request,
        guide_id: str,
        visit: Annotated[Visit, needs(Right.LEAD)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await editor.change(request, visit, _guide(guide_id), form)

    return router


class GuidePages:
    """Reads guides from casework and changes them there, in the person's name."""

    def __init__(self, pages: Pages, casework: Casework, scoring: Scoring) -> None:
        self._pages = pages
        self._casework = casework
        self._scoring = scoring

    async def listed(self, request: Request, visit: Visit) -> Response:
        """Those for every conversation first, then by theme; what is used no more last."""
        language = self._pages.words(request, visit.person).language
        context: dict[str, Any] = {"shelves": None, "retired": [], "unread": 0, "done": self._done(request)}
        try:
            guides, themes, unread = await asyncio.gather(
                self._casework.guides.all(visit.person),
                self._themes(visit.person, language),
                unread_of(self._casework, visit.person),
            )
        except ServiceAwayError:
            return self._pages.page(request, visit, "guides.html", status=503, **context)
        guides.sort(key=lambda guide: guide.said("title", language).casefold())
        used = [guide for guide in guides if not guide.retired]
        names = {id_: themes.get(id_, id_) for guide in used for id_ in guide.themes}
        by_theme = [
            Shelf(names[id_], [guide for guide in used if id_ in guide.themes])
            for id_ in sorted(names, key=lambda id_: names[id_].casefold())
        ]
        general = [guide for guide in used if not guide.themes]
        context |= {
            "shelves": ([Shelf("", general)] if general else []) + by_theme,
            "retired": [guide for guide in guides if guide.retired],
            "unread": unread,
        }
        return self._pages.page(request, visit, "guides.html", **context)

    async def one(self, request: Request, visit: Visit, guide_id: str) -> Response:
        """How to open the conversation, what to ask, and how to end it."""
        language = self._pages.words(request, visit.person).language
        guide, themes = await self._read(visit.person, guide_id, language)
        versions = await self._casework.guides.versions(visit.person, guide_id)
        return self._pages.page(
            request,
            visit,
            "guide.html",
            guide=guide,
            themes=themes,
            versions=list(zip(versions, changes([msgspec.to_builtins(each) for each in versions]), strict=True)),
            done=self._done(request),
        )

    async def form(
        self,
        request: Request,
        visit: Visit,
        guide_id: str | None,
        draft: Draft,
        *,
        look: bool = False,
        earlier: str | None = None,
        status: int = 200,
    ) -> Response:
        """The form in both languages; with `look`, how it would be read; with `earlier`, as that version read."""
        language = self._pages.words(request, visit.person).language
        guide: Guide | None = None
        if guide_id is None:
            themes = await self._themes(visit.person, language)
        else:
            guide, themes = await self._read(visit.person, guide_id, language)
        begun: Spoken | None = guide
        if guide_id is not None and earlier is not None:
            versions = {
                str(each.version): each for each in await self._casework.guides.versions(visit.person, guide_id)
            }
            if earlier not in versions:
                raise of_status(NOT_FOUND)
            begun = versions[earlier]
        chosen = draft.chosen("guide", "theme", tuple(begun.themes) if begun else ())
        offered = {**themes, **{id_: themes.get(id_, id_) for id_ in chosen}}
        return self._pages.page(
            request,
            visit,
            "guide_form.html",
            status=status,
            guide=guide,
            stored=_entered(begun),
            earlier=begun.version if begun is not guide and begun else None,
            draft=draft,
            look=look,
            lines_of=lines_of,
            themes=sorted(offered.items(), key=lambda theme: theme[1].casefold()),
            chosen=chosen,
            limits={"title": LONGEST_TITLE, "words": LONGEST, "questions": MOST_QUESTIONS},
            # What the form was made from, so that a look does not hide a change of somebody else.
            version=draft.fields.get("version") or (str(guide.version) if guide else ""),
        )

    async def change(self, request: Request, visit: Visit, guide_id: str | None, form: Form) -> Response:
        """Show how it would be read; or, asked to, store it: for conversations from now on."""
        words = self._pages.words(request, visit.person)
        entered = {name: form.get(name).replace("\r\n", "\n") for name in FIELDS}
        entered |= {"retired": form.get("retired"), "version": form.get("version")}
        lists = {"theme": tuple(each for each in form.all("theme") if is_id(each))}
        wrong = {name: words(f"guides.wrong.{why}") for name, why in mistakes(entered).items()}
        if wrong:
            draft = Draft("guide", entered, lists, wrong, words("case.check"))
            return await self.form(request, visit, guide_id, draft, status=WRONG)
        if form.get("do") != "save":
            return await self.form(request, visit, guide_id, Draft("guide", entered, lists), look=True)
        command_id = uuid_in(form.get("command_id"))
        id_ = guide_id or id_for(entered["title_en"], command_id)
        try:
            await self._casework.guides.put(
                visit.person,
                id_,
                guide_of(entered, lists["theme"], retired=entered["retired"] == "yes"),
                command_id=command_id,
                version=None if guide_id is None else version_in(form),
            )
        except Refusal as refusal:
            # The form comes back beside the guide as it is now: who sends it again has seen that.
            draft = refused_draft("guide", entered | {"version": ""}, lists, refusal, words)
            return await self.form(request, visit, guide_id, draft, status=refusal.status)
        return RedirectResponse(f"/guides/{id_}?done=saved", SEE_OTHER)

    async def _read(self, person: Person, guide_id: str, language: Language) -> tuple[Guide, dict[str, str]]:
        guide, themes = await asyncio.gather(
            self._casework.guides.find(person, guide_id), self._themes(person, language)
        )
        if guide is None:
            raise of_status(NOT_FOUND)
        return guide, themes

    async def _themes(self, person: Person, language: Language) -> dict[str, str]:
        """What themes are called; their ids stand for them while scoring is away."""
        try:
            taxonomy = await self._scoring.themes.taxonomy(person)
        except (ServiceAwayError, Refusal):
            return {}
        return {each.id: each.names.get(language) or each.id for each in taxonomy.themes if not each.retired}

    def _done(self, request: Request) -> bool:
        return request.query_params.get("done") == "saved"


def _guide(written: str) -> str:
    if not is_id(written):
        raise of_status(NOT_FOUND)
    return written


def _entered(guide: Spoken | None) -> dict[str, str]:
    if guide is None:
        return dict.fromkeys((*FIELDS, "retired"), "")
    said = {
        f"{part}_{language}": guide.said(part, language)
        for part in ("title", "opening", "closing")
        for language in ("ru", "en")
    }
    asked = {
        f"questions_{language}": "\n".join(" ".join(each.split()) for each in guide.asked(language))
        for language in ("ru", "en")
    }
    return {**said, **asked, "retired": "yes" if guide.retired else ""}
