"""The pages of imports: the list, one of them with its errors, and a file that is looked at before it is sent.

The file goes from the browser in pieces, by a script: each piece is stored before the next is sent, and whoever breaks
off goes on where the import is. Nothing of it is kept here.
"""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from libs.webapi.problem import of_status
from services.portal.api.access import FORM_TOKEN, Form, Visit, needs, posted_bytes, posted_form
from services.portal.api.refusals import NOT_FOUND, is_source_name, uuid_in
from services.portal.api.view import Pages
from services.portal.clients import Ingest, Refusal, ServiceAwayError
from services.portal.clients.imports import ErrorPage, ErrorRow, FirstRow, Import, ImportPage, Imports
from services.portal.domain import importforms
from services.portal.domain.deliveries import words_seen_by
from services.portal.domain.people import Person, Right
from services.portal.texts import Words
from services.portal.texts.reasons import tell_why

_LONGEST_CURSOR: Final = 1_024
_LONGEST_NAME: Final = 300
_MOST_DIGITS: Final = 15
_SHOWN_ERRORS: Final = 50
_ELSEWHERE: Final = 409
_BUSY: Final = 503
_STILL: Final = timedelta(seconds=20)
"""A file of which nothing came for so long is not being sent just now."""


@dataclass(frozen=True, slots=True)
class RowShown:
    """One of the first rows, with what its reader may see."""

    row: FirstRow
    comment: str | None
    customer: str | None


def routes(pages: Pages, ingest: Ingest) -> APIRouter:
    """`/imports` and below."""
    router = APIRouter(include_in_schema=False)
    reader = ImportPages(pages, ingest)

    @router.get("/imports")
    async def list_imports(request: Request, visit: Annotated[Visit, needs(Right.SOURCES)]) -> Response:
        return await reader.listed(request, visit)

    @router.get("/imports/new")
    async def choose(request: Request, visit: Annotated[Visit, needs(Right.SOURCES)]) -> Response:
        return await reader.blank(request, visit)

    @router.post("/imports/look")
    async def look(
        request: Request, visit: Annotated[Visit, needs(Right.SOURCES)], head: Annotated[bytes, Depends(posted_bytes)]
    ) -> Response:
        return await reader.look(request, visit, head)

    @router.post("/imports/start")
    async def start(
        visit: Annotated[Visit, needs(Right.SOURCES)], form: Annotated[Form, Depends(posted_form)]
    ) -> Response:
        return await reader.start(visit, form)

    @router.get("/imports/{import_id}")
    async def one(request: Request, import_id: str, visit: Annotated[Visit, needs(Right.SOURCES)]) -> Response:
        return await reader.one(request, visit, uuid_in(import_id))

    @router.get("/imports/{import_id}/errors.csv")
    async def errors(request: Request, import_id: str, visit: Annotated[Visit, needs(Right.SOURCES)]) -> Response:
        return await reader.errors(request, visit, uuid_in(import_id))

    @router.post("/imports/{import_id}/content")
    async def go_on(
        request: Request,
        import_id: str,
        visit: Annotated[Visit, needs(Right.SOURCES)],
        piece: Annotated[bytes, Depends(posted_bytes)],
    ) -> Response:
        return await reader.go_on(request, visit, uuid_in(import_id), piece)

    return router


class ImportPages:
    """Asks ingest what a file looks like, and hands it on piece by piece."""

    def __init__(self, pages: Pages, ingest: Ingest) -> None:
        self._pages = pages
        self._ingest = ingest
        self._imports = Imports(ingest.service)

    async def listed(self, request: Request, visit: Visit) -> Response:
        """The list, the newest first."""
        asked = request.query_params.get("source", "")
        source = asked if is_source_name(asked) else ""
        cursor = request.query_params.get("cursor", "")[:_LONGEST_CURSOR] or None
        page, is_away = ImportPage([]), False
        try:
            page = await self._imports.listed(visit.person, source=source, cursor=cursor)
        except ServiceAwayError:
            is_away = True
        return self._pages.page(
            request,
            visit,
            "imports.html",
            status=503 if is_away else 200,
            imports=page.items,
            source=source,
            cursor=cursor,
            next_cursor=page.next_cursor,
            away=is_away,
        )

    async def blank(self, request: Request, visit: Visit) -> Response:
        """The form: whose answers, and which file."""
        sources = [source.name for source in await self._ingest.sources(visit.person) if source.enabled]
        asked = request.query_params.get("source", "")
        return self._pages.page(
            request, visit, "import_new.html", sources=sources, asked=asked, token_header=FORM_TOKEN
        )

    async def look(self, request: Request, visit: Visit, head: bytes) -> Response:
        """What the file looks like, as a part of the form's page; with what was chosen of it."""
        chosen = {name: value for name, value in request.query_params.items() if "\0" not in value}
        source = chosen.get("source", "")
        if not is_source_name(source):
            raise of_status(NOT_FOUND)
        said = importforms.said_of(chosen, source)
        try:
            preview = await self._imports.preview(visit.person, said, head, whole=chosen.get("whole") == "yes")
        except Refusal as refusal:
            return self._pages.page(
                request,
                visit,
                "import_look.html",
                forms=importforms,
                chosen=chosen,
                refusal=refusal,
                layout=None,
                columns=refusal.columns,
                rows=[],
            )
        return self._pages.page(
            request,
            visit,
            "import_look.html",
            forms=importforms,
            chosen=chosen,
            refusal=None,
            layout=preview.layout,
            columns=preview.columns,
            rows=[_shown(visit.person, row) for row in preview.rows],
        )

    async def start(self, visit: Visit, form: Form) -> Response:
        """Note the file; the script sends it to the address that is told."""
        source, size = form.get("source"), form.get("size")
        if not is_source_name(source) or not size.isdecimal() or len(size) > _MOST_DIGITS:
            raise of_status(NOT_FOUND)
        said = importforms.said_of(form.fields, source)
        name = form.get("name")[:_LONGEST_NAME] or "?"
        import_ = await self._imports.begin(visit.person, said, name=name, size=int(size))
        return _state(import_, status=201)

    async def go_on(self, request: Request, visit: Visit, import_id: str, piece: bytes) -> Response:
        """Hand the piece on; how far the file is now. Where it is elsewhere, from there."""
        written = request.query_params.get("offset", "")
        if not written.isdecimal() or len(written) > _MOST_DIGITS:
            raise of_status(NOT_FOUND)
        try:
            return _state(await self._imports.go_on(visit.person, import_id, piece, offset=int(written)))
        except Refusal as refusal:
            if refusal.status == _ELSEWHERE and refusal.offset is not None:
                return _state(await self._imports.one(visit.person, import_id))
            raise

    async def one(self, request: Request, visit: Visit, import_id: str) -> Response:
        """One import: how far it is, how it was read, and which rows brought nothing."""
        import_ = await self._imports.one(visit.person, import_id)
        errors = ErrorPage([])
        if import_.errors:
            errors = await self._imports.errors(visit.person, import_id, limit=_SHOWN_ERRORS)
        words = self._pages.words(request, visit.person)
        return self._pages.page(
            request,
            visit,
            "import.html",
            import_=import_,
            errors=errors.items,
            more_errors=errors.next_cursor is not None,
            running=not import_.finished and words.now - import_.updated_at < _STILL,
            forms=importforms,
            token_header=FORM_TOKEN,
        )

    async def errors(self, request: Request, visit: Visit, import_id: str) -> Response:
        """All rows that brought nothing, as a file; in the reader's language, for spreadsheets."""
        import_ = await self._imports.one(visit.person, import_id)
        first = await self._imports.errors(visit.person, import_id)
        words = self._pages.words(request, visit.person)
        rows = self._imports.all_errors(visit.person, import_.id, first)
        return StreamingResponse(
            _as_csv(words, rows),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="import-{import_.id}-errors.csv"'},
        )


def _shown(person: Person, row: FirstRow) -> RowShown:
    told = row.response
    if told is None:
        return RowShown(row, None, None)
    return RowShown(row, words_seen_by(person.role, told.comment), words_seen_by(person.role, told.customer_id))


def _state(import_: Import, *, status: int = 200) -> Response:
    """For the script."""
    told = {"id": import_.id, "offset": import_.offset, "rows": import_.rows, "finished": import_.finished}
    return JSONResponse(told, status)


async def _as_csv(words: Words, rows: AsyncIterator[ErrorRow]) -> AsyncIterator[bytes]:
    yield "\ufeff".encode()  # by which spreadsheets know that it is UTF-8
    yield _line(words("imports.line"), words("imports.why"), words("imports.delivery"))
    async for row in rows:
        yield _line(str(row.line), tell_why(words, row.reason, row.why).text, row.delivery_id or "")


def _line(*cells: str) -> bytes:
    written = io.StringIO()
    csv.writer(written, delimiter=";").writerow(cells)
    return written.getvalue().encode()
