"""A template is written: a new version from one that there is, or a draft anew; mistakes are said where they are."""

from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.letter_templates import kind_in, language_in, number_in, to_version
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, uuid_in, version_in
from services.portal.api.view import Pages
from services.portal.clients import Notify, Refusal
from services.portal.clients.letter_templates import Template
from services.portal.domain import letter_templates as domain
from services.portal.domain.forms import Draft
from services.portal.domain.letter_templates import LONGEST, PARTS
from services.portal.domain.people import Person, Right
from services.portal.texts import Words

_FORM: Final = "template"
_LONGEST_NOTE: Final = 500


def routes(pages: Pages, notify: Notify) -> APIRouter:
    """`/templates/{kind}/{language}/new`, and `/edit` of a draft."""
    router = APIRouter(include_in_schema=False)
    desk = TemplateForms(pages, notify)

    @router.get("/templates/{kind}/{language}/new")
    async def blank(request: Request, kind: str, language: str, visit: Annotated[Visit, needs(Right.LEAD)]) -> Response:
        return await desk.blank(request, visit, kind_in(kind), language_in(language))

    @router.post("/templates/{kind}/{language}/new")
    async def write(
        request: Request,
        kind: str,
        language: str,
        visit: Annotated[Visit, needs(Right.LEAD)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await desk.keep(request, visit, kind_in(kind), language_in(language), None, form)

    @router.get("/templates/{kind}/{language}/{version}/edit")
    async def edit(
        request: Request, kind: str, language: str, version: str, visit: Annotated[Visit, needs(Right.LEAD)]
    ) -> Response:
        return await desk.stored(request, visit, kind_in(kind), language_in(language), number_in(version))

    @router.post("/templates/{kind}/{language}/{version}/edit")
    async def rewrite(
        request: Request,
        kind: str,
        language: str,
        version: str,
        visit: Annotated[Visit, needs(Right.LEAD)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await desk.keep(request, visit, kind_in(kind), language_in(language), number_in(version), form)

    return router


class TemplateForms:
    """The form of a template, filled in from a version, or as it was entered."""

    def __init__(self, pages: Pages, notify: Notify) -> None:
        self._pages = pages
        self._notify = notify

    async def blank(self, request: Request, visit: Visit, kind: str, language: str) -> Response:
        """A new version, filled in from the one that was asked for, or from the one in use."""
        asked = request.query_params.get("from", "")
        number = number_in(asked) if asked else await self._in_use(visit.person, kind, language)
        found, _ = await self._one(visit.person, kind, language, number)
        fields = {part: getattr(found, part) for part in PARTS} | {"note": ""}
        return self._form(request, visit, kind, language, None, None, Draft(_FORM, fields), [])

    async def stored(self, request: Request, visit: Visit, kind: str, language: str, number: int) -> Response:
        """A draft as it is written down, with what is wrong with it; what was published is only looked at."""
        found, revision = await self._one(visit.person, kind, language, number)
        if not found.is_draft:
            return RedirectResponse(f"/templates/{kind}/{language}/{number}", SEE_OTHER)
        mistakes = await self._mistakes(visit.person, found)
        words = self._pages.words(request, visit.person)
        wrong = {each.part: mistake_said(words, each) for each in reversed(mistakes)}
        fields = {part: getattr(found, part) for part in PARTS} | {"note": found.note}
        message = words("templates.saved_faulty") if mistakes and request.query_params.get("done") else ""
        draft = Draft(_FORM, fields, {}, wrong, message)
        return self._form(request, visit, kind, language, number, revision, draft, mistakes)

    async def keep(
        self, request: Request, visit: Visit, kind: str, language: str, number: int | None, form: Form
    ) -> Response:
        """Write it down; then it is looked at, or, where it has mistakes, they are shown in the form."""
        words = self._pages.words(request, visit.person)
        entered = {name: form.get(name).replace("\r\n", "\n") for name in (*PARTS, "note")}
        seen = version_in(form)
        wrong = {part: words("case.missing") for part in PARTS if not entered[part]}
        wrong |= {
            part: words("templates.too_long", n=words.number(longest))
            for part, longest in (LONGEST | {"note": _LONGEST_NOTE}).items()
            if len(entered[part]) > longest
        }
        if wrong:
            draft = Draft(_FORM, entered, {}, wrong, words("case.check"))
            return self._form(request, visit, kind, language, number, seen, draft, [], status=WRONG)
        command_id = uuid_in(form.get("command_id"))
        templates = self._notify.templates
        try:
            if number is None:
                number = await templates.draft(visit.person, kind, language, entered, command_id=command_id)
            else:
                await templates.change(visit.person, kind, language, number, entered, command_id=command_id, seen=seen)
            trial = await templates.try_out(visit.person, kind, language, number)
        except Refusal as refusal:
            if refusal.status == NOT_FOUND:
                raise
            key = f"template_refused.{refusal.slug}"
            message = words(key) if words.has(key) else words("template_refused.other")
            draft = Draft(_FORM, entered, {}, {}, message)
            return self._form(request, visit, kind, language, number, seen, draft, [], status=refusal.status)
        if trial.faults:
            query = urlencode({"done": "saved"})
            return RedirectResponse(f"/templates/{kind}/{language}/{number}/edit?{query}", SEE_OTHER)
        return to_version(kind, language, number, "saved")

    def _form(
        self,
        request: Request,
        visit: Visit,
        kind: str,
        language: str,
        number: int | None,
        seen: int | None,
        draft: Draft,
        mistakes: list[domain.Mistake],
        *,
        status: int = 200,
    ) -> Response:
        return self._pages.page(
            request,
            visit,
            "letter_template_form.html",
            status=status,
            kind=kind,
            language=language,
            number=number,
            seen=seen,
            draft=draft,
            form=_FORM,
            longest=LONGEST,
            mistakes=mistakes,
        )

    async def _one(self, person: Person, kind: str, language: str, number: int) -> tuple[Template, int]:
        return await self._notify.templates.one(person, kind, language, number)

    async def _in_use(self, person: Person, kind: str, language: str) -> int:
        """The version in use; the newest where none is."""
        found = await self._notify.templates.versions(person, kind=kind, language=language)
        return next((each.version for each in found if each.in_use), found[0].version if found else 1)

    async def _mistakes(self, person: Person, found: Template) -> list[domain.Mistake]:
        trial = await self._notify.templates.try_out(person, found.kind, found.language, found.version)
        return domain.mistakes(trial.faults, {part: getattr(found, part) for part in PARTS})


def mistake_said(words: Words, mistake: domain.Mistake) -> str:
    """A mistake in words, with its line."""
    key = f"template_fault.{mistake.code}"
    said = words(key) if words.has(key) else words("template_fault.other")
    return said if mistake.line is None else words("templates.on_line", line=mistake.line, said=said)
