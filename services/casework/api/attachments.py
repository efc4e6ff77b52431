"""`/v1/cases/{id}/attachments`: files of a case, received and handed out piece by piece.

What comes is judged by its bytes alone (`domain.attachments`); what goes out can only be saved, never shown in place.
"""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import quote, unquote
from uuid import UUID

import structlog
from fastapi import Depends, Header, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.etag import IfMatch, etag, expect
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.problem import Problem, of_status
from libs.webapi.strict_json import Router
from services.casework.api.access import CaseReader, CaseWriter
from services.casework.api.acting import answers_of, cause_of, locked, settle
from services.casework.api.views import Who, state_of
from services.casework.domain import attaching
from services.casework.domain.attachments import MEDIA_TYPES, RemovalReason, clean_name
from services.casework.domain.cases import Case, Decision
from services.casework.domain.errors import TooManyAttachments
from services.casework.domain.names import CaseId
from services.casework.domain.timeline import Cause
from services.casework.store import attachments, cases
from services.casework.store.attachment_files import AttachmentFiles, Received, TooLongError, WrongTypeError

_log: Final = structlog.get_logger(__name__)

router: Final = Router(prefix="/v1", tags=["contact"])

UPLOADS: Final = "/v1/cases/*/attachments$"
"""The paths whose bodies may be as large as a file, as `libs.webapi.limits` writes them."""

_PROBLEM: Final[dict[str, Any]] = {"content": {"application/problem+json": {}}}
_UPLOAD: Final[dict[str, Any]] = {
    **REPEATABLE,
    "requestBody": {
        "required": True,
        "description": "The file as it is.",
        "content": {each: {"schema": {"type": "string", "format": "binary"}} for each in sorted(MEDIA_TYPES)},
    },
}
_DOWNLOAD: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The file as it is, to be saved.",
        "content": {each: {"schema": {"type": "string", "format": "binary"}} for each in sorted(MEDIA_TYPES)},
    },
    304: {"description": "It is as in `If-None-Match`."},
    404: {"description": "There is none.", **_PROBLEM},
}


class Stored(BaseModel):
    """A file as it was taken, without its name: the answer is kept for the repetition of the command."""

    id: UUID
    case_id: UUID
    case_version: int
    media_type: str
    size: int
    """Bytes."""
    sha256: str


class Attachment(BaseModel):
    """A file of a case."""

    id: UUID
    name: str
    """Safe to save it under: without a path, and with the ending of what it is."""
    media_type: str
    size: int
    """Bytes."""
    sha256: str
    added_at: datetime
    by: Who


class Attachments(BaseModel):
    """The files of a case, the earliest first; there are never so many that pages are needed."""

    items: list[Attachment]
    most_bytes: int | None
    """How large a file may be that is attached; null where files are not kept."""
    most_files: int | None
    """How many a case has at most; null where files are not kept."""


def _files(request: Request) -> AttachmentFiles:
    files: AttachmentFiles | None = request.app.state.attachment_files
    if files is None:
        raise Problem(503, "attachments-not-kept", "No folder for attachments is set (CASEWORK_ATTACHMENTS_DIR)")
    return files


Files = Annotated[AttachmentFiles, Depends(_files)]


def _name(
    header: Annotated[
        str,
        Header(
            alias="Otklik-File-Name",
            min_length=1,
            max_length=3_000,
            description="The file's name, its UTF-8 percent-encoded; in no address, as those stand in logs.",
        ),
    ] = "attachment",
) -> str:
    try:
        return unquote(header, errors="strict")
    except UnicodeDecodeError as error:
        raise of_status(422, detail="Otklik-File-Name is UTF-8, percent-encoded.") from error


@router.post(
    "/cases/{case_id}/attachments",
    status_code=201,
    responses={
        **answers_of(201, Stored),
        413: {"description": "It is larger than a file may be.", **_PROBLEM},
        415: {"description": "It is of none of the types that are kept, whatever it is called.", **_PROBLEM},
    },
    openapi_extra=_UPLOAD,
    summary="Attach a file",
)
async def attach(
    request: Request,
    principal: CaseWriter,
    case_id: UUID,
    files: Files,
    name: Annotated[str, Depends(_name)],
    seen: IfMatch,
) -> Response:
    """A pdf, a picture (png, jpeg, gif, webp), a document (docx, xlsx, odt, ods), or text, told by its bytes.

    Of `Content-Type` only the difference between plain text and csv is believed. Possible when closed.
    """
    await _require_case(request, case_id)
    async with files.receiving() as reception:
        try:
            async for piece in request.stream():
                await reception.write(piece)
            received = await reception.finish()
        except TooLongError as error:
            raise of_status(413, detail=f"At most {files.size_limit} bytes.") from error
        except WrongTypeError as error:
            raise of_status(
                415, detail="Attach pdf, png, jpeg, gif, webp, docx, xlsx, odt, ods, or text in UTF-8; no macros."
            ) from error
        media_type = _media_type(request, received)
        safe_name = clean_name(name, media_type)

        async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
            case = await locked(tx, CaseId(case_id))
            expect(case.version, seen)

            async def decide(tx: Tx, case: Case, cause: Cause) -> Decision:
                if await attachments.count(tx, case.id) >= files.per_case:
                    raise TooManyAttachments(case.id)
                await attachments.lock(tx, [received.sha256])
                await files.keep(received)
                await attachments.add(
                    tx,
                    command_id,
                    case.id,
                    cause.actor,
                    sha256=received.sha256,
                    name=safe_name,
                    media_type=media_type,
                    size=received.size,
                )
                return attaching.attach(case, command_id, safe_name, media_type, received.size, cause)

            after = await settle(tx, case, cause_of(request, principal, tx, command_id), decide)
            stored = Stored(
                id=command_id,
                case_id=case_id,
                case_version=after.version,
                media_type=media_type,
                size=received.size,
                sha256=received.sha256,
            )
            return 201, stored, {"ETag": etag(after.version), "Location": f"/v1/attachments/{command_id}"}

        sent = f"{received.sha256} {media_type} {safe_name}".encode()
        return await once(database_of(request), request, principal, command, sent=sent)


@router.get(
    "/cases/{case_id}/attachments",
    responses={404: {"description": "There is none.", **_PROBLEM}},
    summary="The files of a case",
)
async def list_attachments(
    request: Request,
    principal: CaseReader,  # noqa: ARG001 - the rule
    case_id: UUID,
) -> Attachments:
    """The earliest first."""
    await _require_case(request, case_id)
    async with database_of(request).reading() as tx:
        rows = await attachments.of_case(tx, case_id)
    files: AttachmentFiles | None = request.app.state.attachment_files
    return Attachments(
        most_bytes=None if files is None else files.size_limit,
        most_files=None if files is None else files.per_case,
        items=[
            Attachment(
                id=row.id,
                name=row.name,
                media_type=row.media_type,
                size=row.size,
                sha256=row.sha256,
                added_at=row.added_at,
                by=Who(kind=row.actor_kind, id=row.actor_id, name=row.actor_name),
            )
            for row in rows
        ],
    )


@router.get(
    "/attachments/{attachment_id}", response_class=FileResponse, responses=_DOWNLOAD, summary="One file, to be saved"
)
async def download(
    request: Request,
    principal: CaseReader,  # noqa: ARG001 - the rule
    attachment_id: UUID,
    files: Files,
    known: Annotated[str | None, Header(alias="If-None-Match", description="The `ETag` of a copy.")] = None,
) -> Response:
    """Its `ETag` is the SHA-256 of what it holds."""
    async with database_of(request).reading() as tx:
        row = await attachments.find(tx, attachment_id)
    if row is None:
        raise of_status(404, detail="No such attachment.")
    tag = f'"{row.sha256}"'
    if known is not None and tag in (each.strip().removeprefix("W/") for each in known.split(",")):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": tag})
    stat = await files.stat(row.sha256)
    if stat is None:
        _log.error("attachment.lost", attachment=str(attachment_id), sha256=row.sha256)
        raise Problem(500, "attachment-lost", "The file is not in the folder of attachments")
    return FileResponse(
        files.path(row.sha256),
        media_type=row.media_type,
        stat_result=stat,
        headers={
            "ETag": tag,
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(row.name, safe='')}",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'",
        },
    )


@router.delete(
    "/attachments/{attachment_id}", responses=answers_of(200), openapi_extra=REPEATABLE, summary="Remove a file"
)
async def detach(
    request: Request,
    principal: CaseWriter,
    attachment_id: UUID,
    reason: Annotated[RemovalReason, Query(description="Stays on the timeline, with who did it.")],
    seen: IfMatch,
) -> Response:
    """The case stays, and says on its timeline that the file was there. `If-Match` is the case's version."""

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        found = await attachments.find(tx, attachment_id)
        if found is None:
            raise of_status(404, detail="No such attachment.")
        case = await locked(tx, CaseId(found.case_id))
        expect(case.version, seen)
        # Under the lock: somebody else may have removed it while we waited.
        if await attachments.find(tx, attachment_id) is None:
            raise of_status(404, detail="No such attachment.")

        async def decide(tx: Tx, case: Case, cause: Cause) -> Decision:
            await attachments.remove(tx, attachment_id)
            return attaching.detach(case, attachment_id, found.name, reason, cause)

        after = await settle(tx, case, cause_of(request, principal, tx, command_id), decide)
        return 200, state_of(after), {"ETag": etag(after.version)}

    return await once(database_of(request), request, principal, command)


async def _require_case(request: Request, case_id: UUID) -> None:
    async with database_of(request).reading() as tx:
        if await cases.find(tx, CaseId(case_id)) is None:
            raise of_status(404, detail="No such case.")


def _media_type(request: Request, received: Received) -> str:
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return "text/csv" if received.media_type == "text/plain" and declared == "text/csv" else received.media_type
