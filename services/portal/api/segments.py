"""The segment rules: in words, as rows or a document to edit, and who would move before they are put into force."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final, get_args

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.portal.api.access import Form, Visit, needs, posted_long_form
from services.portal.api.metrics import TIERS
from services.portal.api.refusals import SEE_OTHER, WRONG, uuid_in
from services.portal.api.view import Pages
from services.portal.clients import Refusal, Scoring, ServiceAwayError
from services.portal.clients.segments import DryRun, InForce
from services.portal.clients.service import FieldError
from services.portal.domain import ruleforms
from services.portal.domain.people import Language, Right
from services.portal.domain.ruleforms import RulesForm
from services.portal.texts import Words

_ACTIONS: Final[tuple[ruleforms.Action, ...]] = get_args(ruleforms.Action)
_CHANGED: Final = 409
_NOTHING: Final = RulesForm((ruleforms.SetRows(),))


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that is wrong, and the way to its place: "rules", "1", "when", "2" count from one."""

    place: tuple[str, ...]
    error: FieldError


@dataclass(frozen=True, slots=True)
class Draft:
    """Rules that somebody is writing: as rows, or as a document (`text`), which is then open."""

    form: RulesForm
    text: str
    message: str = ""
    wrong: Sequence[Wrong] = ()
    """What is wrong with the document, or has no field in the form."""
    fields: Mapping[str, Sequence[FieldError]] = field(default_factory=dict)
    """What is wrong with fields of the form; a field without an error has the message."""
    as_document: bool = False


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
            draft=draft or _begun(in_force, pages.words(request, visit.person).language),
            rows=ruleforms,
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
        request: Request, visit: Annotated[Visit, needs(Right.RULES)], form: Annotated[Form, Depends(posted_long_form)]
    ) -> Response:
        words = pages.words(request, visit.person)
        version = int(form.get("version")) if form.get("version").isdecimal() else 0
        draft, document = _drafted(form, words)
        if document is None:
            status = WRONG if draft.message else 200
            return await shown(request, visit, draft=draft, status=status, version=version)
        try:
            if form.get("do") == "try":
                found = await scoring.segments.try_out(visit.person, document)
                return await shown(request, visit, draft=draft, found=found, version=version)
            command_id = uuid_in(form.get("command_id"))
            await scoring.segments.put(visit.person, document, command_id=command_id, version=version)
        except Refusal as refusal:
            if refusal.errors:
                refused = _refused(draft, words("segments.check"), refusal.errors)
                return await shown(request, visit, draft=refused, status=WRONG, version=version)
            changed = replace(draft, message=words("segments.changed"))
            return await shown(request, visit, draft=changed, status=_CHANGED)
        return RedirectResponse("/segments?done=saved", SEE_OTHER)

    return router


def _begun(in_force: InForce, language: Language) -> Draft:
    """The rules in force, to be changed."""
    document = in_force.document()
    return Draft(ruleforms.form_of(document, language), written(document))


def _drafted(form: Form, words: Words) -> tuple[Draft, dict[str, Any] | None]:
    """What was sent, and the document that it is; None where it is none, or only the form was to be changed."""
    if "document" in form.fields:
        text = form.get("document").replace("\r\n", "\n")
        document = _read(text)
        rows = _rows_of(document, words.language)
        if isinstance(document, int):
            return Draft(rows, text, words("segments.no_json", line=document), as_document=True), None
        return Draft(rows, text, as_document=True), document
    rows = ruleforms.typed(form.fields)
    action, _, place = form.get("do").partition(":")
    known = next((each for each in _ACTIONS if each == action), None)
    if known is not None:
        rows = ruleforms.edited(rows, known, place)
    document = ruleforms.document_of(rows, words.language)
    draft = Draft(rows, written(document))
    if known is not None:
        return draft, None
    unnamed = {f"{ruleforms.prefix(index)}.program": () for index in ruleforms.repeated_programs(rows)}
    if unnamed:
        return replace(draft, message=words("segments.program_names"), fields=unnamed), None
    return draft, document


def _rows_of(document: dict[str, Any] | int, language: Language) -> RulesForm:
    """The document as rows, as far as it can be; an empty form where it is not even shaped like rules."""
    try:
        return ruleforms.form_of({"accounts": {}, **document}, language) if isinstance(document, dict) else _NOTHING
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        # Whatever somebody may write: scoring says what is wrong with it, and the document stays as it was typed.
        return _NOTHING


def _refused(draft: Draft, message: str, errors: Sequence[FieldError]) -> Draft:
    """The draft with the errors at their fields; those of a document, and of what has no field, in a list."""
    fields: dict[str, list[FieldError]] = {}
    others = []
    for error in errors:
        name = None if draft.as_document else ruleforms.field_at(draft.form, error.pointer)
        if name is None:
            others.append(_wrong(error))
        else:
            fields.setdefault(name, []).append(error)
    return replace(draft, message=message, wrong=others, fields=fields)


def _read(text: str) -> dict[str, Any] | int:
    """The object that the text is; else the line at which it is none."""
    try:
        document = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except json.JSONDecodeError as error:
        return error.lineno
    except (ValueError, RecursionError):  # a number of too many digits; a list in a list in a list…
        return 1
    return document if isinstance(document, dict) else 1


def _finite(written_: str) -> float:
    """A number; what is none, or too large for one, is no JSON that could be sent on."""
    value = float(written_)
    if not math.isfinite(value):
        raise ValueError(written_)
    return value


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
    return Wrong(tuple(str(int(part) + 1) if part.isdecimal() else part for part in parts), error)
