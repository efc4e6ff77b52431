"""Templates of messages: what each kind says in both languages, its versions, and which one is in use."""

from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from libs.events.database import Database
from libs.webapi.problem import of_status
from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.named import named
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, uuid_in, version_in
from services.portal.api.view import Pages
from services.portal.clients import Notify, Refusal, ServiceAwayError
from services.portal.clients.letter_templates import TemplateVersion
from services.portal.domain import letter_templates as domain
from services.portal.domain.forms import NOTHING, Draft
from services.portal.domain.letter_templates import KINDS, READERS
from services.portal.domain.people import Right
from services.portal.texts import LANGUAGES

_LARGEST_NUMBER: Final = 2**31 - 1
_DONE: Final = ("saved", "published")
_OF_A_SAMPLE: Final = {
    # A mail brings its own styles. No script, no form and no link of it works: the frame's sandbox and this forbid it.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'self'; sandbox"
    ),
    "X-Frame-Options": "SAMEORIGIN",
}


def routes(database: Database, pages: Pages, notify: Notify) -> APIRouter:
    """`/templates`, and each version to look at and to use."""
    router = APIRouter(include_in_schema=False)
    shelf = TemplatePages(database, pages, notify)

    @router.get("/templates")
    async def listed(request: Request, visit: Annotated[Visit, needs(Right.MESSAGES)]) -> Response:
        return await shelf.listed(request, visit)

    @router.get("/templates/{kind}")
    async def kind_of(request: Request, kind: str, visit: Annotated[Visit, needs(Right.MESSAGES)]) -> Response:
        return await shelf.kind(request, visit, kind_in(kind))

    @router.get("/templates/{kind}/{language}/{version}")
    async def one(
        request: Request, kind: str, language: str, version: str, visit: Annotated[Visit, needs(Right.MESSAGES)]
    ) -> Response:
        place = kind_in(kind), language_in(language), number_in(version)
        return await shelf.one(request, visit, *place, NOTHING)

    @router.post("/templates/{kind}/{language}/{version}")
    async def publish(
        request: Request,
        kind: str,
        language: str,
        version: str,
        visit: Annotated[Visit, needs(Right.LEAD)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await shelf.publish(request, visit, kind_in(kind), language_in(language), number_in(version), form)

    @router.get("/templates/{kind}/{language}/{version}/samples/{sample}")
    async def sample_of(
        kind: str, language: str, version: str, sample: str, visit: Annotated[Visit, needs(Right.MESSAGES)]
    ) -> Response:
        place = kind_in(kind), language_in(language), number_in(version)
        return await shelf.sample(visit, *place, int(sample) if sample.isdecimal() else -1)

    return router


class TemplatePages:
    """Reads templates from notify, has them tried, and says which one is used."""

    def __init__(self, database: Database, pages: Pages, notify: Notify) -> None:
        self._database = database
        self._pages = pages
        self._notify = notify

    async def listed(self, request: Request, visit: Visit) -> Response:
        """Every kind, by who reads it, with what is in use in each language."""
        try:
            found = await self._notify.templates.versions(visit.person)
        except (ServiceAwayError, Refusal):
            return self._pages.page(request, visit, "letter_templates.html", status=503, groups=None)
        kinds = dict.fromkeys(each.kind for each in found)
        groups = [
            (
                reader,
                [
                    (kind, [each for each in found if each.kind == kind])
                    for kind in kinds
                    if domain.reader_of(kind) == reader
                ],
            )
            for reader in READERS
        ]
        return self._pages.page(request, visit, "letter_templates.html", groups=groups)

    async def kind(self, request: Request, visit: Visit, kind: str) -> Response:
        """One kind as people get it now, in both languages, with all its versions."""
        found = await self._notify.templates.versions(visit.person, kind=kind)
        previews = await self._notify.templates.in_use(visit.person, kind)
        samples = sorted({each.sample for each in previews})
        sample = _sample_in(request, samples)
        return self._pages.page(
            request,
            visit,
            "letter_template_kind.html",
            kind=kind,
            reader=domain.reader_of(kind),
            versions={language: [each for each in found if each.language == language] for language in LANGUAGES},
            shown={each.language: each for each in previews if each.sample == sample},
            samples=samples,
            sample=sample,
            names=await named(self._database, _who(found)),
        )

    async def one(
        self, request: Request, visit: Visit, kind: str, language: str, number: int, draft: Draft, *, status: int = 200
    ) -> Response:
        """One version: what is wrong with it, how it looks for each sample, and whether it is to be used."""
        found, revision = await self._notify.templates.one(visit.person, kind, language, number)
        trial = await self._notify.templates.try_out(visit.person, kind, language, number)
        samples = [each.sample for each in trial.previews]
        sample = _sample_in(request, samples)
        done = request.query_params.get("done", "")
        written = {part: getattr(found, part) for part in domain.PARTS}
        return self._pages.page(
            request,
            visit,
            "letter_template.html",
            status=status,
            found=found,
            revision=revision,
            parts=written,
            mistakes=domain.mistakes(trial.faults, written),
            shown=next((each for each in trial.previews if each.sample == sample), None),
            samples=samples,
            sample=sample,
            names=await named(self._database, _who([found])),
            draft=draft,
            done=done if done in _DONE else "",
        )

    async def publish(
        self, request: Request, visit: Visit, kind: str, language: str, number: int, form: Form
    ) -> Response:
        """Use it from now on; or what is against that."""
        command_id = uuid_in(form.get("command_id"))
        try:
            await self._notify.templates.publish(
                visit.person, kind, language, number, command_id=command_id, seen=version_in(form)
            )
        except Refusal as refusal:
            if refusal.status == NOT_FOUND:
                raise
            words = self._pages.words(request, visit.person)
            key = f"template_refused.{refusal.slug}"
            draft = Draft("publish", message=words(key) if words.has(key) else words("template_refused.other"))
            return await self.one(request, visit, kind, language, number, draft, status=refusal.status)
        return to_version(kind, language, number, "published")

    async def sample(self, visit: Visit, kind: str, language: str, number: int, sample: int) -> Response:
        """A mail by itself, for the frame in which a page shows it."""
        trial = await self._notify.templates.try_out(visit.person, kind, language, number)
        shown = next((each for each in trial.previews if each.sample == sample), None)
        if shown is None:
            raise of_status(NOT_FOUND)
        return HTMLResponse(shown.html, headers=_OF_A_SAMPLE | {"Content-Language": language})


def to_version(kind: str, language: str, number: int, done: str) -> Response:
    """Go and look at a version."""
    return RedirectResponse(f"/templates/{kind}/{language}/{number}?{urlencode({'done': done})}", SEE_OTHER)


def kind_in(written: str) -> str:
    """A kind of message; 404 for what is none."""
    if written not in KINDS:
        raise of_status(NOT_FOUND)
    return written


def language_in(written: str) -> str:
    """A language; 404 for what is none of ours."""
    if written not in LANGUAGES:
        raise of_status(NOT_FOUND)
    return written


def number_in(written: str) -> int:
    """The number of a version; 404 for what none can have."""
    if not written.isascii() or not written.isdecimal() or not 1 <= int(written[:20]) <= _LARGEST_NUMBER:
        raise of_status(NOT_FOUND)
    return int(written)


def _sample_in(request: Request, samples: list[int]) -> int:
    """The sample that was asked for; the first where that is none of them."""
    asked = request.query_params.get("sample", "")
    number = int(asked) if asked.isascii() and asked.isdecimal() else -1
    return number if number in samples else next(iter(samples), -1)


def _who(found: list[TemplateVersion]) -> set[str]:
    return {each.author for each in found} | {each.published_by for each in found if each.published_by}
