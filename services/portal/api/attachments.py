"""Files of a case: sent by a plain form, handed out to be saved, taken away with a reason. None of them stays here."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.cases import CasePages
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, uuid_in, version_in
from services.portal.api.uploads import FIELDS_LIMIT, Upload, posted_file
from services.portal.api.view import Pages
from services.portal.clients import Casework, Refusal, ServiceAwayError
from services.portal.domain.casefile import REMOVAL_REASONS
from services.portal.domain.people import Right
from services.portal.texts import Words

UPLOADS: Final = "/cases/*/attachments$"
"""The paths whose bodies hold a file, as `libs.webapi.limits` writes them."""
UPLOAD_LIMIT: Final = 2**31 + FIELDS_LIMIT
"""The most that casework can be set to take; what it is set to, it says itself."""
_TOO_LARGE: Final = 413
_HEADERS: Final = (
    "content-type",
    "content-length",
    "content-disposition",
    "content-security-policy",
    "x-content-type-options",
)
"""What casework says of a file, so that browsers save it and never show it."""


class _TooLargeError(Exception):
    """The file is larger than casework takes."""


def routes(pages: Pages, casework: Casework) -> APIRouter:
    """`/cases/{case_id}/attachments` and `/attachments/{attachment_id}`."""
    router = APIRouter(include_in_schema=False)
    files = AttachmentPages(pages, casework)

    @router.post("/cases/{case_id}/attachments")
    async def attach(
        request: Request,
        case_id: str,
        visit: Annotated[Visit, needs(Right.CASES)],
        upload: Annotated[Upload, Depends(posted_file)],
    ) -> Response:
        return await files.attach(request, visit, uuid_in(case_id), upload)

    @router.get("/attachments/{attachment_id}")
    async def fetch(attachment_id: str, visit: Annotated[Visit, needs(Right.CASES)]) -> Response:
        return await files.fetch(visit, uuid_in(attachment_id))

    @router.post("/cases/{case_id}/attachments/{attachment_id}")
    async def take_away(
        request: Request,
        case_id: str,
        attachment_id: str,
        visit: Annotated[Visit, needs(Right.CASES)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await files.take_away(request, visit, uuid_in(case_id), uuid_in(attachment_id), form)

    return router


class AttachmentPages:
    """Hands files on between people and casework."""

    def __init__(self, pages: Pages, casework: Casework) -> None:
        self._pages = pages
        self._files = casework.files
        self._cases = CasePages(pages, casework)

    async def attach(self, request: Request, visit: Visit, case_id: str, upload: Upload) -> Response:
        """Pass the file on while it comes; back to the case, which says what is wrong with it if anything is."""
        words = self._pages.words(request, visit.person)
        if not upload.name:
            return await self._cases.one(request, visit, case_id, file_failed=words("files.none_chosen"), status=WRONG)
        most: int | None = None
        try:
            most = (await self._files.of_case(visit.person, case_id)).most_bytes
            _require_short(request, most)
            await self._files.attach(
                visit.person,
                case_id,
                _within(upload.pieces, most),
                name=upload.name,
                media_type=upload.media_type,
                command_id=uuid_in(upload.get("command_id")),
            )
        except _TooLargeError:
            failed, status = _too_large(words, most), _TOO_LARGE
        except ServiceAwayError:
            failed, status = words("away.casework"), 503
        except Refusal as refusal:
            if refusal.status == NOT_FOUND:
                raise
            failed, status = _refused(words, refusal, most), refusal.status
        else:
            return _to(case_id, "attached")
        return await self._cases.one(request, visit, case_id, file_failed=failed, status=status)

    async def fetch(self, visit: Visit, attachment_id: str) -> Response:
        """The file, with the headers by which casework has it saved and never shown."""
        file = await self._files.fetch(visit.person, attachment_id)
        headers = {name: file.headers[name] for name in _HEADERS if name in file.headers}
        return StreamingResponse(file.pieces, headers=headers)

    async def take_away(self, request: Request, visit: Visit, case_id: str, attachment_id: str, form: Form) -> Response:
        """The case stays, and says on its timeline that the file was there, and why it went."""
        words = self._pages.words(request, visit.person)
        reason = form.get("reason")
        if reason not in REMOVAL_REASONS:
            failed, status = words("files.why_missing"), WRONG
        else:
            try:
                await self._files.take_away(
                    visit.person,
                    attachment_id,
                    reason,
                    command_id=uuid_in(form.get("command_id")),
                    version=version_in(form),
                )
            except ServiceAwayError:
                failed, status = words("away.casework"), 503
            except Refusal as refusal:
                failed, status = _refused(words, refusal, None), refusal.status
            else:
                return _to(case_id, "detached")
        return await self._cases.one(request, visit, case_id, file_failed=failed, status=status)


def _require_short(request: Request, most: int | None) -> None:
    """What is announced to be too large need not come at all."""
    announced = request.headers.get("content-length", "0")
    if most is not None and announced.isdecimal() and int(announced) > most + FIELDS_LIMIT:
        raise _TooLargeError


async def _within(pieces: AsyncIterator[bytes], most: int | None) -> AsyncGenerator[bytes]:
    """The pieces, as long as they are no more bytes than casework takes: what it would not read is not sent."""
    size = 0
    async for piece in pieces:
        size += len(piece)
        if most is not None and size > most:
            raise _TooLargeError
        yield piece


def _refused(words: Words, refusal: Refusal, most: int | None) -> str:
    """Why the file cannot be kept or taken away, in the reader's language."""
    if refusal.status == _TOO_LARGE:
        return _too_large(words, most)
    for key in (f"files.refused.{refusal.status}", f"refused.{refusal.slug}"):
        if words.has(key):
            return words(key)
    return words("refused.other")


def _too_large(words: Words, most: int | None) -> str:
    return words("files.too_large", most=words.size(most or 0))


def _to(case_id: str, done: str) -> Response:
    return RedirectResponse(f"/cases/{case_id}?{urlencode({'done': done})}#files", SEE_OTHER)
