"""The segment rules: in words, as rows or a document to edit, and who would move before they are put into force."""

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final, get_args
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.events.database import Database
from services.portal.api.access import Form, Visit, needs, posted_form, posted_long_form
from services.portal.api.metrics import TIERS
from services.portal.api.named import named
from services.portal.api.refusals import SEE_OTHER, WRONG, uuid_in
from services.portal.api.view import Pages
from services.portal.clients import Refusal, Scoring, ServiceAwayError
from services.portal.clients.segments import DryRun, InForce, Run
from services.portal.clients.service import FieldError
from services.portal.domain import ruleforms
from services.portal.domain.people import Language, Right
from services.portal.domain.ruleforms import RulesForm
from services.portal.texts import Words

_ACTIONS: Final[tuple[ruleforms.Action, ...]] = get_args(ruleforms.Action)
_CONFLICT: Final = 409
_TOO_MANY: Final = "too-many-dry-runs"
_RUNS_SHOWN: Final = 5
_LONGEST_VERSION: Final = 10
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


def routes(database: Database, pages: Pages, scoring: Scoring) -> APIRouter:
    """`/segments`."""
    router = APIRouter(include_in_schema=False)
    editor = SegmentPages(database, pages, scoring)

    @router.get("/segments")
    async def segments(request: Request, visit: Annotated[Visit, needs(Right.CUSTOMERS)]) -> Response:
        asked = request.query_params.get("dry_run")
        return await (editor.shown(request, visit) if asked is None else editor.dry_run(request, visit, uuid_in(asked)))

    @router.post("/segments")
    async def change(
        request: Request, visit: Annotated[Visit, needs(Right.RULES)], form: Annotated[Form, Depends(posted_long_form)]
    ) -> Response:
        return await editor.change(request, visit, form)

    @router.post("/segments/dry-runs/{dry_run_id}/cancel")
    async def cancel(
        request: Request,  # noqa: ARG001 - the form stands in it
        dry_run_id: str,
        visit: Annotated[Visit, needs(Right.RULES)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        id_ = uuid_in(dry_run_id)
        await scoring.segments.cancel(visit.person, id_, command_id=uuid_in(form.get("command_id")))
        return _to_dry_run(id_, _version(form.get("version")))

    return router


class SegmentPages:
    """Reads the rules from scoring, tries them and changes them there, in the person's name."""

    def __init__(self, database: Database, pages: Pages, scoring: Scoring) -> None:
        self._pages = pages
        self._database = database
        self._segments = scoring.segments

    async def shown(
        self,
        request: Request,
        visit: Visit,
        *,
        draft: Draft | None = None,
        found: DryRun | None = None,
        run: Run | None = None,
        gone: bool = False,
        status: int = 200,
        version: int | None = None,
    ) -> Response:
        """The page; a draft keeps the version that it was begun from."""
        try:
            in_force, runs = await asyncio.gather(
                self._segments.in_force(visit.person), self._segments.dry_runs(visit.person, limit=_RUNS_SHOWN)
            )
        except (ServiceAwayError, Refusal):
            return self._pages.page(request, visit, "segments.html", status=503, in_force=None)
        named_here = {in_force.created_by, *(each.asked_by for each in (*runs, *([run] if run else ())))}
        return self._pages.page(
            request,
            visit,
            "segments.html",
            status=status,
            in_force=in_force,
            names=await named(self._database, named_here),
            draft=draft or _begun(in_force, self._pages.words(request, visit.person).language),
            rows=ruleforms,
            found=found,
            run=run,
            runs=runs,
            gone=gone,
            tiers=TIERS,
            version=version or in_force.version,
            saved=request.query_params.get("done") == "saved",
        )

    async def dry_run(self, request: Request, visit: Visit, id_: str) -> Response:
        """The page with a dry run, and with the rules that it is of as a draft."""
        try:
            run = await self._segments.dry_run(visit.person, id_)
        except (ServiceAwayError, Refusal):
            return await self.shown(request, visit)
        if run is None:
            return await self.shown(request, visit, gone=True, status=404)
        language = self._pages.words(request, visit.person).language
        draft = Draft(ruleforms.form_of(run.rules, language), written(run.rules))
        version = _version(request.query_params.get("version", "")) or run.rules_version
        return await self.shown(request, visit, draft=draft, found=run.result, run=run, version=version)

    async def change(self, request: Request, visit: Visit, form: Form) -> Response:
        """Add, move or remove a row; try the rules; or put them into force."""
        words = self._pages.words(request, visit.person)
        version = _version(form.get("version"))
        draft, document = _drafted(form, words)
        if document is None:
            status = WRONG if draft.message else 200
            return await self.shown(request, visit, draft=draft, status=status, version=version)
        command_id = uuid_in(form.get("command_id"))
        try:
            if form.get("do") == "try":
                found = await self._segments.try_out(visit.person, document, command_id=command_id)
                if isinstance(found, UUID):
                    return _to_dry_run(str(found), version)
                return await self.shown(request, visit, draft=draft, found=found, version=version)
            await self._segments.put(visit.person, document, command_id=command_id, version=version)
        except Refusal as refusal:
            return await self._refused(request, visit, draft, refusal, version)
        return RedirectResponse("/segments?done=saved", SEE_OTHER)

    async def _refused(self, request: Request, visit: Visit, draft: Draft, refusal: Refusal, version: int) -> Response:
        """The draft, and what scoring has against it."""
        words = self._pages.words(request, visit.person)
        if refusal.errors:
            refused = _refused(draft, words("segments.check"), refusal.errors)
            return await self.shown(request, visit, draft=refused, status=WRONG, version=version)
        if refusal.slug == _TOO_MANY:
            waiting = replace(draft, message=words("segments.too_many"))
            return await self.shown(request, visit, draft=waiting, status=_CONFLICT, version=version)
        changed = replace(draft, message=words("segments.changed"))
        return await self.shown(request, visit, draft=changed, status=_CONFLICT)


def _to_dry_run(id_: str, version: int) -> Response:
    return RedirectResponse(f"/segments?dry_run={id_}&version={version}#found", SEE_OTHER)


def _version(written_: str) -> int:
    """The version of the rules that somebody has seen; 0 where none is said."""
    return int(written_) if written_.isdecimal() and len(written_) < _LONGEST_VERSION else 0


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
