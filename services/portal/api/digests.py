"""The digest for everybody who works here: the latest, those before, and whether one gets it and is named in it."""

from datetime import UTC, timedelta
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.webapi.problem import of_status
from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, uuid_in
from services.portal.api.view import Pages
from services.portal.clients import Casework, Notify, Refusal, ServiceAwayError
from services.portal.clients.digests import Digest
from services.portal.domain.people import Person, Right
from services.portal.texts import LANGUAGES

KINDS: Final = ("weekly", "monthly")
READERS: Final = ("lead", "everybody")
SECTIONS: Final = ("scores", "themes", "departments", "deeds", "loop", "owed")
_LONGEST: Final = timedelta(days=40)
"""A month, and the time until its digest was made."""


def routes(pages: Pages, notify: Notify, casework: Casework) -> APIRouter:
    """`/digest`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/digest")
    async def show(request: Request, visit: Annotated[Visit, needs(Right.METRICS)]) -> Response:
        words = pages.words(request, visit.person)
        asked = request.query_params.get("kind", "")
        kind = asked if asked in KINDS else KINDS[0]
        done = request.query_params.get("done", "")
        context: dict[str, Any] = {
            "kind": kind,
            "kinds": KINDS,
            "sections": SECTIONS,
            "done": done if done in ("on", "off", "named", "unnamed") else "",
        }
        try:
            listed = await notify.digests.latest(visit.person, kind, words.language)
            choices = await notify.digests.choices(visit.person)
            asked_for = request.query_params.get("id")
            id_ = uuid_in(asked_for) if asked_for is not None else listed[0].id if listed else None
            digest = None if id_ is None else await notify.digests.one(visit.person, id_, words.language)
        except (ServiceAwayError, Refusal):
            return pages.page(request, visit, "digest.html", status=503, **context, away=True)
        if digest is None and asked_for is not None:
            raise of_status(NOT_FOUND)
        wants, shown = await _named(casework, visit.person, digest)
        context |= {"listed": listed, "digest": shown, "choices": choices, "wants": wants}
        return pages.page(request, visit, "digest.html", **context, away=False)

    @router.get("/digest/preview")
    async def preview(request: Request, visit: Annotated[Visit, needs(Right.LEAD)]) -> Response:
        query = request.query_params
        kind = query["kind"] if query.get("kind") in KINDS else KINDS[0]
        reader = query["reader"] if query.get("reader") in READERS else READERS[0]
        said = query.get("said")
        language = said if said in LANGUAGES else pages.words(request, visit.person).language
        context: dict[str, Any] = {"kind": kind, "kinds": KINDS, "reader": reader, "readers": READERS, "said": language}
        context["told_in"] = pages.words_in(language)
        try:
            digest = await notify.digests.preview(visit.person, kind, language, reader)
        except (ServiceAwayError, Refusal):
            return pages.page(request, visit, "digest_preview.html", status=503, **context, digest=None)
        _, shown = await _named(casework, visit.person, digest)
        return pages.page(request, visit, "digest_preview.html", **context, digest=shown, sections=SECTIONS)

    @router.post("/digest/{what}")
    async def choose(
        what: str,
        visit: Annotated[Visit, needs(Right.METRICS)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        wanted = form.get("wanted") == "yes"
        command_id = uuid_in(form.get("command_id"))
        if what in KINDS:
            await notify.digests.choose(visit.person, what, wanted=wanted, command_id=command_id)
            return _to(what, "on" if wanted else "off")
        if what == "naming":
            await casework.recognition.choose(visit.person, wanted=wanted, command_id=command_id)
            return _to(KINDS[0], "named" if wanted else "unnamed")
        raise of_status(NOT_FOUND)

    return router


async def _named(casework: Casework, person: Person, digest: Digest | None) -> tuple[bool | None, Digest | None]:
    """Whether the reader wants to be named, and the digest with those alone who still do.

    Where casework cannot be asked nobody is named: who said no must not stand there because of it.
    """
    named: set[str] = set()
    wants = None
    try:
        wants = await casework.recognition.wants(person)
        if digest is not None and digest.thanked:
            until = digest.frozen_at.astimezone(UTC)
            named = await casework.recognition.named(person, until - _LONGEST, until)
    except (ServiceAwayError, Refusal):
        named = set()
    if digest is None:
        return wants, None
    return wants, replace(digest, thanked=[each for each in digest.thanked if each.agent_id in named])


def _to(kind: str, done: str) -> Response:
    return RedirectResponse(f"/digest?{urlencode({'kind': kind, 'done': done})}", SEE_OTHER)
