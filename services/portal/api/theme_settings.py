"""What comments are about: suggestions that a person accepts or dismisses, and the taxonomy that the company edits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.events.database import Database
from libs.webapi.problem import of_status
from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.named import named
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, uuid_in
from services.portal.api.view import Pages
from services.portal.clients import Refusal, Scoring, ServiceAwayError
from services.portal.clients.service import FieldError
from services.portal.clients.themes import DryRun, Taxonomy
from services.portal.domain.people import Right
from services.portal.domain.themes import (
    LANGUAGES,
    PHRASES,
    ThemeForm,
    field_at,
    form_of,
    id_from,
    with_member,
)

_CHANGED: Final = 409
_STALE: Final = 412
_VERSIONS: Final = 20
_LONGEST: Final = 200_000
_URGENT: Final = "urgent."


@dataclass(frozen=True, slots=True)
class Place:
    """What a form edits: a theme or an urgent signal, and its id (None: a new theme)."""

    part: str
    id: str | None

    @property
    def address(self) -> str:
        """The end of the form's address."""
        return "new-theme" if self.id is None else _URGENT + self.id if self.part == "urgent" else self.id


@dataclass(frozen=True, slots=True)
class Draft:
    """A form that somebody is filling in, and what is wrong with it."""

    form: ThemeForm
    message: str = ""
    wrong: Mapping[str, Sequence[tuple[int | None, FieldError]]] = field(default_factory=dict)
    """By the form's field: the line that is wrong, and why."""
    elsewhere: Sequence[FieldError] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A suggestion that could not be decided as somebody wanted, and what they had entered."""

    id: str
    message: str
    form: ThemeForm
    field: str


def routes(database: Database, pages: Pages, scoring: Scoring) -> APIRouter:
    """`/themes/suggestions` and `/themes/taxonomy`."""
    router = APIRouter(include_in_schema=False)
    settings = _Settings(pages, scoring)

    @router.get("/themes/suggestions")
    async def suggestions(request: Request, visit: Annotated[Visit, needs(Right.THEMES)]) -> Response:
        return await settings.suggestions(request, visit)

    @router.post("/themes/suggestions/{suggestion_id}")
    async def decide(
        request: Request,
        visit: Annotated[Visit, needs(Right.THEMES)],
        suggestion_id: str,
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await settings.decide(request, visit, uuid_in(suggestion_id), form)

    @router.get("/themes/taxonomy")
    async def taxonomy(request: Request, visit: Annotated[Visit, needs(Right.THEMES)]) -> Response:
        try:
            in_force = await scoring.themes.taxonomy(visit.person)
            versions = await scoring.themes.versions(visit.person, limit=_VERSIONS)
        except (ServiceAwayError, Refusal):
            nothing: dict[str, Any] = {"in_force": None, "versions": None, "names": {}, "done": ""}
            return pages.page(request, visit, "taxonomy.html", status=503, **nothing)
        names = await named(database, {each.created_by for each in versions.items})
        done = request.query_params.get("done", "")
        return pages.page(request, visit, "taxonomy.html", in_force=in_force, versions=versions, names=names, done=done)

    @router.get("/themes/taxonomy/{written}")
    async def theme(request: Request, visit: Annotated[Visit, needs(Right.THEMES)], written: str) -> Response:
        in_force = await settings.in_force(visit)
        place = _place(in_force, written)
        return settings.edited(request, visit, place, Draft(_form(in_force, place)), in_force.version)

    @router.post("/themes/taxonomy/{written}")
    async def change(
        request: Request,
        visit: Annotated[Visit, needs(Right.THEMES)],
        written: str,
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await settings.change(request, visit, written, form)

    return router


class _Settings:
    """The pages, over scoring."""

    def __init__(self, pages: Pages, scoring: Scoring) -> None:
        self._pages = pages
        self._themes = scoring.themes

    async def in_force(self, visit: Visit) -> Taxonomy:
        """The taxonomy; a problem where it cannot be had."""
        return await self._themes.taxonomy(visit.person)

    async def suggestions(
        self, request: Request, visit: Visit, *, refused: Refused | None = None, status: int = 200
    ) -> Response:
        context: dict[str, Any] = {"items": None, "themes": [], "refused": refused}
        try:
            context["items"] = await self._themes.suggestions(visit.person)
            in_force = await self._themes.taxonomy(visit.person)
        except (ServiceAwayError, Refusal):
            return self._pages.page(request, visit, "suggestions.html", status=503, **context, done="")
        context["themes"] = [theme for theme in in_force.themes if not theme.retired]
        done = request.query_params.get("done", "")
        return self._pages.page(request, visit, "suggestions.html", status=status, **context, done=done)

    async def decide(self, request: Request, visit: Visit, suggestion_id: str, form: Form) -> Response:
        """Accept it as a phrase of a theme or as a new theme, or dismiss it."""
        command_id = uuid_in(form.get("command_id"))
        entered = _entered(form)
        wanted: str | dict[str, Any] = form.get("theme")
        if form.get("do") == "accept" and not wanted:
            names = {language: entered.get(f"name_{language}") for language in LANGUAGES}
            missing = next((f"name_{language}" for language in LANGUAGES if not names[language]), None)
            id_ = id_from(names["en"])
            if missing is not None or not id_:
                words = self._pages.words(request, visit.person)
                key = "themes.names_missing" if missing is not None else "themes.latin_name"
                refused = Refused(suggestion_id, words(key), entered, missing or "name_en")
                return await self.suggestions(request, visit, refused=refused, status=WRONG)
            wanted = {"id": id_, "names": names}
        try:
            if form.get("do") == "accept":
                await self._themes.accept(visit.person, suggestion_id, wanted, command_id=command_id)
            else:
                await self._themes.dismiss(visit.person, suggestion_id, command_id=command_id)
        except Refusal as refusal:
            return await self._not_decided(request, visit, suggestion_id, entered, refusal)
        done = "accepted" if form.get("do") == "accept" else "dismissed"
        return RedirectResponse(f"/themes/suggestions?done={done}", SEE_OTHER)

    async def _not_decided(
        self, request: Request, visit: Visit, suggestion_id: str, entered: ThemeForm, refusal: Refusal
    ) -> Response:
        words = self._pages.words(request, visit.person)
        key = f"themes.refused.{refusal.slug}"
        message = words(key if words.has(key) else "themes.refused.other")
        refused = Refused(suggestion_id, message, entered, "theme")
        return await self.suggestions(request, visit, refused=refused, status=refusal.status)

    def edited(
        self,
        request: Request,
        visit: Visit,
        place: Place,
        draft: Draft,
        version: int,
        *,
        found: DryRun | None = None,
        known: Taxonomy | None = None,
        status: int = 200,
    ) -> Response:
        """The form of a theme or signal; a draft keeps the version that it was begun from."""
        names = {} if known is None else {theme.id: theme.names for theme in known.themes}
        return self._pages.page(
            request,
            visit,
            "taxonomy_theme.html",
            status=status,
            place=place,
            draft=draft,
            version=version,
            found=found,
            known=names,
            sorts=PHRASES if place.part == "themes" else ("patterns", "unless"),
        )

    async def change(self, request: Request, visit: Visit, written: str, form: Form) -> Response:
        """Try the taxonomy with this theme or signal, or put it into force."""
        words = self._pages.words(request, visit.person)
        in_force = await self.in_force(visit)
        place = _place(in_force, written)
        entered = _entered(form)
        version = int(form.get("version")) if form.get("version").isdecimal() else in_force.version
        id_ = place.id or id_from(entered.get("name_en"))
        if place.id is None and (not id_ or in_force.theme(id_) is not None):
            key = "themes.name_taken" if id_ else "themes.latin_name"
            draft = Draft(entered, words(key), {"name_en": []})
            return self.edited(request, visit, place, draft, version, status=WRONG)
        member = entered.as_theme(id_) if place.part == "themes" else entered.as_signal(id_)
        document, index = with_member(in_force.document(), place.part, member)
        try:
            if form.get("do") == "try":
                found = await self._themes.try_out(visit.person, document)
                return self.edited(request, visit, place, Draft(entered), version, found=found, known=in_force)
            command_id = uuid_in(form.get("command_id"))
            await self._themes.put(visit.person, document, command_id=command_id, version=version)
        except Refusal as refusal:
            if refusal.status == _STALE:
                draft = Draft(entered, words("themes.changed"))
                return self.edited(request, visit, place, draft, in_force.version, status=_CHANGED)
            if not refusal.errors:
                raise
            draft = _wrong(words("themes.check"), entered, place, index, refusal.errors)
            return self.edited(request, visit, place, draft, version, status=WRONG)
        return RedirectResponse("/themes/taxonomy?done=saved", SEE_OTHER)


def _place(in_force: Taxonomy, written: str) -> Place:
    """What the address means; 404 for what there is not."""
    if written == "new-theme":
        return Place("themes", None)
    if written.startswith(_URGENT) and in_force.signal(written.removeprefix(_URGENT)) is not None:
        return Place("urgent", written.removeprefix(_URGENT))
    if in_force.theme(written) is None:
        raise of_status(NOT_FOUND)
    return Place("themes", written)


def _form(in_force: Taxonomy, place: Place) -> ThemeForm:
    theme = None if place.id is None or place.part != "themes" else in_force.theme(place.id)
    signal = None if place.id is None or place.part != "urgent" else in_force.signal(place.id)
    if theme is not None:
        told = {"patterns": theme.patterns, "otherwise": theme.otherwise, "unless": theme.unless}
        return form_of(theme.names, told, retired=theme.retired)
    if signal is not None:
        return form_of({}, {"patterns": signal.patterns, "unless": signal.unless}, retired=False)
    return ThemeForm({})


def _entered(form: Form) -> ThemeForm:
    fields = [f"{what}_{language}" for what in ("name", *PHRASES) for language in LANGUAGES]
    texts = {name: form.get(name).replace("\r\n", "\n")[:_LONGEST] for name in (*fields, "theme")}
    return ThemeForm(texts, form.get("retired") == "yes")


def _wrong(message: str, entered: ThemeForm, place: Place, index: int, errors: Sequence[FieldError]) -> Draft:
    wrong: dict[str, list[tuple[int | None, FieldError]]] = {}
    elsewhere = []
    for error in errors:
        at = field_at(error.pointer, place.part, index)
        if at is None:
            elsewhere.append(error)
        else:
            name, line = at
            wrong.setdefault(name, []).append((line, error))
    return Draft(entered, message, wrong, elsewhere)
