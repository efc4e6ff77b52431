"""The segment rules: in words, as a document to edit, and who would move before anything is put into force."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.metrics import TIERS
from services.portal.api.refusals import SEE_OTHER, away, uuid_in
from services.portal.api.view import Pages
from services.portal.clients import Refusal, Scoring, ServiceAwayError
from services.portal.clients.segments import DryRun
from services.portal.clients.service import FieldError
from services.portal.domain.people import Right

_WRONG: Final = 422
_CHANGED: Final = 409


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that is wrong, and the way to its place: "rules", "1", "when", "2" count from one."""

    place: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Draft:
    """Rules that somebody is writing."""

    text: str
    message: str = ""
    wrong: Sequence[Wrong] = ()


def routes(pages: Pages, scoring: Scoring) -> APIRouter:
    """`/segments`."""
    router = APIRouter(include_in_schema=False)

    async def shown(
        request: Request,
        visit: Visit,
        *,
        draft: Draft | None = None,
        found: DryRun | None = None,
        status: int = 200,
        version: int | None = None,
    ) -> Response:
        """The page; a draft keeps the version that it was begun from."""
        try:
            in_force = await scoring.segments.in_force(visit.person)
        except (ServiceAwayError, Refusal):
            return pages.page(request, visit, "segments.html", status=503, in_force=None)
        return pages.page(
            request,
            visit,
            "segments.html",
            status=status,
            in_force=in_force,
            draft=draft or Draft(written(in_force.document())),
            found=found,
            tiers=TIERS,
            version=version or in_force.version,
            saved=request.query_params.get("done") == "saved",
        )

    @router.get("/segments")
    async def segments(request: Request, visit: Annotated[Visit, needs(Right.CUSTOMERS)]) -> Response:
        return await shown(request, visit)

    @router.post("/segments")
    async def change(
        request: Request, visit: Annotated[Visit, needs(Right.RULES)], form: Annotated[Form, Depends(posted_form)]
    ) -> Response:
        words = pages.words(request, visit.person)
        text = form.get("document").replace("\r\n", "\n")
        version = int(form.get("version")) if form.get("version").isdecimal() else 0
        document = _read(text)
        if isinstance(document, int):
            draft = Draft(text, words("segments.no_json", line=document))
            return await shown(request, visit, draft=draft, status=_WRONG, version=version)
        try:
            if form.get("do") == "try":
                found = await scoring.segments.try_out(visit.person, document)
                return await shown(request, visit, draft=Draft(text), found=found, version=version)
            command_id = uuid_in(form.get("command_id"))
            await scoring.segments.put(visit.person, document, command_id=command_id, version=version)
        except ServiceAwayError as error:
            raise away() from error
        except Refusal as refusal:
            if refusal.errors:
                draft = Draft(text, words("segments.check"), [_wrong(each) for each in refusal.errors])
                return await shown(request, visit, draft=draft, status=_WRONG, version=version)
            changed = Draft(text, words("segments.changed"))
            return await shown(request, visit, draft=changed, status=_CHANGED)
        return RedirectResponse("/segments?done=saved", SEE_OTHER)

    return router


def _read(text: str) -> dict[str, Any] | int:
    """The object that the text is; else the line at which it is none."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        return error.lineno
    except (ValueError, RecursionError):  # a number of too many digits; a list in a list in a list…
        return 1
    return document if isinstance(document, dict) else 1


def written(document: Mapping[str, Any]) -> str:
    """A document as people edit it: a condition on one line."""
    text = json.dumps(document, ensure_ascii=False, indent=2)
    for member in _condition_texts(document):
        spread = json.dumps(member, ensure_ascii=False, indent=2)
        for depth in (8, 12):
            text = text.replace(spread.replace("\n", "\n" + " " * depth), json.dumps(member, ensure_ascii=False))
    return text


def _condition_texts(document: Mapping[str, Any]) -> list[Any]:
    sets = [document, *document.get("programs", {}).values()]
    return [condition for each in sets for rule in each["rules"] for condition in rule["when"]]


def _wrong(error: FieldError) -> Wrong:
    parts = error.pointer.removeprefix("/").split("/") if error.pointer else []
    return Wrong(tuple(str(int(part) + 1) if part.isdecimal() else part for part in parts), error.detail)
