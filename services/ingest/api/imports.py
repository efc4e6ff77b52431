"""`/v1/imports`: files of responses, sent whole or piece by piece, and what became of their rows."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, Request, Response

from libs.events.telemetry import traceparent_or_new
from libs.webapi.app import database_of
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.problem import FieldError, Problem, of_status, unavailable
from libs.webapi.strict_json import Router
from services.ingest.api.access import SOURCE_NAME, DeliveriesReader, ResponsesWriter, book_of
from services.ingest.api.dry_runs import response_out
from services.ingest.api.import_models import (
    FILE,
    LARGEST_FILE,
    AnyEncoding,
    AnyFormat,
    AnyMap,
    AnySeparator,
    AnyTimes,
    Digest,
    ImportErrorOut,
    ImportOut,
    Last,
    PreviewOut,
    RowOut,
    Size,
    Source,
    agrees,
    import_out,
    invalid_parameter,
    layout_out,
    said_of,
)
from services.ingest.domain.columns import ColumnMap, UnusableMap
from services.ingest.domain.deliveries import NotUnderstood, Understood
from services.ingest.domain.detection import HEAD, Unreadable, detect
from services.ingest.domain.reasons import why_of
from services.ingest.domain.tables import Rows
from services.ingest.imports import Beyond, Busy, Importer, Moved, given_of, written_of
from services.ingest.intake import NotDurable
from services.ingest.sources import ReadySource
from services.ingest.store import imports
from services.ingest.store.imports import Import
from services.ingest.vendors.files import row_reader

router: Final = Router(prefix="/v1/imports", tags=["imports"])

PREFIX: Final = "/v1/imports"
_LARGEST_HEAD: Final = 4 * HEAD
_FIRST_ROWS: Final = 10
_AGAIN_SECONDS: Final = 5


@router.get("", summary="Imports, the newest first")
async def list_imports(
    request: Request,
    principal: DeliveriesReader,  # noqa: ARG001 - the rule
    source: Annotated[str | None, Query(pattern=SOURCE_NAME)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ImportOut]:
    """Finished ones, too."""
    before = None if cursor is None else decode_cursor(cursor, UUID)
    async with database_of(request).reading() as tx:
        found = await imports.page(tx, source=source, before=before, limit=limit + 1)
    return Page(
        items=[import_out(import_) for import_ in found[:limit]],
        next_cursor=encode_cursor(found[limit - 1].id) if len(found) > limit else None,
    )


@router.post("/preview", openapi_extra=FILE, summary="See what a file looks like")
async def preview(
    request: Request,
    principal: ResponsesWriter,  # noqa: ARG001 - the rule
    source: Source,
    format_: AnyFormat = None,
    encoding: AnyEncoding = None,
    separator: AnySeparator = None,
    times: AnyTimes = None,
    map_: AnyMap = None,
    whole: Annotated[bool, Query(description="Whether what is sent is the whole file.")] = False,  # noqa: FBT002 - a query
) -> PreviewOut:
    """Its first 65,536 bytes are enough, and 262,144 the most. Nothing is kept."""
    ready = await _source(request, source)
    said = said_of(format_, encoding, separator, times, map_)
    head = b"".join([piece async for piece in _pieces(request, most=_LARGEST_HEAD)])
    try:
        detected = detect(head, given_of(said), whole=whole)
    except Unreadable as error:
        raise _unreadable(error) from error
    try:
        written = written_of(detected, said)
    except Unreadable as error:
        raise _unreadable(error, detected.columns) from error
    reader = row_reader(ready.source, written.layout.format, written.times, written.columns)
    now = database_of(request).clock()
    rows: list[RowOut] = []
    for row in Rows(written.layout, detected.position).feed(head[detected.position.offset :], final=whole):
        if len(rows) == _FIRST_ROWS:
            break
        verdict = NotUnderstood(row.fault) if row.fault is not None else reader.read(row.body, now)[1]
        response = response_out(verdict.response) if isinstance(verdict, Understood) else None
        reason = verdict.reason if isinstance(verdict, NotUnderstood) else None
        told: Any = why_of(reason)
        rows.append(RowOut(line=row.line, understood=response is not None, reason=reason, why=told, response=response))
    return PreviewOut(layout=layout_out(written), columns=list(detected.columns), rows=rows)


@router.post(
    "",
    status_code=201,
    response_model=ImportOut,
    responses={200: {"model": ImportOut, "description": "This file is known: go on at `offset`"}},
    openapi_extra=FILE,
    summary="Import a file",
)
async def post_import(
    request: Request,
    response: Response,
    principal: ResponsesWriter,  # noqa: ARG001 - the rule
    source: Source,
    name: Annotated[str, Query(min_length=1, max_length=300, description="For people.")] = "a file",
    digest: Digest = None,
    size: Size = None,
    format_: AnyFormat = None,
    encoding: AnyEncoding = None,
    separator: AnySeparator = None,
    times: AnyTimes = None,
    map_: AnyMap = None,
) -> ImportOut:
    """Its bytes are the body, or follow by `PUT …/content`, where the body is empty.

    The same row again, of this file or of another one, adds nothing; another row of a known response is its next
    revision. With `digest` and `size` the same file is the same import, and goes on where it was.
    """
    ready = await _source(request, source)
    if digest is not None and size is None:
        raise invalid_parameter("size", "is needed beside digest")
    said = said_of(format_, encoding, separator, times, map_)
    import_, new = await _find_or_add(request, source, name=name, digest=digest, size=size, said=said)
    response.status_code = 201 if new else 200
    response.headers["Location"] = f"{PREFIX}/{import_.id}"
    return await _take(request, import_, ready, offset=0, ends=True)


@router.put("/{id}/content", openapi_extra=FILE, summary="Go on with a file")
async def put_content(
    request: Request,
    principal: ResponsesWriter,  # noqa: ARG001 - the rule
    id: UUID,  # noqa: A002 - the path's word
    offset: Annotated[int, Query(ge=0, le=LARGEST_FILE, description="Where in the file the body begins.")],
    last: Last = False,  # noqa: FBT002 - a query
) -> ImportOut:
    """Go on at the answer's `offset`: a row that ends later is read when all of it is there.

    Bytes that are read already are passed over. `409` where something between would be left out, or where somebody
    else sends the same file just now; look where it is and go on there.
    """
    import_ = await _found(request, id)
    return await _take(request, import_, await _source(request, import_.source), offset=offset, ends=last)


@router.get("/{id}", summary="One import")
async def get_import(
    request: Request,
    principal: DeliveriesReader,  # noqa: ARG001 - the rule
    id: UUID,  # noqa: A002 - the path's word
) -> ImportOut:
    """How far it is."""
    return import_out(await _found(request, id))


@router.get("/{id}/errors", summary="Rows that brought no response")
async def list_errors(
    request: Request,
    principal: DeliveriesReader,  # noqa: ARG001 - the rule
    id: UUID,  # noqa: A002 - the path's word
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[ImportErrorOut]:
    """In the file's order. Those with a delivery are quarantined: mend the map (`PUT …/map`) and replay them."""
    after = 0 if cursor is None else decode_cursor(cursor, int)
    await _found(request, id)
    async with database_of(request).reading() as tx:
        found = await imports.errors_after(tx, id, line=after, limit=limit + 1)
    return Page(
        items=[ImportErrorOut.model_validate(each, from_attributes=True) for each in found[:limit]],
        next_cursor=encode_cursor(found[limit - 1].line) if len(found) > limit else None,
    )


@router.put("/{id}/map", summary="Change an import's column map")
async def put_map(
    request: Request,
    principal: ResponsesWriter,  # noqa: ARG001 - the rule
    id: UUID,  # noqa: A002 - the path's word
    map_: Annotated[list[str], Query(alias="map", max_length=20, description="As for a new import; all of it.")],
) -> ImportOut:
    """The rest of the file, and what is replayed of its deliveries, is understood by it."""
    written = (await _found(request, id)).written
    if written is None:
        raise Problem(409, "import-not-begun", "Nothing of the file was seen yet")
    try:
        columns = ColumnMap.parse(map_)
        columns.check(written.layout.columns)
    except UnusableMap as error:
        raise invalid_parameter("map", error.reason) from error
    async with database_of(request).transaction() as tx:
        await imports.map_anew(tx, id, columns)
    return import_out(await _found(request, id))


async def _find_or_add(
    request: Request, source: str, *, name: str, digest: str | None, size: int | None, said: Mapping[str, Any]
) -> tuple[Import, bool]:
    database = database_of(request)
    async with database.transaction() as tx:
        import_, new = await imports.find_or_add(
            tx,
            id_=request.app.state.ids.new(tx.now),
            source=source,
            name=name,
            digest=None if digest is None else bytes.fromhex(digest),
            size=size,
            given=said,
        )
        if import_.written is None and import_.given != said:
            await imports.say_anew(tx, import_.id, said)
    if import_.written is not None and not agrees(import_.written, said):
        raise Problem(
            409,
            "import-known-otherwise",
            "This file was imported in another way",
            detail=f"As {PREFIX}/{import_.id} says. Change its column map there, and replay its deliveries.",
            extra={"import_id": str(import_.id)},
        )
    return await _found(request, import_.id), new


async def _take(request: Request, import_: Import, ready: ReadySource, *, offset: int, ends: bool) -> ImportOut:
    importer: Importer = request.app.state.importer
    sent = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    if not sent and import_.size != import_.position.offset:
        return import_out(import_)
    traceparent = traceparent_or_new(request.headers.get("traceparent"))
    try:
        await importer.take(
            import_, ready, _pieces(request, most=LARGEST_FILE), offset=offset, ends=ends, traceparent=traceparent
        )
    except Unreadable as error:
        raise _unreadable(error) from error
    except (Moved, Beyond) as error:
        now = await _found(request, import_.id)
        raise Problem(
            409,
            "import-elsewhere",
            "The import is at another place",
            detail=f"It is read up to byte {now.position.offset}"
            + ("." if now.size is None else f" of {now.size}. Go on there; somebody else may be sending, too."),
            headers={"Connection": "close"},
            extra={"offset": now.position.offset},
        ) from error
    except Busy as error:
        busy = {"Retry-After": str(_AGAIN_SECONDS), "Connection": "close"}
        raise of_status(429, detail="As many files are being read as are read at once.", headers=busy) from error
    except NotDurable as error:
        raise unavailable() from error
    return import_out(await _found(request, import_.id))


async def _pieces(request: Request, *, most: int) -> AsyncIterator[bytes]:
    """The body as it comes. Nothing is read while a batch is being committed, so that the sender waits, too."""
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > most:
            raise of_status(413, detail=f"At most {most} bytes.", headers={"Connection": "close"})
        if piece:
            yield piece


async def _source(request: Request, name: str) -> ReadySource:
    book = book_of(request)
    ready = await book.find(name)
    if ready is None and await book.look_again():
        ready = await book.find(name)
    if ready is None:
        raise invalid_parameter("source", "There is no such source, or it is not enabled.")
    return ready


async def _found(request: Request, id_: UUID) -> Import:
    async with database_of(request).reading() as tx:
        found = await imports.find(tx, id_)
    if found is None:
        raise of_status(404, detail="There is no such import.")
    return found


def _unreadable(error: Unreadable, columns: Sequence[str] = ()) -> Problem:
    """The problem of a file; where its columns are known, they may be chosen from."""
    reason = str(error.reason)  # without its code, which goes by itself
    at: list[FieldError] = []
    if error.parameter is not None:
        at = [{"pointer": f"/{error.parameter}", "in": "query", "detail": reason}]
    return Problem(
        422,
        "unreadable-file",
        "The file cannot be read",
        detail=reason,
        errors=at,
        extra={"why": error.reason.as_json(), "columns": list(columns)},
    )
